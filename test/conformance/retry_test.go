package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

func (e *env) putGroup(retryQueues, maxTimes int) {
	e.Helper()
	body := fmt.Sprintf(`{"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"groupName":"%s",`+
		`"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":%d,"retryQueueNums":%d,"whichBrokerWhenConsumeSlowly":1}`, e.group, maxTimes, retryQueues)
	e.code(e.call(e.b, protocol.ReqUpdateAndCreateSubscriptionGroup, nil, []byte(body)), 0)
}

// back gives a message of the case's topic back.
func (e *env) back(at int64, level int32, change ...func(h *protocol.ConsumerSendMsgBackRequestHeader)) *bench.Reply {
	e.Helper()
	h := &protocol.ConsumerSendMsgBackRequestHeader{Offset: at, Group: e.group, DelayLevel: level, OriginTopic: e.topic, OriginMsgID: "whatever"}
	for _, f := range change {
		f(h)
	}
	return e.call(e.b, protocol.ReqConsumerSendMsgBack, h, nil)
}

func times(n int32) func(h *protocol.ConsumerSendMsgBackRequestHeader) {
	return func(h *protocol.ConsumerSendMsgBackRequestHeader) {
		h.MaxReconsumeTimes, h.HasMaxReconsumeTimes = n, true
	}
}

// at is the log offset of a message that was just sent; the reply is valid until the next call.
func (e *env) at(r *bench.Reply) int64 {
	e.Helper()
	id := e.field(r, "msgId")
	n, err := strconv.ParseInt(id[len(id)-16:], 16, 64)
	if err != nil {
		e.Fatal(err)
	}
	return n
}

// records waits until a queue has n messages and returns all of them.
func (e *env) records(topic string, n int) []record.Message {
	e.Helper()
	var out []record.Message
	e.eventually(fmt.Sprintf("%d messages in %s", n, topic), func() bool {
		h := e.pullHeader(0, 0)
		h.Topic, h.ConsumerGroup = topic, "conf_reader"
		r := e.call(e.b, protocol.ReqPullMessage, h, nil)
		if r.Code != 0 {
			return false
		}
		out = out[:0]
		for rest := r.Body; len(rest) > 0; {
			var m record.Message
			size, err := record.Decode(rest, &m, true)
			if err != nil {
				e.Fatal(err)
			}
			out = append(out, m)
			rest = rest[size:]
		}
		return len(out) >= n
	})
	if len(out) != n {
		e.Fatalf("%d messages in %s, want %d", len(out), topic, n)
	}
	return out
}

func (e *env) prop(m *record.Message, name, want string) {
	e.Helper()
	v, _ := m.Props.Get(name)
	if string(v) != want {
		e.Errorf("property %s is %q, want %q", name, v, want)
	}
}

// toRetry sends a message to the group's retry topic, as a client does.
func (e *env) toRetry(tried, limit int32, props, body string) *bench.Reply {
	e.Helper()
	h := e.sendHeader()
	h.Topic, h.ProducerGroup = "%RETRY%"+e.group, "CLIENT_INNER_PRODUCER"
	h.ReconsumeTimes, h.MaxReconsumeTimes = tried, limit
	h.Properties = "RETRY_TOPIC\x01" + e.topic + "\x02ORIGIN_MESSAGE_ID\x010A\x02" + props
	r := e.call(e.b, protocol.ReqSendMessageV2, h, []byte(body))
	e.code(r, 0)
	return r
}

