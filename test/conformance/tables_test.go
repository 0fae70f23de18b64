package conformance

import (
	"encoding/binary"
	"fmt"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/protocol"
)

// table asks for one of the tables that slaves ask for, and returns it parsed.
func (e *env) table(code int32) fastjson.Value {
	e.Helper()
	r := e.call(e.b, code, nil, nil)
	e.code(r, 0)
	v, err := fastjson.Parse(r.Body)
	if err != nil {
		e.Fatalf("code %d: %v in %s", code, err, r.Body)
	}
	return v
}

// timers asks how far the timers are.
func (e *env) timers() (n [7]int64) {
	e.Helper()
	r := e.call(e.b, protocol.ReqGetTimerCheckPoint, nil, nil)
	e.code(r, 0)
	if len(r.Body) != 8*len(n) {
		e.Fatalf("%d bytes: %x", len(r.Body), r.Body)
	}
	for i := range n {
		n[i] = int64(binary.BigEndian.Uint64(r.Body[8*i:]))
	}
	return n
}

// What a master tells its slaves.
var tableCases = []testCase{
	{"all positions: by topic@group and queue", func(e *env) {
		e.create(2)
		e.known()
		e.code(e.commit(1, 42), 0)
		v := e.table(protocol.ReqGetAllConsumerOffset)
		if at := v.Get("offsetTable").Get(e.topic + "@" + e.group).Get("1"); at.Str() != "42" {
			e.Errorf("queue 1 is at %q", at.Str())
		}
		if !v.Get("dataVersion").Get("counter").Exists() {
			e.Error("there is no data version")
		}
	}},
	{"all delay levels", func(e *env) {
		if v := e.table(protocol.ReqGetAllDelayOffset); !v.Get("offsetTable").Exists() || !v.Get("dataVersion").Exists() {
			e.Error("a member is missing")
		}
	}},
	{"all topics and groups", func(e *env) {
		e.create(3)
		e.known()
		t := e.table(protocol.ReqGetAllTopicConfig).Get("topicConfigTable").Get(e.topic)
		if t.Get("readQueueNums").Str() != "3" || t.Get("topicName").Str() != e.topic {
			e.Errorf("topic %s", t.AppendTo(nil, fastjson.Compact))
		}
		e.eventually("group", func() bool {
			return e.table(protocol.ReqGetAllSubscriptionGroupConfig).Get("subscriptionGroupTable").Get(e.group).Get("groupName").Str() == e.group
		})
	}},
	{"the timer checkpoint has seven numbers", func(e *env) {
		if n := e.timers(); n[2] != n[3] { // a master has taken what a master has taken
			e.Errorf("queue offset %d, the master's %d", n[2], n[3])
		}
	}},
	{"the timer checkpoint follows what is taken", func(e *env) {
		e.create(1)
		before := e.timers()[3]
		e.code(e.send(0, fmt.Sprintf("TIMER_DELAY_SEC\x01%d\x02", 600), "x"), 0)
		e.eventually("checkpoint", func() bool { return e.timers()[3] > before })
	}},
	{"timer metrics have a version and counts", func(e *env) {
		v := e.table(protocol.ReqGetTimerMetrics)
		if v.Get("timingCount").Kind() != fastjson.Object || !v.Get("dataVersion").Get("counter").Exists() {
			e.Errorf("%s", v.AppendTo(nil, fastjson.Compact))
		}
	}},
}
