package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// TestTablesFollowWithinAMoment: over the wire, from one broker to the other, what changes is there at once.
func TestTablesFollowWithinAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(w.options(nil))
		s := w.slave("/slave", nil)
		time.Sleep(15 * time.Second)
		w.roundTrip(m, "topic")
		mc, sc, ctx := m.broker.now().core, s.broker.now().core, t.Context()
		var waits []time.Duration
		for i := range mq.Index(100) {
			must(t, mc.CommitIndex(ctx, "g_topic", "topic", 0, i+1))
			begin := time.Now()
			for at := mq.Index(0); at != i+1; time.Sleep(100 * time.Microsecond) {
				at, _ = sc.QueryIndex(ctx, "g_topic", "topic", 0, false)
			}
			waits = append(waits, time.Since(begin))
			time.Sleep(time.Duration(i) * time.Millisecond)
		}
		slices.Sort(waits)
		t.Logf("virtual time until a position is there: p50 %v, p99 %v", waits[50], waits[99])
		if waits[99] > 100*time.Millisecond {
			t.Errorf("a position was there after %v", waits[99])
		}
		must(t, mc.PutTopic(ctx, mq.TopicConfig{Name: "new", ReadQueues: 1, WriteQueues: 1, Perm: 6}))
		if _, err := sc.Topic(ctx, "new"); err != nil {
			t.Errorf("a topic that was made is not there: %v", err)
		}
		must(t, mc.DeleteTopic(ctx, "topic"))
		if _, err := sc.Topic(ctx, "topic"); err == nil {
			t.Error("a topic that was deleted is there")
		}
		must(t, s.Shutdown(ctx))
		must(t, m.Shutdown(ctx))
	})
}