var retryCases = []testCase{
	{"a message that is given back comes again in the retry topic", func(e *env) {
		e.create(1)
		sent := e.send(0, "TAGS\x01blue\x02KEYS\x01k\x02", "again")
		id, key := e.field(sent, "msgId"), e.field(sent, "transactionId")
		begin := time.Now()
		e.code(e.back(e.at(sent), 1), 0)
		m := &e.records("%RETRY%"+e.group, 1)[0]
		if d := time.Since(begin); d < 900*time.Millisecond {
			e.Errorf("after %v, want 1 s", d)
		}
		if string(m.Body) != "again" || m.Reconsume != 1 {
			e.Errorf("body %q, reconsume times %d", m.Body, m.Reconsume)
		}
		e.prop(m, "RETRY_TOPIC", e.topic)
		e.prop(m, "ORIGIN_MESSAGE_ID", id)
		e.prop(m, "TAGS", "blue")
		e.prop(m, "KEYS", "k")
		e.prop(m, "WAIT", "false")
		e.prop(m, "REAL_TOPIC", "%RETRY%"+e.group)
		e.prop(m, "UNIQ_KEY", key)
	}},
	{"a retry of a retry keeps what the message was first", func(e *env) {
		e.create(1)
		sent := e.send(0, "", "twice")
		id := e.field(sent, "msgId")
		e.code(e.back(e.at(sent), 1), 0)
		first := e.records("%RETRY%"+e.group, 1)[0]
		e.code(e.back(int64(first.Offset), 1), 0)
		m := &e.records("%RETRY%"+e.group, 2)[1]
		if m.Reconsume != 2 {
			e.Errorf("reconsume times %d", m.Reconsume)
		}
		e.prop(m, "RETRY_TOPIC", e.topic)
		e.prop(m, "ORIGIN_MESSAGE_ID", id)
		e.code(e.back(int64(m.Offset), 0, times(2)), 0)
		dead := &e.records("%DLQ%"+e.group, 1)[0]
		e.prop(dead, "RETRY_TOPIC", e.topic)
		e.prop(dead, "ORIGIN_MESSAGE_ID", id)
		if dead.Reconsume != 3 {
			e.Errorf("reconsume times %d", dead.Reconsume)
		}
	}},
	{"a negative level is a dead letter, readable and registered at once", func(e *env) {
		e.create(1)
		sent := e.send(0, "TAGS\x01a\x02", "dead")
		id := e.field(sent, "msgId")
		e.code(e.back(e.at(sent), -1), 0)
		e.code(e.call(e.ns, protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: "%DLQ%" + e.group}, nil), 0, "")
		m := &e.records("%DLQ%"+e.group, 1)[0]
		if string(m.Body) != "dead" || m.Reconsume != 1 {
			e.Errorf("body %q, reconsume times %d", m.Body, m.Reconsume)
		}
		e.prop(m, "DELAY", "0")
		e.prop(m, "RETRY_TOPIC", e.topic)
		e.prop(m, "ORIGIN_MESSAGE_ID", id)
		r := e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: "%DLQ%" + e.group}, nil)
		e.code(r, 0)
		for _, s := range []string{`"perm":6`, `"readQueueNums":1`, `"writeQueueNums":1`} {
			if !strings.Contains(string(r.Body), s) {
				e.Errorf("%s lacks %s", r.Body, s)
			}
		}
	}},
	{"the client's limit of tries counts before the group's", func(e *env) {
		e.create(1)
		e.putGroup(1, 16)
		e.code(e.back(e.at(e.send(0, "", "x")), 0, times(0)), 0)
		e.records("%DLQ%"+e.group, 1)
	}},
	{"the group's limit of tries", func(e *env) {
		e.create(1)
		e.putGroup(1, 0)
		e.code(e.back(e.at(e.send(0, "", "x")), 1), 0)
		e.records("%DLQ%"+e.group, 1)
	}},
	{"a group without retry queues gets nothing back", func(e *env) {
		e.create(1)
		e.putGroup(0, 16)
		e.code(e.back(e.at(e.send(0, "", "x")), -1), 0)
		e.code(e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: "%DLQ%" + e.group}, nil), protocol.RespTopicNotExist)
	}},
	{"giving back creates group and retry topic", func(e *env) {
		e.create(1)
		e.code(e.back(e.at(e.send(0, "", "x")), 18), 0)
		r := e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: "%RETRY%" + e.group}, nil)
		e.code(r, 0)
		for _, s := range []string{`"perm":6`, `"readQueueNums":1`} {
			if !strings.Contains(string(r.Body), s) {
				e.Errorf("%s lacks %s", r.Body, s)
			}
		}
	}},
	{"a message that is gone cannot be given back", func(e *env) {
		e.create(1)
		e.code(e.back(1<<40, 0), protocol.RespSystemError, "look message by offset failed, 1099511627776")
	}},
	{"nor what is no message", func(e *env) {
		e.create(1)
		e.code(e.back(e.at(e.send(0, "", strings.Repeat("x", 200)))+9, 0), protocol.RespSystemError) // Java's remark is a stack trace
	}},
	{"a group with an illegal name cannot give back", func(e *env) {
		e.create(1)
		at := e.at(e.send(0, "", "x"))
		r := e.back(at, 0, func(h *protocol.ConsumerSendMsgBackRequestHeader) { h.Group = "no such, group" })
		e.code(r, protocol.RespSubscriptionGroupNotExist, "subscription group not exist, no such, group")
	}},
	{"a read-only retry topic", func(e *env) {
		e.create(1)
		e.putGroup(1, 16)
		topic := "%RETRY%" + e.group
		e.code(e.call(e.b, protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
			Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 4, TopicFilterType: "SINGLE_TAG",
		}, nil), 0)
		e.code(e.back(e.at(e.send(0, "", "x")), 0), protocol.RespNoPermission, "the topic["+topic+"] sending message is forbidden")
	}},
	{"a send to the retry topic comes after its delay", func(e *env) {
		e.create(1)
		e.known()
		e.toRetry(1, 16, "DELAY\x011\x02", "sent")
		m := &e.records("%RETRY%"+e.group, 1)[0]
		if m.Reconsume != 1 || string(m.Body) != "sent" {
			e.Errorf("%q %d", m.Body, m.Reconsume)
		}
		e.prop(m, "RETRY_TOPIC", e.topic)
		e.prop(m, "ORIGIN_MESSAGE_ID", "0A")
	}},
	{"a send to the retry topic with more tries than allowed is a dead letter", func(e *env) {
		e.create(1)
		e.known()
		e.toRetry(3, 2, "DELAY\x016\x02", "dead")
		m := &e.records("%DLQ%"+e.group, 1)[0]
		if m.Reconsume != 3 || string(m.Body) != "dead" {
			e.Errorf("%q %d", m.Body, m.Reconsume)
		}
		e.prop(m, "DELAY", "-1")
		e.prop(m, "ORIGIN_MESSAGE_ID", "0A")
	}},
	{"as many tries as allowed are not too many there", func(e *env) {
		e.create(1)
		e.known()
		e.toRetry(2, 2, "", "last")
		e.records("%RETRY%"+e.group, 1)
	}},
	{"a send to the retry topic of a group with locks is a dead letter", func(e *env) {
		e.create(1)
		e.known()
		e.code(e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("one", e.queueJSON("0"))), 0)
		e.toRetry(0, 16, "DELAY\x011\x02", "locked")
		e.records("%DLQ%"+e.group, 1)
		e.code(e.call(e.b, protocol.ReqUnlockBatchMQ, nil, e.lockBody("one", e.queueJSON("0"))), 0)
		e.toRetry(0, 16, "", "free")
		e.records("%RETRY%"+e.group, 1)
	}},
	{"a given-back message of a group with locks is tried again", func(e *env) {
		e.create(1)
		e.code(e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("one", e.queueJSON("0"))), 0)
		e.code(e.back(e.at(e.send(0, "", "x")), 1), 0)
		e.records("%RETRY%"+e.group, 1)
	}},
	{"locks of clients and groups that nobody has heard of", func(e *env) {
		r := e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("stranger", `{"brokerName":"other","queueId":77,"topic":"none"}`))
		e.code(r, 0)
		if !strings.Contains(string(r.Body), `"queueId":77`) {
			e.Errorf("body %s", r.Body)
		}
		e.code(e.call(e.b, protocol.ReqUnlockBatchMQ, nil, e.lockBody("stranger2", `{"brokerName":"other","queueId":77,"topic":"none"}`)), 0)
	}},
	{"a lock request for no queue", func(e *env) {
		r := e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("one"))
		e.code(r, 0)
		if !strings.Contains(string(r.Body), `"lockOKMQSet":[]`) {
			e.Errorf("body %s", r.Body)
		}
	}},
}
