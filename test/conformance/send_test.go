package conformance

import (
	"encoding/binary"
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
)

var sendCases = []testCase{
	{"a send answers id, queue, offset, region and trace flag", func(e *env) {
		e.create(4)
		r := e.send(2, "TAGS\x01A\x02UNIQ_KEY\x01ABCDEF\x02", "hello")
		if id := e.field(r, "msgId"); len(id) != 32 || strings.ToUpper(id) != id {
			e.Errorf("msgId %q", id)
		}
		if e.num(r, "queueId") != 2 || e.num(r, "queueOffset") != 0 {
			e.Errorf("queue %d offset %d", e.num(r, "queueId"), e.num(r, "queueOffset"))
		}
		if e.field(r, "transactionId") != "ABCDEF" || e.field(r, "MSG_REGION") == "" || e.field(r, "TRACE_ON") != "true" {
			e.Errorf("fields %v", r.Fields)
		}
	}},
	{"queue offsets count up", func(e *env) {
		e.create(1)
		for i := range 5 {
			if r := e.send(0, "", "x"); e.num(r, "queueOffset") != int64(i) {
				e.Errorf("offset %d at message %d", e.num(r, "queueOffset"), i)
			}
		}
	}},
	{"V1 names are taken", func(e *env) {
		e.create(1)
		r := e.call(e.b, protocol.ReqSendMessage, &protocol.SendMessageRequestHeader{
			ProducerGroup: "p", Topic: e.topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: 1, MaxReconsumeTimes: 16,
		}, []byte("v1"))
		e.code(r, 0)
	}},
	{"an unknown topic is created with the smaller number of queues", func(e *env) {
		e.send(3, "", "auto")
		e.eventually("route", func() bool {
			r := e.call(e.ns, protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: e.topic}, nil)
			return r.Code == 0 && strings.Contains(string(r.Body), `"writeQueueNums":4`) && strings.Contains(string(r.Body), `"perm":6`)
		})
	}},
	{"without a template topic an unknown topic is 17", func(e *env) {
		h := e.sendHeader()
		h.DefaultTopic = "no_such_template"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespTopicNotExist, "apply first please!")
	}},
	{"a queue out of range is refused", func(e *env) {
		e.create(2)
		h := e.sendHeader()
		h.QueueID = 7
		r := e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x"))
		e.code(r, protocol.RespInvalidParameter, "queueId[7] is illegal")
	}},
	{"queue -1 lets the broker choose", func(e *env) {
		e.create(2)
		h := e.sendHeader()
		h.QueueID = -1
		r := e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x"))
		e.code(r, 0)
		if q := e.num(r, "queueId"); q < 0 || q > 1 {
			e.Errorf("queue %d", q)
		}
	}},
	{"illegal topic characters are refused", func(e *env) {
		h := e.sendHeader()
		h.Topic = "bad topic!"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespInvalidParameter)
	}},
	{"a blank topic is refused", func(e *env) {
		h := e.sendHeader()
		h.Topic = " "
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespInvalidParameter, "blank")
	}},
	{"a topic that is too long is refused", func(e *env) {
		h := e.sendHeader()
		h.Topic = strings.Repeat("t", 128)
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespInvalidParameter)
	}},
	{"system topics are forbidden", func(e *env) {
		h := e.sendHeader()
		h.Topic = "SCHEDULE_TOPIC_XXXX"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespNoPermission, "is forbidden")
	}},
	{"a body over the limit is illegal", func(e *env) {
		e.create(1)
		e.code(e.call(e.b, protocol.ReqSendMessageV2, e.sendHeader(), make([]byte, 4<<20+1)), protocol.RespMessageIllegal)
	}},
	{"a body at the limit is stored", func(e *env) {
		e.create(1)
		e.code(e.call(e.b, protocol.ReqSendMessageV2, e.sendHeader(), make([]byte, 4<<20)), 0)
	}},
	{"properties over the limit are illegal", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Properties = "k\x01" + strings.Repeat("v", 32760) + "\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespMessageIllegal)
	}},
	{"a batch is stored message by message", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Batch = true
		var body []byte
		for _, s := range []string{"one", "two", "three"} {
			body = appendInner(body, s, "UNIQ_KEY\x01U"+s+"\x02")
		}
		r := e.call(e.b, protocol.ReqSendBatchMessage, h, body)
		e.code(r, 0)
		if ids := strings.Split(e.field(r, "msgId"), ","); len(ids) != 3 {
			e.Errorf("msgId %q", e.field(r, "msgId"))
		}
		e.filled(0, 3)
		if got := e.bodies(0, 0); strings.Join(got, " ") != "one two three" {
			e.Errorf("stored %v", got)
		}
	}},
	{"the stored message keeps body, flags and properties", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Flag, h.Properties = 7, "KEYS\x01k1 k2\x02a\x01b\x02UNIQ_KEY\x01U1\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("kept")), 0)
		e.filled(0, 1)
		m := e.pulled(0, 0)[0]
		if m.Flag != 7 || string(m.Body) != "kept" || m.BornTime != h.BornTimestamp || string(m.Topic) != e.topic {
			e.Errorf("stored %+v", m)
		}
		for k, want := range map[string]string{"KEYS": "k1 k2", "a": "b", "UNIQ_KEY": "U1", "CLUSTER": "DefaultCluster", "MSG_REGION": "DefaultRegion", "TRACE_ON": "true"} {
			if v, _ := m.Props.Get(k); string(v) != want {
				e.Errorf("property %s = %q, want %q", k, v, want)
			}
		}
	}},
	{"a unique key is added when there is none", func(e *env) {
		e.create(1)
		e.send(0, "", "x")
		e.filled(0, 1)
		if v, _ := e.pulled(0, 0)[0].Props.Get("UNIQ_KEY"); len(v) != 32 && len(v) != 56 { // 56 where the broker's address is IPv6
			e.Errorf("UNIQ_KEY %q", v)
		}
	}},
	{"binary headers are taken", func(e *env) {
		e.create(1)
		c := e.dialBinary()
		r := e.call(c, protocol.ReqSendMessageV2, e.sendHeader(), []byte("bin"))
		e.code(r, 0)
		if e.num(r, "queueOffset") != 0 {
			e.Errorf("fields %v", r.Fields)
		}
	}},
}

func appendInner(dst []byte, body, props string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(22+len(body)+len(props)))
	dst = append(dst, make([]byte, 12)...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	dst = append(dst, body...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(props)))
	return append(dst, props...)
}
