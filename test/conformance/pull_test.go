package conformance

import (
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

func (e *env) dialBinary() *bench.Client {
	e.Helper()
	c, err := bench.Dial(e.Context(), nil, e.cluster.Addrs[0], protocol.Binary)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { c.Close() })
	return c
}

func (e *env) decode(body []byte) []record.Message {
	e.Helper()
	var ms []record.Message
	for len(body) > 0 {
		var m record.Message
		n, err := record.Decode(body, &m, true)
		if err != nil {
			e.Fatalf("record: %v", err)
		}
		m.Body = append([]byte(nil), m.Body...)
		m.Topic = append([]byte(nil), m.Topic...)
		m.Props = append(record.Props(nil), m.Props...)
		ms = append(ms, m)
		body = body[n:]
	}
	return ms
}

// pulled reads once from a queue and expects messages.
func (e *env) pulled(queue int, at int64) []record.Message {
	e.Helper()
	r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(queue, at), nil)
	e.code(r, 0)
	return e.decode(r.Body)
}

func (e *env) bodies(queue int, at int64) []string {
	e.Helper()
	var s []string
	for _, m := range e.pulled(queue, at) {
		s = append(s, string(m.Body))
	}
	return s
}

// four asserts that a pull answer has the four offsets that clients read.
func (e *env) four(r *bench.Reply) {
	e.Helper()
	for _, k := range []string{"nextBeginOffset", "minOffset", "maxOffset", "suggestWhichBrokerId"} {
		e.num(r, k)
	}
}

