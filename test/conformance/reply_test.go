package conformance

import (
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

const replyTopic = "DefaultCluster_REPLY_TOPIC"

func replyHeader(props string) *protocol.SendMessageRequestHeaderV2 {
	return &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "conf_p", Topic: replyTopic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: time.Now().UnixMilli(),
		MaxReconsumeTimes: -1, Properties: props,
	}
}

func replyProps(client string) string {
	return "CORRELATION_ID\x01c1\x02REPLY_TO_CLIENT\x01" + client + "\x02MSG_TYPE\x01reply\x02TTL\x013000\x02"
}

var replyCases = []testCase{
	{"an answer is pushed to the client that asked", func(e *env) {
		m := e.member("asker", answers{protocol.ReqPushReplyMessageToClient: says(0, "", "")})
		m.beat()
		answerer := e.member("answerer", nil)
		h := replyHeader(replyProps(m.id))
		r := answerer.ask(protocol.ReqSendReplyMessageV2, h, []byte("the answer"))
		answerer.want(r, 0, "")
		if r.Ext["MSG_REGION"] == "" || r.Ext["TRACE_ON"] == "" {
			e.Errorf("fields %v", r.Ext)
		}
		q := m.asked()
		if string(q.Body) != "the answer" || q.Ext["topic"] != replyTopic || q.Ext["producerGroup"] != "conf_p" || q.Ext["bornTimestamp"] != strconv.FormatInt(h.BornTimestamp, 10) {
			e.Errorf("pushed %v %q", q.Ext, q.Body)
		}
		props := q.Ext["properties"]
		for _, want := range []string{"CORRELATION_ID\x01c1", "MSG_TYPE\x01reply", "PUSH_REPLY_TIME\x01"} {
			if !strings.Contains(props, want) {
				e.Errorf("properties %q lack %q", props, want)
			}
		}
		for _, key := range []string{"bornHost", "storeHost"} {
			if !strings.Contains(q.Ext[key], ":") {
				e.Errorf("%s = %q", key, q.Ext[key])
			}
		}
	}},
	{"an answer with the long field names", func(e *env) {
		m := e.member("asker", answers{protocol.ReqPushReplyMessageToClient: says(0, "", "")})
		m.beat()
		h := protocol.SendMessageRequestHeader(*replyHeader(replyProps(m.id)))
		m.want(m.ask(protocol.ReqSendReplyMessage, &h, []byte("v1")), 0, "")
		if q := m.asked(); string(q.Body) != "v1" {
			e.Errorf("pushed %q", q.Body)
		}
	}},
	{"answers are stored", func(e *env) {
		m := e.member("asker", answers{protocol.ReqPushReplyMessageToClient: says(0, "", "")})
		m.beat()
		stored := func() int64 {
			_, hi, err := e.b.Bounds(replyTopic, 0)
			if err != nil {
				e.Fatal(err)
			}
			return hi
		}
		before := stored()
		m.want(m.ask(protocol.ReqSendReplyMessageV2, replyHeader(replyProps(m.id)), []byte("kept")), 0, "")
		e.eventually("one more in the reply topic", func() bool { return stored() == before+1 })
		m.want(m.ask(protocol.ReqSendReplyMessageV2, replyHeader(replyProps("nobody")), []byte("kept, too")), 1, "")
		e.eventually("one that nobody got", func() bool { return stored() == before+2 })
	}},
	{"answers that cannot be delivered", func(e *env) {
		m := e.member("asker", answers{protocol.ReqPushReplyMessageToClient: func(*remoting.Request) *remoting.Command {
			return &remoting.Command{Code: 1, Remark: "no"}
		}})
		m.beat()
		m.want(m.ask(protocol.ReqSendReplyMessageV2, replyHeader("A\x01b\x02"), []byte("x")), 1, "reply message properties[REPLY_TO_CLIENT] is null")
		m.want(m.ask(protocol.ReqSendReplyMessageV2, replyHeader(replyProps("nobody")), []byte("x")), 1, "push reply message fail, channel of <nobody> not found.")
		m.want(m.ask(protocol.ReqSendReplyMessageV2, replyHeader(replyProps(m.id)), []byte("x")), 1, "push reply message to "+m.id+"fail.")
	}},
	{"an answer to an illegal topic or queue", func(e *env) {
		m := e.member("asker", nil)
		h := replyHeader(replyProps(m.id))
		h.Topic = "SCHEDULE_TOPIC_XXXX"
		m.want(m.ask(protocol.ReqSendReplyMessageV2, h, []byte("x")), protocol.RespNoPermission, "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.")
		h = replyHeader(replyProps(m.id))
		h.QueueID = 77
		m.want(m.ask(protocol.ReqSendReplyMessageV2, h, []byte("x")), protocol.RespInvalidParameter, "request queueId[77] is illegal")
		h = replyHeader(replyProps(m.id))
		h.Topic = "conf no such topic"
		m.want(m.ask(protocol.ReqSendReplyMessageV2, h, []byte("x")), protocol.RespInvalidParameter, "")
	}},
}
