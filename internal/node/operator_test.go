package node

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

func TestOperatorsRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(w.options(nil))
		c := w.caller(t)
		ask := func(code int32, ext map[string]string, body string, want int32, part string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := c.c.Invoke(ctx, brokerAddr, &remoting.Command{Code: code, Ext: ext, Body: []byte(body)})
			if err != nil || r.Code != want || !strings.Contains(r.Remark+string(r.Body), part) {
				t.Errorf("code %d: %+v %v, want %d and %q", code, r, err, want, part)
			}
		}
		const bad = protocol.RespInvalidParameter
		topics := `{"topicConfigList":[{"topicName":"L1","readQueueNums":1,"writeQueueNums":1,"perm":6},{"topicName":"L2","readQueueNums":2,"writeQueueNums":2,"perm":6}]}`
		ask(protocol.ReqUpdateAndCreateTopicList, nil, topics, 0, "")
		ask(protocol.ReqUpdateAndCreateTopicList, nil, strings.Replace(strings.Replace(topics, "L1", "L3", 1), "L2", "a b", 1), bad, "a b")
		for name, there := range map[string]bool{"L1": true, "L2": true, "L3": false} {
			if _, err := n.broker.now().core.Topic(t.Context(), name); (err == nil) != there {
				t.Errorf("topic %s: %v", name, err)
			}
		}
		ask(protocol.ReqUpdateAndCreateSubscriptionGroupList, nil, `{"groupConfigList":[{"groupName":"LG1","consumeEnable":true},{"groupName":"LG2"}]}`, 0, "")
		ask(protocol.ReqUpdateAndCreateSubscriptionGroupList, nil, `{"groupConfigList":[{"groupName":"LG3"},{"groupName":"a b"}]}`, bad, "")
		groups, _, err := n.broker.now().core.Groups(t.Context())
		names := map[string]bool{}
		for _, g := range groups {
			names[g.Name] = true
		}
		if err != nil || !names["LG1"] || !names["LG2"] || names["LG3"] {
			t.Errorf("groups %v, %v", names, err)
		}
		ask(protocol.ReqGetSystemTopicListFromBroker, nil, "", 0, `"TBW102"`)

		// A group that must not read.
		pair := map[string]string{"group": "LG1", "topic": "L1"}
		ask(protocol.ReqUpdateAndGetGroupForbidden, pair, "", 0, `"readable":true`)
		pair["readable"] = "false"
		ask(protocol.ReqUpdateAndGetGroupForbidden, pair, "", 0, `"readable":false`)
		if r := c.send(brokerAddr, "L1", 0, 1); r.Code != 0 {
			t.Fatal(r.Remark)
		}
		pull := func(code int32) {
			t.Helper()
			h := protocol.PullMessageRequestHeader{ConsumerGroup: "LG1", Topic: "L1", MaxMsgNums: 32}
			if r := c.call(brokerAddr, protocol.ReqPullMessage, &h, nil); r.Code != code {
				t.Errorf("pull: %d %s, want %d", r.Code, r.Remark, code)
			}
		}
		ask(protocol.ReqHeartBeat, nil, `{"clientID":"me","producerDataSet":[],"consumerDataSet":[{"groupName":"LG1","consumeType":"CONSUME_PASSIVELY",`+
			`"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":"L1","subString":"*"}]}]}`, 0, "")
		pull(protocol.RespNoPermission)
		pair["readable"] = "true"
		ask(protocol.ReqUpdateAndGetGroupForbidden, pair, "", 0, `"readable":true`)
		pull(0)

		// Where groups are.
		for group, at := range map[string]mq.Index{"LG1": 1, "LG2": 0} {
			if err := n.broker.now().core.CommitIndex(t.Context(), group, "L1", 0, at); err != nil {
				t.Fatal(err)
			}
		}
		both := map[string]string{"topic": "L1", "compareGroup": "LG1"}
		ask(protocol.ReqQueryCorrectionOffset, both, "", 0, `{"correctionOffsets":{0:0}}`)
		both["filterGroups"] = "LG2"
		ask(protocol.ReqQueryCorrectionOffset, both, "", 0, `{"correctionOffsets":{0:1}}`)
		both["compareGroup"] = "LG2"
		ask(protocol.ReqQueryCorrectionOffset, map[string]string{"topic": "L1", "compareGroup": "LG2", "filterGroups": "LG2"}, "", 0,
			`{"correctionOffsets":{0:9223372036854775807}}`)
		ask(protocol.ReqGetBrokerConsumeStats, map[string]string{"isOrder": "false"}, "", 0, `"totalDiff":1,`)
		ask(protocol.ReqGetBrokerConsumeStats, map[string]string{"isOrder": "true"}, "", 0, `"totalDiff":0,`)
		ask(protocol.ReqHeartBeat, nil, `{"clientID":"me","producerDataSet":[{"groupName":"PG"}],"consumerDataSet":[]}`, 0, "")
		ask(protocol.ReqGetAllProducerInfo, nil, "", 0, `{"data":{"PG":[{"clientId":"me",`)
		ask(protocol.ReqGetAllProducerInfo, map[string]string{protocol.FieldWithConsumers: "true"}, "", 0, `"consumers":{"LG1":{"connectionSet":[{`)
		ask(protocol.ReqViewBrokerStatsData, map[string]string{"statsName": "X", "statsKey": "Y"}, "", 1, "The stats <X> <Y> not exist")

		// Cleaning, and what Java has and we do not.
		for _, code := range []int32{
			protocol.ReqCleanExpiredConsumeQueue, protocol.ReqCleanUnusedTopic, protocol.ReqDeleteExpiredCommitLog, protocol.ReqPopRollback,
			protocol.ReqCheckRocksDBCQWriteProgress, protocol.ReqExportRocksDBConfigToJSON, protocol.ReqResetMasterFlushOffset,
		} {
			ask(code, nil, "", 0, "")
		}
		id := string(record.AppendOffsetID(nil, n.broker.advertised, 0))
		ask(protocol.ReqResumeCheckHalfMessage, map[string]string{"msgId": id}, "", 1, "is no half message")
		ask(protocol.ReqResumeCheckHalfMessage, map[string]string{"msgId": "x"}, "", 1, "Exception was thrown")
		ask(protocol.ReqGetBrokerEpochCache, nil, "", 1, "this request only for controllerMode")
		ask(protocol.ReqSetCommitLogReadMode, map[string]string{"READ_AHEAD_MODE": "1"}, "", 0, "success, mode: 1")
		ask(protocol.ReqSetCommitLogReadMode, map[string]string{"READ_AHEAD_MODE": "2"}, "", bad, "value error")
		ask(protocol.ReqSetCommitLogReadMode, nil, "", 1, "param error")
		ask(protocol.ReqSwitchTimerEngine, map[string]string{"E_T": "F"}, "", 0, "success")
		ask(protocol.ReqSwitchTimerEngine, map[string]string{"E_T": "R"}, "", bad, "timerRocksDBEnable")
		ask(protocol.ReqSwitchTimerEngine, map[string]string{"E_T": "x"}, "", bad, "param error")
		ask(protocol.ReqUpdateColdDataFlowCtrConfig, nil, "LG1=1000\nLG2=x\n", 0, "")
		ask(protocol.ReqGetColdDataFlowCtrInfo, nil, "", 0, `"configTable":{"LG1":1000}`)
		ask(protocol.ReqRemoveColdDataFlowCtrConfig, nil, "LG1", 0, "")
		ask(protocol.ReqGetColdDataFlowCtrInfo, nil, "", 0, `"configTable":{}`)
		must(t, n.Shutdown(t.Context()))
		w.free()
	})
}
