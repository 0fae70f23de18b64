package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// kindConf has the broker keep light queues.
var kindConf = map[string]string{"enableLmq": "true", "enableMultiDispatch": "true"}

// createWith makes the case's topic with one queue and an attribute.
func (e *env) createWith(attribute string) { e.createKind(attribute, 1) }

func (e *env) createKind(attribute string, queues int32) {
	e.Helper()
	e.code(e.call(e.b, protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: e.topic, DefaultTopic: "TBW102", ReadQueueNums: queues, WriteQueueNums: queues, Perm: 6, TopicFilterType: "SINGLE_TAG", Attributes: attribute,
	}, nil), 0)
}

// sendBatch sends n messages as one batch with properties of its own.
func (e *env) sendBatch(props string, n int) *bench.Reply {
	e.Helper()
	var body []byte
	for i := range n {
		body = record.AppendBatchItem(body, 0, fmt.Append(nil, "m", i), record.Props("k\x01v\x02"))
	}
	h := e.sendHeader()
	h.Properties, h.Batch = props, true
	return e.call(e.b, protocol.ReqSendBatchMessage, h, body)
}

// multi sends a message to the case's topic that is in light queues, too.
func (e *env) multi(body string, names ...string) *bench.Reply {
	e.Helper()
	return e.send(0, "INNER_MULTI_DISPATCH\x01"+strings.Join(names, ",")+"\x02", body)
}

// light is the name of a light queue of the case.
func (e *env) light(name string) string { return "%LMQ%" + e.topic + name }

func prop(m *record.Message, name string) string {
	v, _ := m.Props.Get(name)
	return string(v)
}

