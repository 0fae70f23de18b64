package conformance

import (
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

func (e *env) byKey(key string, most int32, unique bool) *bench.Reply {
	e.Helper()
	return e.call(e.b, protocol.ReqQueryMessage, &protocol.QueryMessageRequestHeader{
		Topic: e.topic, Key: key, MaxNum: most, BeginTimestamp: 0, EndTimestamp: time.Now().UnixMilli() + 60000, UniqueKeyQuery: unique,
	}, nil)
}

var queryCases = []testCase{
	{"view by offset id", func(e *env) {
		e.create(1)
		r := e.send(0, "", "seen")
		host, off, err := record.ParseOffsetID(e.field(r, "msgId"))
		if err != nil || host.String() != e.cluster.Addrs[0] {
			e.Fatalf("id %q: %v %v", e.field(r, "msgId"), host, err)
		}
		e.filled(0, 1)
		r = e.call(e.b, protocol.ReqViewMessageByID, &protocol.ViewMessageRequestHeader{Offset: int64(off)}, nil)
		e.code(r, 0)
		if ms := e.decode(r.Body); len(ms) != 1 || string(ms[0].Body) != "seen" {
			e.Errorf("got %d", len(ms))
		}
	}},
	{"view where nothing is, is code 1", func(e *env) {
		r := e.call(e.b, protocol.ReqViewMessageByID, &protocol.ViewMessageRequestHeader{Offset: 1 << 40}, nil)
		e.code(r, protocol.RespSystemError)
	}},
	{"query by key finds all messages with it", func(e *env) {
		e.create(2)
		for i := range 3 {
			e.send(i%2, "KEYS\x01red blue\x02", "x")
		}
		e.send(0, "KEYS\x01green\x02", "y")
		e.eventually("three by key", func() bool {
			r := e.byKey("red", 32, false)
			return r.Code == 0 && len(e.decode(r.Body)) == 3
		})
		if r := e.byKey("blue", 2, false); len(e.decode(r.Body)) != 2 {
			e.Errorf("maxNum is not honoured")
		}
	}},
	{"query by unique key", func(e *env) {
		e.create(1)
		e.send(0, "UNIQ_KEY\x017F00000100002A9F0000000000001234\x02", "u")
		e.eventually("one", func() bool {
			r := e.byKey("7F00000100002A9F0000000000001234", 1, true)
			return r.Code == 0 && len(e.decode(r.Body)) == 1
		})
	}},
	{"an unknown key is 22", func(e *env) {
		e.create(1)
		e.code(e.byKey("nobody", 32, false), protocol.RespQueryNotFound)
	}},
}

var adminCases = []testCase{
	{"a topic is created, registered, changed and deleted", func(e *env) {
		e.create(3)
		route := func() string {
			r := e.call(e.ns, protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: e.topic}, nil)
			if r.Code != 0 {
				return r.Remark
			}
			return string(r.Body)
		}
		e.eventually("registered", func() bool { return strings.Contains(route(), `"readQueueNums":3`) })
		e.create(5)
		e.eventually("changed", func() bool { return strings.Contains(route(), `"readQueueNums":5`) })
		e.code(e.call(e.b, protocol.ReqDeleteTopicInBroker, &protocol.DeleteTopicRequestHeader{Topic: e.topic}, nil), 0)
		e.code(e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 0), nil), protocol.RespTopicNotExist)
	}},
	{"a system topic cannot be created", func(e *env) {
		r := e.call(e.b, protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
			Topic: "SCHEDULE_TOPIC_XXXX", DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6, TopicFilterType: "SINGLE_TAG",
		}, nil)
		e.code(r, protocol.RespInvalidParameter, "conflict with system topic")
	}},
	{"a topic's configuration is told", func(e *env) {
		e.create(3)
		r := e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: e.topic}, nil)
		e.code(r, 0)
		for _, s := range []string{`"topicName":"` + e.topic + `"`, `"readQueueNums":3`, `"perm":6`, `"topicFilterType":"SINGLE_TAG"`} {
			if !strings.Contains(string(r.Body), s) {
				e.Errorf("%s lacks %s", r.Body, s)
			}
		}
	}},
	{"an unknown topic's configuration is 17", func(e *env) {
		e.code(e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: e.topic}, nil), protocol.RespTopicNotExist)
	}},
	{"all topics are told", func(e *env) {
		e.create(2)
		r := e.call(e.b, protocol.ReqGetAllTopicConfig, nil, nil)
		e.code(r, 0)
		for _, s := range []string{`"` + e.topic + `":{`, `"TBW102":{`, `"dataVersion":{`} {
			if !strings.Contains(string(r.Body), s) {
				e.Errorf("lacks %s", s)
			}
		}
	}},
	{"a group is created and told", func(e *env) {
		body := `{"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"groupName":"` + e.group +
			`","notifyConsumerIdsChangedEnable":true,"retryMaxTimes":5,"retryQueueNums":2,"whichBrokerWhenConsumeSlowly":1}`
		e.code(e.call(e.b, protocol.ReqUpdateAndCreateSubscriptionGroup, nil, []byte(body)), 0)
		r := e.call(e.b, protocol.ReqGetSubscriptionGroupConfig, &protocol.GetSubscriptionGroupConfigRequestHeader{Group: e.group}, nil)
		e.code(r, 0)
		for _, s := range []string{`"retryMaxTimes":5`, `"retryQueueNums":2`} {
			if !strings.Contains(string(r.Body), s) {
				e.Errorf("%s lacks %s", r.Body, s)
			}
		}
	}},
	{"runtime information", func(e *env) {
		r := e.call(e.b, protocol.ReqGetBrokerRuntimeInfo, nil, nil)
		e.code(r, 0)
		for _, k := range []string{"bootTimestamp", "putTps", "brokerVersionDesc", "commitLogMaxOffset", "commitLogMinOffset", "earliestMessageTimeStamp"} {
			if !strings.Contains(string(r.Body), `"`+k+`"`) {
				e.Errorf("lacks %s", k)
			}
		}
	}},
	{"an unknown code is 3", func(e *env) {
		e.code(e.call(e.b, 9999, nil, nil), protocol.RespRequestCodeNotSupported, " request type 9999 not supported")
		// Named in Java's list of codes, sent and served by nobody.
		e.code(e.call(e.b, protocol.ReqQueryBrokerOffset, nil, nil), protocol.RespRequestCodeNotSupported, " request type 13 not supported")
	}},
}
