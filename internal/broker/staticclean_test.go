package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
)

// lists shows the brokers of the parts of each logical queue that r knows.
func (r *rig) lists(topic string) string {
	r.t.Helper()
	c, err := r.Topic(r.t.Context(), topic)
	must(r.t, err)
	out := ""
	for id := range int32(4) {
		items, ok := c.Static.Queues[id]
		if !ok {
			continue
		}
		out += fmt.Sprintf("%d:", id)
		for _, i := range items {
			out += fmt.Sprintf(" %s-%d@%d", i.Broker[len("broker-"):], i.Queue, i.Logic)
		}
		out += "; "
	}
	return out
}

func TestOldPartsOfStaticTopicsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := peers{}
		names := []string{"broker-a", "broker-b", "broker-c"}
		hour := fmt.Sprintf("%02d", time.Now().Hour())
		for _, name := range names {
			p[name] = start(t, func(o *setup) { o.Name, o.Peers, o.storage.DeleteWhen = name, p, hour })
		}
		a, b, c := p["broker-a"], p["broker-b"], p["broker-c"]
		must(t, a.static(1, map[int32]logicqueue.Items{0: {item(0, "broker-a", 0, 0)}, 1: {item(0, "broker-a", 1, 0)}}))
		a.put(message("S", 1, "old"))
		a.settle()
		// Queue 0, which is empty, and queue 1 move to b; then 0 moves on to c, which a is not told. Queue 2 is moving: where b's
		// part of it begins is not decided.
		for _, r := range []*rig{a, b} {
			must(t, r.static(2, map[int32]logicqueue.Items{
				0: {item(0, "broker-a", 0, 0), item(1, "broker-b", 0, 10)}, 1: {item(0, "broker-a", 1, 0), item(1, "broker-b", 1, 10)},
			}))
		}
		must(t, b.static(3, map[int32]logicqueue.Items{
			0: {item(0, "broker-a", 0, 0), item(1, "broker-b", 0, 10), item(2, "broker-c", 0, 20)},
			2: {item(0, "broker-a", 0, 0), item(1, "broker-b", 0, -1)},
		}))
		must(t, c.static(3, map[int32]logicqueue.Items{0: {item(0, "broker-a", 0, 0), item(1, "broker-b", 0, 10), item(2, "broker-c", 0, 20)}}))
		must(t, a.PutStaticTopic(t.Context(), mq.TopicConfig{Name: "S", ReadQueues: 2, WriteQueues: 2, Perm: 6, Static: &logicqueue.Mapping{
			Topic: "S", Scope: logicqueue.ScopeGlobal, Total: 4, Broker: "broker-a", Epoch: 3,
		}}, true))
		expect := func(when, wantA, wantB, wantC string) {
			t.Helper()
			if x, y, z := a.lists("S"), b.lists("S"), c.lists("S"); x != wantA || y != wantB || z != wantC {
				t.Errorf("%s:\na: %s\nb: %s\nc: %s", when, x, y, z)
			}
		}
		const all = "0: a-0@0 b-0@10 c-0@20; "
		two, three := "1: a-1@0 b-1@10; ", "2: a-0@0 b-0@-1; "
		expect("before", "0: a-0@0 b-0@10; "+two, all+two+three, all)
		time.Sleep(5*time.Minute + time.Second)
		// c leads queue 0 and forgets its first part; a forgets queue 0, of which it took b for the leader. Queue 1 has a message.
		expect("after one round", two, all+two+three, "0: b-0@10 c-0@20; ")
		time.Sleep(5 * time.Minute)
		expect("after two rounds", two, all+two+three, "0: c-0@20; ")
		time.Sleep(5 * time.Minute)
		expect("in the end", two, all+two+three, "0: c-0@20; ")
		f, err := b.Pull(t.Context(), logicalPull(1, 0), nil)
		must(t, err)
		if f.Count != 1 {
			t.Errorf("the old message: %+v", f)
		}
	})
}

func TestOldPartsStayOutsideOfTheHoursForThat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hour := fmt.Sprintf("%02d", (time.Now().Hour()+12)%24)
		r := start(t, func(o *setup) { o.storage.DeleteWhen = hour })
		must(t, r.static(1, map[int32]logicqueue.Items{0: {item(0, "broker-a", 0, 0), item(1, "broker-a", 1, 10)}}))
		time.Sleep(11 * time.Minute)
		if got := r.lists("S"); got != "0: a-0@0 a-1@10; " {
			t.Error(got)
		}
	})
}