var pullCases = []testCase{
	{"messages come in order with their offsets", func(e *env) {
		e.create(1)
		for i := range 5 {
			e.send(0, "", fmt.Sprint("m", i))
		}
		e.filled(0, 5)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 2), nil)
		e.code(r, 0)
		e.four(r)
		if e.num(r, "nextBeginOffset") != 5 || e.num(r, "maxOffset") != 5 || e.num(r, "minOffset") != 0 {
			e.Errorf("fields %v", r.Fields)
		}
		ms := e.decode(r.Body)
		if len(ms) != 3 || ms[0].Index != 2 || string(ms[2].Body) != "m4" {
			e.Errorf("got %d", len(ms))
		}
	}},
	{"maxMsgNums bounds the answer", func(e *env) {
		e.create(1)
		for range 5 {
			e.send(0, "", "x")
		}
		e.filled(0, 5)
		h := e.pullHeader(0, 0)
		h.MaxMsgNums = 2
		r := e.call(e.b, protocol.ReqPullMessage, h, nil)
		e.code(r, 0)
		if n := len(e.decode(r.Body)); n != 2 || e.num(r, "nextBeginOffset") != 2 {
			e.Errorf("%d messages, next %d", n, e.num(r, "nextBeginOffset"))
		}
	}},
	{"an empty queue at 0 is 19", func(e *env) {
		e.create(1)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 0), nil)
		e.code(r, protocol.RespPullNotFound)
		e.four(r)
	}},
	{"an empty queue past 0 is 21 with 0", func(e *env) {
		e.create(1)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 5), nil)
		e.code(r, protocol.RespPullOffsetMoved)
		if e.num(r, "nextBeginOffset") != 0 {
			e.Errorf("next %d", e.num(r, "nextBeginOffset"))
		}
	}},
	{"at the end is 19", func(e *env) {
		e.create(1)
		e.send(0, "", "x")
		e.filled(0, 1)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 1), nil)
		e.code(r, protocol.RespPullNotFound)
		if e.num(r, "nextBeginOffset") != 1 || e.num(r, "maxOffset") != 1 {
			e.Errorf("fields %v", r.Fields)
		}
	}},
	{"past the end is 21 with the end", func(e *env) {
		e.create(1)
		e.send(0, "", "x")
		e.filled(0, 1)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 100), nil)
		e.code(r, protocol.RespPullOffsetMoved)
		if e.num(r, "nextBeginOffset") != 1 {
			e.Errorf("next %d", e.num(r, "nextBeginOffset"))
		}
	}},
	{"an unknown topic is 17", func(e *env) {
		e.code(e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 0), nil), protocol.RespTopicNotExist)
	}},
	{"a queue out of range is 29", func(e *env) {
		e.create(2)
		e.code(e.call(e.b, protocol.ReqPullMessage, e.pullHeader(9, 0), nil), protocol.RespInvalidParameter)
	}},
	{"a topic without the read bit is 16", func(e *env) {
		e.code(e.call(e.b, protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
			Topic: e.topic, DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 2, TopicFilterType: "SINGLE_TAG",
		}, nil), 0)
		e.code(e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 0), nil), protocol.RespNoPermission)
	}},
	{"without a subscription in the request an unknown group is 24", func(e *env) {
		e.create(1)
		h := e.pullHeader(0, 0)
		h.SysFlag = 0
		e.code(e.call(e.b, protocol.ReqPullMessage, h, nil), protocol.RespSubscriptionNotExist)
	}},
	{"a newer subscription than the heartbeat's is 25", func(e *env) {
		e.create(1)
		e.heartbeat(e.b, "c1", 5)
		h := e.pullHeader(0, 0)
		h.SysFlag, h.SubVersion = 0, 6
		e.code(e.call(e.b, protocol.ReqPullMessage, h, nil), protocol.RespSubscriptionNotLatest)
	}},
	{"tags filter by hash and report how far they looked", func(e *env) {
		e.create(1)
		e.send(0, "TAGS\x01A\x02", "a")
		e.send(0, "TAGS\x01B\x02", "b")
		e.send(0, "", "none")
		e.send(0, "TAGS\x01C\x02", "c")
		e.filled(0, 4)
		h := e.pullHeader(0, 0)
		h.Subscription = "B || C"
		r := e.call(e.b, protocol.ReqPullMessage, h, nil)
		e.code(r, 0)
		ms := e.decode(r.Body)
		if len(ms) != 2 || string(ms[0].Body) != "b" || string(ms[1].Body) != "c" || e.num(r, "nextBeginOffset") != 4 {
			e.Errorf("%d messages, next %d", len(ms), e.num(r, "nextBeginOffset"))
		}
		h.Subscription = "Z"
		r = e.call(e.b, protocol.ReqPullMessage, h, nil)
		e.code(r, protocol.RespPullRetryImmediately)
		if e.num(r, "nextBeginOffset") != 4 {
			e.Errorf("next %d", e.num(r, "nextBeginOffset"))
		}
	}},
	{"a parked pull is answered when a message arrives", func(e *env) {
		e.create(1)
		type answer struct {
			code int32
			n    int
			took time.Duration
		}
		ch := make(chan answer, 1)
		c := e.dial(e.cluster.Addrs[0])
		h := e.pullHeader(0, 0)
		h.SysFlag, h.SuspendTimeoutMillis = 2|4, 30000
		go func() {
			t := time.Now()
			r, err := c.Call(protocol.ReqPullMessage, h, nil)
			if err != nil {
				ch <- answer{code: -1}
				return
			}
			ch <- answer{r.Code, len(r.Body), time.Since(t)}
		}()
		time.Sleep(300 * time.Millisecond)
		select {
		case a := <-ch:
			e.Fatalf("answered %d before a message came", a.code)
		default:
		}
		e.send(0, "", "wake")
		a := <-ch
		if a.code != 0 || a.n == 0 || a.took > 20*time.Second {
			e.Errorf("code %d, %d bytes, after %v", a.code, a.n, a.took)
		}
	}},
	{"a parked pull passes over messages of other tags", func(e *env) {
		e.create(1)
		e.send(0, "TAGS\x01A\x02", "a")
		e.filled(0, 1)
		ch := make(chan string, 1)
		c := e.dial(e.cluster.Addrs[0])
		h := e.pullHeader(0, 1)
		h.Subscription, h.SysFlag, h.SuspendTimeoutMillis = "B", 2|4, 30000
		go func() {
			for {
				r, err := c.Call(protocol.ReqPullMessage, h, nil)
				if err != nil {
					ch <- err.Error()
					return
				}
				if r.Code == 0 {
					var m record.Message
					if _, err := record.Decode(r.Body, &m, true); err != nil {
						ch <- err.Error()
						return
					}
					ch <- string(m.Body)
					return
				}
				h.QueueOffset, _ = r.Int("nextBeginOffset")
			}
		}()
		time.Sleep(200 * time.Millisecond)
		e.send(0, "TAGS\x01A\x02", "a2")
		e.send(0, "TAGS\x01B\x02", "b")
		if got := <-ch; got != "b" {
			e.Errorf("got %q", got)
		}
	}},
	{"lite pull answers the same", func(e *env) {
		e.create(1)
		e.send(0, "", "lite")
		e.filled(0, 1)
		h := e.pullHeader(0, 0)
		h.SysFlag |= 16
		r := e.call(e.b, protocol.ReqLitePullMessage, h, nil)
		e.code(r, 0)
		if ms := e.decode(r.Body); len(ms) != 1 || string(ms[0].Body) != "lite" {
			e.Errorf("%d messages", len(ms))
		}
	}},
}
