package conformance

import (
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

func (e *env) commit(queue int, at int64) *bench.Reply {
	e.Helper()
	return e.call(e.b, protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: e.group, Topic: e.topic, QueueID: int32(queue), CommitOffset: at,
	}, nil)
}

func (e *env) committed(queue int, zero bool) *bench.Reply {
	e.Helper()
	return e.call(e.b, protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
		ConsumerGroup: e.group, Topic: e.topic, QueueID: int32(queue), SetZeroIfNotFound: zero,
	}, nil)
}

// known makes the case's group known to the broker.
func (e *env) known() {
	e.Helper()
	e.heartbeat(e.b, "known", 1)
}

var offsetCases = []testCase{
	{"a committed offset is read back", func(e *env) {
		e.create(2)
		e.known()
		e.code(e.commit(1, 42), 0)
		r := e.committed(1, false)
		e.code(r, 0)
		if e.num(r, "offset") != 42 {
			e.Errorf("offset %d", e.num(r, "offset"))
		}
	}},
	{"a commit may go back", func(e *env) {
		e.create(1)
		e.known()
		e.code(e.commit(0, 42), 0)
		e.code(e.commit(0, 7), 0)
		if r := e.committed(0, false); e.num(r, "offset") != 7 {
			e.Errorf("offset %d", e.num(r, "offset"))
		}
	}},
	{"no offset and no zero wanted is 22", func(e *env) {
		e.create(1)
		e.known()
		e.code(e.committed(0, false), protocol.RespQueryNotFound)
	}},
	{"no offset on a young queue is 0", func(e *env) {
		e.create(1)
		e.known()
		e.send(0, "", "x")
		e.filled(0, 1)
		r := e.committed(0, true)
		e.code(r, 0)
		if e.num(r, "offset") != 0 {
			e.Errorf("offset %d", e.num(r, "offset"))
		}
	}},
	{"a commit for an unknown topic is 17", func(e *env) {
		e.known17()
		e.code(e.commit(0, 1), protocol.RespTopicNotExist)
	}},
	{"max and min offsets", func(e *env) {
		e.create(1)
		for range 3 {
			e.send(0, "", "x")
		}
		e.filled(0, 3)
		lo, hi, err := e.b.Bounds(e.topic, 0)
		if err != nil || lo != 0 || hi != 3 {
			e.Errorf("%d..%d %v", lo, hi, err)
		}
	}},
	{"max and min offsets of an unknown topic are 0", func(e *env) {
		lo, hi, err := e.b.Bounds(e.topic, 0)
		if err != nil || lo != 0 || hi != 0 {
			e.Errorf("%d..%d %v", lo, hi, err)
		}
	}},
	{"search by time", func(e *env) {
		e.create(1)
		before := time.Now().UnixMilli()
		e.send(0, "", "1")
		time.Sleep(30 * time.Millisecond)
		middle := time.Now().UnixMilli()
		time.Sleep(30 * time.Millisecond)
		e.send(0, "", "2")
		e.filled(0, 2)
		for _, tc := range []struct {
			at   int64
			want int64
		}{{before - 1000, 0}, {middle, 1}, {time.Now().UnixMilli() + 10000, 2}} {
			r := e.call(e.b, protocol.ReqSearchOffsetByTimestamp, &protocol.SearchOffsetRequestHeader{Topic: e.topic, Timestamp: tc.at}, nil)
			e.code(r, 0)
			if got := e.num(r, "offset"); got != tc.want {
				e.Errorf("at %d: offset %d, want %d", tc.at-before, got, tc.want)
			}
		}
	}},
	{"the earliest store time is that of the first message", func(e *env) {
		e.create(1)
		t := time.Now().UnixMilli()
		e.send(0, "", "x")
		e.filled(0, 1)
		r := e.call(e.b, protocol.ReqGetEarliestMsgStoreTime, &protocol.GetEarliestMsgStoretimeRequestHeader{Topic: e.topic}, nil)
		e.code(r, 0)
		if got := e.num(r, "timestamp"); got < t-1000 || got > t+60000 {
			e.Errorf("timestamp %d, sent at %d", got, t)
		}
	}},
	{"commit on pull", func(e *env) {
		e.create(1)
		e.known()
		e.send(0, "", "x")
		e.filled(0, 1)
		h := e.pullHeader(0, 0)
		h.SysFlag, h.CommitOffset = 1|4, 1
		e.code(e.call(e.b, protocol.ReqPullMessage, h, nil), 0)
		if r := e.committed(0, false); r.Code != 0 || e.num(r, "offset") != 1 {
			e.Errorf("code %d", r.Code)
		}
	}},
}

// known17 registers the group by a heartbeat on another topic, so that only the case's topic is unknown.
func (e *env) known17() {
	e.Helper()
	topic := e.topic
	e.topic += "_other"
	e.create(1)
	e.known()
	e.topic = topic
}
