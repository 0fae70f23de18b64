package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

func (e *env) popHeader(invisible time.Duration) *protocol.PopMessageRequestHeader {
	return &protocol.PopMessageRequestHeader{
		ConsumerGroup: e.group, Topic: e.topic, QueueID: -1, MaxMsgNums: 32, InvisibleTime: invisible.Milliseconds(),
		PollTime: 0, BornTime: time.Now().UnixMilli(), InitMode: 0, ExpressionType: "TAG", Expression: "*",
	}
}

// popped is one message of a pop with the handle that a client would make.
type popped struct {
	body      string
	topic     string
	queue     int32
	index     int64
	reconsume int32
	handle    string
}

// pop pops without waiting; no message is no error.
func (e *env) pop(h *protocol.PopMessageRequestHeader) []popped {
	e.Helper()
	h.BornTime = time.Now().UnixMilli()
	r := e.call(e.b, protocol.ReqPopMessage, h, nil)
	if r.Code == protocol.RespPollingTimeout {
		return nil
	}
	e.code(r, 0)
	starts := map[string]string{}
	for s := range strings.SplitSeq(e.field(r, "startOffsetInfo"), ";") {
		if f := strings.Fields(s); len(f) == 3 {
			starts[f[0]+"@"+f[1]] = f[2]
		}
	}
	var out []popped
	for rest := r.Body; len(rest) > 0; {
		var m record.Message
		n, err := record.Decode(rest, &m, true)
		if err != nil {
			e.Fatal(err)
		}
		rest = rest[n:]
		p := popped{body: string(m.Body), topic: string(m.Topic), queue: m.QueueID, index: int64(m.Index), reconsume: m.Reconsume}
		if ck, ok := m.Props.Get("POP_CK"); ok {
			p.handle = string(ck)
		} else {
			start, ok := starts["0@"+strconv.Itoa(int(m.QueueID))]
			if !ok {
				e.Fatalf("queue %d is not in startOffsetInfo %q", m.QueueID, e.field(r, "startOffsetInfo"))
			}
			p.handle = fmt.Sprintf("%s %s %s %s 0 broker-a %d %d", start, e.field(r, "popTime"), e.field(r, "invisibleTime"), e.field(r, "reviveQid"), m.QueueID, m.Index)
		}
		out = append(out, p)
	}
	return out
}

// popAll pops until n messages came.
func (e *env) popAll(h *protocol.PopMessageRequestHeader, n int) []popped {
	e.Helper()
	var out []popped
	e.eventually(fmt.Sprintf("%d messages are popped", n), func() bool {
		out = append(out, e.pop(h)...)
		return len(out) >= n
	})
	if len(out) != n {
		e.Fatalf("%d messages, want %d", len(out), n)
	}
	return out
}

func (e *env) popTopic(p popped) string {
	switch strings.Fields(p.handle)[4] {
	case "1":
		return "%RETRY%" + e.group + "_" + e.topic
	case "2":
		return "%RETRY%" + e.group + "+" + e.topic
	}
	return e.topic
}

func (e *env) ackHeader(p popped) *protocol.AckMessageRequestHeader {
	return &protocol.AckMessageRequestHeader{
		ConsumerGroup: e.group, Topic: e.popTopic(p), QueueID: p.queue, ExtraInfo: p.handle, Offset: p.index,
	}
}

func (e *env) ack(list ...popped) {
	e.Helper()
	for _, p := range list {
		e.code(e.call(e.b, protocol.ReqAckMessage, e.ackHeader(p), nil), 0)
	}
}