var kindCases = []testCase{
	{"the priority of a message is its queue, and a pop begins at the highest", func(e *env) {
		e.createKind("+message.type=PRIORITY", 4)
		for i, c := range []struct {
			props string
			queue int64
			kept  string
		}{
			{"", 0, ""},
			{"_SYS_MSG_PRIORITY_\x012\x02", 2, "2"},
			{"_SYS_MSG_PRIORITY_\x010\x02", 0, "0"},
			{"_SYS_MSG_PRIORITY_\x0177\x02", 3, "77"},
			{"_SYS_MSG_PRIORITY_\x011\x02", 1, "1"},
			{"_SYS_MSG_PRIORITY_\x01x\x02", 0, "x"},
			{"_SYS_MSG_PRIORITY_\x01-1\x02", 0, "-1"},
			{"_SYS_MSG_PRIORITY_\x013\x02__SHARDINGKEY\x01k\x02", 0, ""},
			{"DELAY\x010\x02_SYS_MSG_PRIORITY_\x013\x02", 0, ""},
		} {
			r := e.send(0, c.props, fmt.Sprint("p", c.queue, "-", i))
			e.code(r, 0)
			if e.num(r, "queueId") != c.queue {
				e.Errorf("%q: queue %d, want %d", c.props, e.num(r, "queueId"), c.queue)
			}
			at := e.num(r, "queueOffset")
			e.filled(int(c.queue), at+1)
			ms := e.pulled(int(c.queue), at)
			if len(ms) != 1 || prop(&ms[0], "_SYS_MSG_PRIORITY_") != c.kept {
				e.Errorf("%q: %+v", c.props, ms)
			}
		}
		h := e.popHeader(time.Minute)
		h.MaxMsgNums = 1
		for i, want := range []string{"p3-3", "p2-1", "p1-4", "p0-0", "p0-2"} {
			if got := bodies(e.popAll(h, 1)); got != want {
				e.Errorf("pop %d: %s, want %s", i, got, want)
			}
		}
	}},
	{"a message with a lite topic is in a light queue, too", func(e *env) {
		e.createKind("+message.type=LITE", 1)
		r := e.send(0, "__LITE_TOPIC\x01alice\x02INNER_MULTI_DISPATCH\x01%LMQ%other\x02", "hello")
		e.code(r, 0)
		light := "%LMQ%$" + e.topic + "$alice"
		var ms []record.Message
		e.eventually("it is in the light queue", func() bool {
			h := e.pullHeader(0, 0)
			h.Topic = light
			if r := e.call(e.b, protocol.ReqPullMessage, h, nil); r.Code == 0 {
				ms = e.decode(r.Body)
			}
			return len(ms) > 0
		})
		if m := &ms[0]; string(m.Body) != "hello" || string(m.Topic) != e.topic || prop(m, "INNER_MULTI_DISPATCH") != light ||
			strings.Trim(prop(m, "INNER_MULTI_QUEUE_OFFSET"), "0") != "" {
			e.Errorf("%s %q", m.Topic, m.Props)
		}
	}},
	{"a batch with a key is one message in a topic of batch queues", func(e *env) {
		e.createWith("+queue.type=BatchCQ")
		for i := range 3 {
			r := e.sendBatch(fmt.Sprintf("UNIQ_KEY\x01U%d\x02", i), 4)
			e.code(r, 0)
			if id := e.field(r, "msgId"); len(id) != 32 || e.num(r, "queueOffset") != int64(4*i) || e.field(r, "batchUniqId") != fmt.Sprint("U", i) {
				e.Errorf("batch %d: %v", i, r.Fields)
			}
		}
		e.filled(0, 12)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 5), nil)
		e.code(r, 0)
		ms := e.decode(r.Body)
		if len(ms) != 2 || ms[0].Index != 4 || ms[1].Index != 8 || e.num(r, "nextBeginOffset") != 12 || e.num(r, "maxOffset") != 12 {
			e.Fatalf("%d messages, %v", len(ms), r.Fields)
		}
		const flags = record.SysFlagInnerBatch | record.SysFlagNeedUnwrap
		if m := &ms[0]; m.SysFlag&flags != flags || prop(m, "INNER_NUM") != "4" || strings.TrimLeft(prop(m, "INNER_BASE"), "0") != "4" {
			e.Errorf("flags %x, %q", m.SysFlag, m.Props)
		}
		it := record.IterBatch(ms[0].Body)
		_, body, props, ok := it.Next()
		if !ok || string(body) != "m0" || string(props) != "k\x01v\x02" {
			e.Errorf("first of the batch: %q %q", body, props)
		}
		lo, hi, err := e.b.Bounds(e.topic, 0)
		if err != nil || lo != 0 || hi != 12 {
			e.Errorf("bounds %d %d %v", lo, hi, err)
		}
	}},
	{"positions of a topic of batch queues by time", func(e *env) {
		e.createWith("+queue.type=BatchCQ")
		e.code(e.sendBatch("UNIQ_KEY\x01U\x02", 3), 0)
		e.code(e.sendBatch("UNIQ_KEY\x01V\x02", 3), 0)
		e.filled(0, 6)
		r := e.call(e.b, protocol.ReqSearchOffsetByTimestamp, &protocol.SearchOffsetRequestHeader{Topic: e.topic, Timestamp: 1}, nil)
		e.code(r, 0)
		if e.num(r, "offset") != 0 {
			e.Errorf("offset %d", e.num(r, "offset"))
		}
	}},
	{"sends of single messages to a topic of batch queues are answered", func(e *env) {
		e.createWith("+queue.type=BatchCQ")
		if r := e.send(0, "UNIQ_KEY\x01U\x02", "single"); e.num(r, "queueOffset") != 0 {
			e.Errorf("offset %d", e.num(r, "queueOffset"))
		}
		if r := e.send(0, "", "single"); e.num(r, "queueOffset") != 1 {
			e.Errorf("offset %d", e.num(r, "queueOffset"))
		}
	}},
	{"what only a broker may say of a batch is illegal", func(e *env) {
		e.createWith("+queue.type=BatchCQ")
		h := e.sendHeader()
		h.Properties = "INNER_NUM\x015\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespMessageIllegal)
		e.topic += "_simple"
		e.create(1)
		h = e.sendHeader()
		h.SysFlag = record.SysFlagInnerBatch
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespMessageIllegal)
	}},
	{"the type of queues cannot be changed", func(e *env) {
		e.createWith("+queue.type=BatchCQ")
		r := e.call(e.b, protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
			Topic: e.topic, DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6, TopicFilterType: "SINGLE_TAG",
			Attributes: "+queue.type=SimpleCQ",
		}, nil)
		e.code(r, protocol.RespSystemError, "attempt to update an unchangeable attribute. key: queue.type")
	}},
	{"a message is in the light queues that it names", func(e *env) {
		e.create(1)
		a, b := e.light("a"), e.light("b")
		e.multi("one", a, b)
		e.multi("two", b)
		e.multi("three", a)
		e.filled(0, 3)
		own := e.topic
		for name, want := range map[string]string{own: "one two three", a: "one three", b: "one two"} {
			e.topic = name
			e.eventually("the end of "+name, func() bool {
				_, hi, err := e.b.Bounds(name, 0)
				return err == nil && hi == int64(len(strings.Fields(want)))
			})
			if got := strings.Join(e.bodies(0, 0), " "); got != want {
				e.Errorf("%s has %s, want %s", name, got, want)
			}
		}
		e.topic = b
		m := e.pulled(0, 1)[0]
		if string(m.Topic) != own || m.Index != 1 || strings.TrimLeft(prop(&m, "INNER_MULTI_QUEUE_OFFSET"), "0") != "1" || prop(&m, "INNER_MULTI_DISPATCH") != b {
			e.Errorf("topic %s, index %d, %q", m.Topic, m.Index, m.Props)
		}
	}},
	{"positions in a light queue", func(e *env) {
		e.create(1)
		e.known()
		e.multi("one", e.light("a"))
		e.topic = e.light("a")
		e.filled(0, 1)
		e.code(e.commit(0, 1), 0)
		if r := e.committed(0, false); e.num(r, "offset") != 1 {
			e.Errorf("offset %d", e.num(r, "offset"))
		}
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 1), nil)
		e.code(r, protocol.RespPullNotFound)
	}},
	{"a light queue that nobody filled is there", func(e *env) {
		e.topic = e.light("none")
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 0), nil)
		e.code(r, protocol.RespPullNotFound)
		h := e.pullHeader(1, 0)
		e.code(e.call(e.b, protocol.ReqPullMessage, h, nil), protocol.RespInvalidParameter, "queueId[1] is illegal")
	}},
	{"a pull of a light queue waits for its next message", func(e *env) {
		e.create(1)
		name := e.light("a")
		e.multi("one", name)
		own := e.topic
		e.topic = name
		e.filled(0, 1)
		h := e.pullHeader(0, 1)
		h.SysFlag |= 2
		h.SuspendTimeoutMillis = 30_000
		c := e.dial(e.cluster.Addrs[0])
		done := make(chan *bench.Reply, 1)
		go func() {
			r, err := c.Call(protocol.ReqPullMessage, h, nil)
			if err != nil {
				e.Error(err)
			}
			done <- r
		}()
		e.topic = own
		e.multi("two", name)
		if r := <-done; r == nil || r.Code != 0 {
			e.Fatalf("%+v", r)
		} else if ms := e.decode(r.Body); len(ms) != 1 || string(ms[0].Body) != "two" {
			e.Errorf("%d messages", len(ms))
		}
	}},
	{"a topic to be compacted needs keys", func(e *env) {
		e.createWith("+cleanup.policy=COMPACTION")
		h := e.sendHeader()
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespMessageIllegal, "Required message key is missing")
		h.Properties = "KEYS\x01k\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), 0)
	}},
}