func bodies(list []popped) string {
	var out []string
	for _, p := range list {
		out = append(out, p.body)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// fill stores n messages m0, m1 ... in a queue.
func (e *env) fill(queue, n int) {
	e.Helper()
	for i := range n {
		e.send(queue, "", "m"+strconv.Itoa(i))
	}
	e.filled(queue, int64(n))
}

// comesAgain waits for messages that were not acknowledged: Java takes some seconds more than the invisible time.
func (e *env) comesAgain(h *protocol.PopMessageRequestHeader, n int) []popped {
	e.Helper()
	var out []popped
	end := time.Now().Add(time.Minute)
	for len(out) < n {
		if time.Now().After(end) {
			e.Fatalf("%d of %d messages came again", len(out), n)
		}
		h.PollTime = 2000
		out = append(out, e.pop(h)...)
	}
	return out
}

func (e *env) assignment(client string) *protocol.QueryAssignmentResponseBody {
	e.Helper()
	r := e.call(e.b, protocol.ReqQueryAssignment, nil, []byte(`{"clientId":"`+client+"@"+e.group+`","consumerGroup":"`+e.group+
		`","messageModel":"CLUSTERING","strategyName":"AVG","topic":"`+e.topic+`"}`))
	e.code(r, 0)
	var b protocol.QueryAssignmentResponseBody
	if err := b.Decode(r.Body); err != nil {
		e.Fatal(err)
	}
	return &b
}

func (e *env) setMode(mode string, share int) {
	e.Helper()
	b := protocol.SetMessageRequestModeRequestBody{Topic: e.topic, ConsumerGroup: e.group, Mode: mode, PopShareQueueNum: int32(share)}
	e.code(e.call(e.b, protocol.ReqSetMessageRequestMode, nil, b.AppendTo(nil, false)), 0)
}

var popCases = []testCase{
	{"a pop hands out all queues once", func(e *env) {
		e.create(3)
		for q := range 3 {
			e.fill(q, 2)
		}
		list := e.popAll(e.popHeader(time.Minute), 6)
		if bodies(list) != "m0 m0 m0 m1 m1 m1" {
			e.Errorf("%v", list)
		}
		if again := e.pop(e.popHeader(time.Minute)); len(again) != 0 {
			e.Errorf("again: %v", again)
		}
		e.ack(list...)
	}},
	{"the texts of a pop name queue, start and offsets", func(e *env) {
		e.create(1)
		e.fill(0, 3)
		h := e.popHeader(time.Minute)
		h.QueueID = 0
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, 0)
		if s := e.field(r, "startOffsetInfo"); s != "0 0 0" {
			e.Errorf("startOffsetInfo %q", s)
		}
		if s := e.field(r, "msgOffsetInfo"); s != "0 0 0,1,2" {
			e.Errorf("msgOffsetInfo %q", s)
		}
		if s := e.field(r, "orderCountInfo"); s != "" {
			e.Errorf("orderCountInfo %q", s)
		}
		if e.num(r, "invisibleTime") != 60_000 || e.num(r, "restNum") != 0 || e.num(r, "reviveQid") > 7 || e.num(r, "popTime") < h.BornTime-5000 {
			e.Errorf("%v", r.Fields)
		}
	}},
	{"a pop takes no more than it asks for and says what is left", func(e *env) {
		e.create(1)
		e.fill(0, 5)
		h := e.popHeader(time.Minute)
		h.MaxMsgNums = 2
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, 0)
		if s := e.field(r, "msgOffsetInfo"); s != "0 0 0,1" || e.num(r, "restNum") != 3 {
			e.Errorf("%q, rest %d", s, e.num(r, "restNum"))
		}
		if list := e.popAll(e.popHeader(time.Minute), 3); bodies(list) != "m2 m3 m4" {
			e.Errorf("%v", list)
		}
	}},
	{"what is not acknowledged comes again, with its topic, once more consumed", func(e *env) {
		e.create(1)
		e.fill(0, 4)
		h := e.popHeader(2 * time.Second)
		list := e.popAll(h, 4)
		e.ack(list[0], list[2])
		h.InvisibleTime = 60_000
		again := e.comesAgain(h, 2)
		if bodies(again) != "m1 m3" {
			e.Fatalf("%v", again)
		}
		for _, p := range again {
			if p.reconsume != 1 || p.topic != e.topic {
				e.Errorf("%+v", p)
			}
		}
		e.ack(again...)
	}},
	{"a pop waits for a message", func(e *env) {
		e.create(1)
		c := e.dial(e.cluster.Addrs[0])
		got := make(chan error, 1)
		e.pop(e.popHeader(time.Minute))
		go func() {
			h := e.popHeader(time.Minute)
			h.PollTime = 30_000
			r, err := c.Call(protocol.ReqPopMessage, h, nil)
			if err == nil && (r.Code != 0 || len(r.Body) == 0) {
				err = fmt.Errorf("code %d, %d bytes", r.Code, len(r.Body))
			}
			got <- err
		}()
		e.eventually("one pop waits", func() bool {
			r := e.call(e.b, protocol.ReqPollingInfo, &protocol.PollingInfoRequestHeader{ConsumerGroup: e.group, Topic: e.topic, QueueID: -1}, nil)
			e.code(r, 0)
			return e.num(r, "pollingNum") == 1
		})
		e.send(0, "", "late")
		if err := <-got; err != nil {
			e.Error(err)
		}
	}},
	{"a pop that waited in vain is 210", func(e *env) {
		e.create(1)
		h := e.popHeader(time.Minute)
		h.PollTime = 500
		begin := time.Now()
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, protocol.RespPollingTimeout)
		if d := time.Since(begin); d < 300*time.Millisecond || d > 20*time.Second {
			e.Errorf("answered after %v", d)
		}
	}},
	{"a pop that comes too late is 210", func(e *env) {
		e.create(1)
		e.fill(0, 1)
		h := e.popHeader(time.Minute)
		h.BornTime -= 60_000
		e.code(e.call(e.b, protocol.ReqPopMessage, h, nil), protocol.RespPollingTimeout, "timeout too much")
	}},
	{"a pop of more than 32 messages is 29", func(e *env) {
		e.create(1)
		h := e.popHeader(time.Minute)
		h.MaxMsgNums = 33
		e.code(e.call(e.b, protocol.ReqPopMessage, h, nil), protocol.RespInvalidParameter, "greater than 32")
	}},
	{"a pop of an unknown topic is 17", func(e *env) {
		e.code(e.call(e.b, protocol.ReqPopMessage, e.popHeader(time.Minute), nil), protocol.RespTopicNotExist, "not exist, apply first please!")
	}},
	{"a pop of a queue that is not there is 29", func(e *env) {
		e.create(2)
		h := e.popHeader(time.Minute)
		h.QueueID = 2
		e.code(e.call(e.b, protocol.ReqPopMessage, h, nil), protocol.RespInvalidParameter, "queueId[2] is illegal")
	}},
	{"a pop takes what its tags take", func(e *env) {
		e.create(1)
		for i := range 6 {
			e.send(0, "TAGS\x01"+string(rune('A'+i%2))+"\x02", "m"+strconv.Itoa(i))
		}
		e.filled(0, 6)
		h := e.popHeader(time.Minute)
		h.Expression = "B"
		list := e.popAll(h, 3)
		if bodies(list) != "m1 m3 m5" {
			e.Errorf("%v", list)
		}
		e.ack(list...)
	}},
	{"a bad expression is 23", func(e *env) {
		e.create(1)
		h := e.popHeader(time.Minute)
		h.Expression = "||"
		e.code(e.call(e.b, protocol.ReqPopMessage, h, nil), protocol.RespSubscriptionParseFailed)
	}},
	{"a new group of a young topic begins with the first message, whatever its mode", func(e *env) {
		e.create(1)
		e.fill(0, 3)
		h := e.popHeader(time.Minute)
		h.InitMode = 1
		if list := e.popAll(h, 3); bodies(list) != "m0 m1 m2" {
			e.Errorf("%v", list)
		}
	}},
	{"a message whose invisible time is changed comes later, under a new handle", func(e *env) {
		e.create(1)
		e.fill(0, 1)
		h := e.popHeader(2 * time.Second)
		p := e.popAll(h, 1)[0]
		r := e.call(e.b, protocol.ReqChangeMessageInvisibleTime, &protocol.ChangeInvisibleTimeRequestHeader{
			ConsumerGroup: e.group, Topic: e.topic, QueueID: p.queue, ExtraInfo: p.handle, Offset: p.index, InvisibleTime: 60_000,
		}, nil)
		e.code(r, 0)
		if e.num(r, "invisibleTime") != 60_000 || e.num(r, "popTime") < h.BornTime-5000 {
			e.Errorf("%v", r.Fields)
		}
		f := strings.Fields(p.handle)
		f[0], f[1], f[2], f[3] = strconv.FormatInt(p.index, 10), e.field(r, "popTime"), e.field(r, "invisibleTime"), e.field(r, "reviveQid")
		p.handle = strings.Join(f, " ")
		h.PollTime = 8000
		if list := e.pop(h); len(list) != 0 {
			e.Errorf("came at its old time: %v", list)
		}
		e.ack(p)
	}},
	{"a message can be made visible soon", func(e *env) {
		e.create(1)
		e.fill(0, 1)
		h := e.popHeader(time.Hour)
		p := e.popAll(h, 1)[0]
		e.code(e.call(e.b, protocol.ReqChangeMessageInvisibleTime, &protocol.ChangeInvisibleTimeRequestHeader{
			ConsumerGroup: e.group, Topic: e.topic, QueueID: p.queue, ExtraInfo: p.handle, Offset: p.index, InvisibleTime: 1000,
		}, nil), 0)
		e.ack(e.comesAgain(h, 1)...)
	}},
	{"acks of what is not there", func(e *env) {
		e.create(1)
		e.fill(0, 1)
		p := e.popAll(e.popHeader(time.Minute), 1)[0]
		h := e.ackHeader(p)
		h.Offset = 99
		e.code(e.call(e.b, protocol.ReqAckMessage, h, nil), protocol.RespNoMessage, "offset is illegal")
		h = e.ackHeader(p)
		h.QueueID = 5
		e.code(e.call(e.b, protocol.ReqAckMessage, h, nil), protocol.RespMessageIllegal, "queueId[5] is illegal")
		h = e.ackHeader(p)
		h.Topic = "none_" + e.topic
		e.code(e.call(e.b, protocol.ReqAckMessage, h, nil), protocol.RespTopicNotExist, "not exist, apply first please!")
		e.ack(p, p) // twice is no error
	}},
	{"a forged handle and one of another group settle nothing", func(e *env) {
		e.create(1)
		e.fill(0, 1)
		h := e.popHeader(2 * time.Second)
		p := e.popAll(h, 1)[0]
		forged := p
		f := strings.Fields(p.handle)
		f[1] = strconv.Itoa(1_600_000_000_000)
		forged.handle = strings.Join(f, " ")
		e.ack(forged)
		other := e.ackHeader(p)
		other.ConsumerGroup += "_other"
		e.code(e.call(e.b, protocol.ReqAckMessage, other, nil), 0)
		h.InvisibleTime = 60_000
		e.ack(e.comesAgain(h, 1)...)
	}},
	{"a batch of acks", func(e *env) {
		e.create(1)
		e.fill(0, 4)
		h := e.popHeader(3 * time.Second)
		list := e.popAll(h, 4)
		f := strings.Fields(list[0].handle)
		num := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
		b := protocol.BatchAckMessageRequestBody{BrokerName: "broker-a", Acks: []protocol.BatchAck{{
			ConsumerGroup: e.group, Topic: e.topic, Retry: "0", StartOffset: num(0), QueueID: 0, ReviveQueueID: int32(num(3)), PopTime: num(1),
			InvisibleTime: num(2), BitSet: []byte{0b1011},
		}}}
		e.code(e.call(e.b, protocol.ReqBatchAckMessage, nil, b.AppendTo(nil, false)), 0)
		h.InvisibleTime = 60_000
		again := e.comesAgain(h, 1)
		if bodies(again) != "m2" {
			e.Errorf("%v", again)
		}
		e.ack(again...)
		h.PollTime = 1000
		if list := e.pop(h); len(list) != 0 {
			e.Errorf("%v", list)
		}
	}},
	{"a batch without acks is 208", func(e *env) {
		e.code(e.call(e.b, protocol.ReqBatchAckMessage, nil, []byte(`{"acks":[],"brokerName":"broker-a"}`)), protocol.RespNoMessage)
	}},
	{"a notification tells of messages", func(e *env) {
		e.create(1)
		ask := func(poll int64) *protocol.NotificationRequestHeader {
			return &protocol.NotificationRequestHeader{ConsumerGroup: e.group, Topic: e.topic, QueueID: -1, PollTime: poll, BornTime: time.Now().UnixMilli()}
		}
		r := e.call(e.b, protocol.ReqNotification, ask(300), nil)
		e.code(r, 0)
		if e.field(r, "hasMsg") != "false" {
			e.Errorf("%v", r.Fields)
		}
		e.fill(0, 1)
		r = e.call(e.b, protocol.ReqNotification, ask(3000), nil)
		e.code(r, 0)
		if e.field(r, "hasMsg") != "true" {
			e.Errorf("%v", r.Fields)
		}
	}},
	{"a peek reads and does not take", func(e *env) {
		e.create(1)
		h := &protocol.PeekMessageRequestHeader{ConsumerGroup: e.group, Topic: e.topic, QueueID: 0, MaxMsgNums: 32}
		e.code(e.call(e.b, protocol.ReqPeekMessage, h, nil), protocol.RespPullNotFound)
		e.fill(0, 2)
		for range 2 {
			r := e.call(e.b, protocol.ReqPeekMessage, h, nil)
			e.code(r, 0)
			if n := strings.Count(string(r.Body), e.topic); n != 2 {
				e.Errorf("%d messages", n)
			}
		}
		e.ack(e.popAll(e.popHeader(time.Minute), 2)...)
	}},
	{"an ordered pop blocks its queue until all is acknowledged", func(e *env) {
		e.create(1)
		e.fill(0, 4)
		h := e.popHeader(time.Minute)
		h.Order, h.MaxMsgNums = true, 2
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, 0)
		if e.num(r, "reviveQid") != 999 || e.field(r, "orderCountInfo") != "0 0 0" || e.field(r, "msgOffsetInfo") != "0 0 0,1" {
			e.Fatalf("%v", r.Fields)
		}
		popTime := e.field(r, "popTime")
		handle := func(at int) popped {
			return popped{index: int64(at), handle: fmt.Sprintf("0 %s 60000 999 0 broker-a 0 %d", popTime, at)}
		}
		if list := e.pop(h); len(list) != 0 {
			e.Fatalf("not blocked: %v", list)
		}
		e.ack(handle(0))
		if list := e.pop(h); len(list) != 0 {
			e.Fatalf("not blocked: %v", list)
		}
		e.ack(handle(1))
		if list := e.pop(h); bodies(list) != "m2 m3" {
			e.Errorf("%v", list)
		}
	}},
	{"an ordered pop repeats its attempt", func(e *env) {
		e.create(1)
		e.fill(0, 2)
		h := e.popHeader(time.Minute)
		h.Order, h.AttemptID = true, "one"
		if list := e.pop(h); bodies(list) != "m0 m1" {
			e.Fatalf("%v", list)
		}
		if list := e.pop(h); bodies(list) != "m0 m1" {
			e.Errorf("%v", list)
		}
		h.AttemptID = "two"
		if list := e.pop(h); len(list) != 0 {
			e.Errorf("%v", list)
		}
	}},
	{"an ordered batch comes again with its counts", func(e *env) {
		e.create(1)
		e.fill(0, 2)
		h := e.popHeader(time.Second)
		h.Order, h.AttemptID = true, "one"
		if list := e.pop(h); bodies(list) != "m0 m1" {
			e.Fatalf("%v", list)
		}
		time.Sleep(1200 * time.Millisecond)
		h.AttemptID, h.BornTime = "two", time.Now().UnixMilli()
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, 0)
		if s := e.field(r, "orderCountInfo"); s != "0 qo0%0 1;0 qo0%1 1;0 0 1" {
			e.Errorf("orderCountInfo %q", s)
		}
	}},
	{"an ordered message can be hidden for longer", func(e *env) {
		e.create(1)
		e.fill(0, 1)
		h := e.popHeader(time.Minute)
		h.Order = true
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, 0)
		popTime := e.field(r, "popTime")
		handle := fmt.Sprintf("0 %s 60000 999 0 broker-a 0 0", popTime)
		c := e.call(e.b, protocol.ReqChangeMessageInvisibleTime, &protocol.ChangeInvisibleTimeRequestHeader{
			ConsumerGroup: e.group, Topic: e.topic, ExtraInfo: handle, InvisibleTime: 500,
		}, nil)
		e.code(c, 0)
		if e.field(c, "popTime") != popTime || e.num(c, "invisibleTime") < 500 || e.num(c, "invisibleTime") > 20_000 {
			e.Errorf("%v", c.Fields)
		}
		e.comesAgain(h, 1)
	}},
	{"an ordered ack of an index that is not out is 13", func(e *env) {
		e.create(1)
		e.fill(0, 3)
		h := e.popHeader(time.Minute)
		h.Order, h.MaxMsgNums = true, 1
		r := e.call(e.b, protocol.ReqPopMessage, h, nil)
		e.code(r, 0)
		handle := fmt.Sprintf("0 %s %s 999 0 broker-a 0 2", e.field(r, "popTime"), e.field(r, "invisibleTime"))
		e.code(e.call(e.b, protocol.ReqAckMessage, e.ackHeader(popped{index: 2, handle: handle}), nil), protocol.RespMessageIllegal, "offset is illegal")
	}},
	{"a group that pops is assigned the broker", func(e *env) {
		e.create(4)
		e.heartbeat(e.b, "a", 1)
		e.setMode("POP", 0)
		e.eventually("one assignment of mode POP", func() bool {
			as := e.assignment("a").Assignments
			return len(as) == 1 && as[0].Mode == "POP" && as[0].Queue.QueueID == -1 && as[0].Queue.BrokerName == "broker-a"
		})
		e.setMode("PULL", 0)
		e.eventually("four of mode PULL", func() bool {
			as := e.assignment("a").Assignments
			return len(as) == 4 && as[0].Mode == "PULL"
		})
	}},
	{"a group that pops with shared queues", func(e *env) {
		e.create(8)
		e.heartbeat(e.b, "a", 1)
		for _, id := range []string{"b", "c", "d"} {
			e.heartbeat(e.dial(e.cluster.Addrs[0]), id, 1)
		}
		e.setMode("POP", 1)
		e.eventually("its own queues and those of one more", func() bool {
			var ids []int
			for _, a := range e.assignment("d").Assignments {
				ids = append(ids, int(a.Queue.QueueID))
			}
			slices.Sort(ids)
			return fmt.Sprint(ids) == "[0 1 6 7]"
		})
	}},
	{"the mode of a retry topic cannot be set, nor of unknown ones", func(e *env) {
		e.known17()
		set := func(topic string) int32 {
			b := protocol.SetMessageRequestModeRequestBody{Topic: topic, ConsumerGroup: e.group, Mode: "POP"}
			return e.call(e.b, protocol.ReqSetMessageRequestMode, nil, b.AppendTo(nil, false)).Code
		}
		if c := set("%RETRY%" + e.group); c != protocol.RespNoPermission {
			e.Errorf("retry topic: %d", c)
		}
		if c := set("none_" + e.topic); c != protocol.RespTopicNotExist {
			e.Errorf("unknown topic: %d", c)
		}
	}},
	{"modes are listed", func(e *env) {
		e.create(1)
		e.known()
		e.setMode("POP", 3)
		r := e.call(e.b, protocol.ReqGetAllMessageRequestMode, nil, nil)
		e.code(r, 0)
		var w protocol.MessageRequestModeSerializeWrapper
		if err := w.Decode(r.Body); err != nil {
			e.Fatal(err)
		}
		if m := w.Modes[e.topic][e.group]; m.Mode != "POP" || m.PopShareQueueNum != 3 {
			e.Errorf("%s", r.Body)
		}
	}},
}
