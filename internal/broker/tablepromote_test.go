package broker_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// life is what clients do with a master, and what they know when it dies.
type life struct {
	*couple
	ctx context.Context

	sent    [4]int // messages of topic a, by queue
	commits []commitment
	held    map[string]popped // by body: handed out and not acknowledged
	heldAt  map[string]time.Time
	acked   map[string]time.Time // by body: when it was acknowledged
	topics  []string             // that the slave must have
	shaky   time.Time            // until then the slave may be behind
	timers  map[string]time.Time // by body: when it is due
	n       int
}

type commitment struct {
	queue int32
	at    mq.Index
	when  time.Time
}

// step does something.
func (l *life) step() {
	t, m := l.t, l.master
	switch k := l.rng.IntN(20); {
	case k < 7:
		q := l.rng.IntN(4)
		m.put(message("a", int32(q), strconv.Itoa(l.sent[q])))
		l.sent[q]++
	case k < 10:
		q := l.rng.IntN(4)
		if l.sent[q] == 0 {
			return
		}
		// As a consumer: never back.
		at := mq.Index(1 + l.rng.IntN(l.sent[q]))
		if have, err := m.QueryIndex(l.ctx, "g", "a", int32(q), false); err == nil && have > at {
			return
		}
		must(t, m.CommitIndex(l.ctx, "g", "a", int32(q), at))
		l.commits = append(l.commits, commitment{int32(q), at, time.Now()})
	case k < 12:
		l.n++
		m.put(message("p", int32(l.rng.IntN(2)), "p"+strconv.Itoa(l.n)))
	case k < 14:
		m.settle()
		r := popRequest("pg", "p", time.Hour)
		r.MaxMessages = int32(1 + l.rng.IntN(3))
		for _, x := range m.pop(r) {
			if _, ok := l.acked[x.body]; ok {
				t.Errorf("%s is handed out again", x.body)
			}
			l.held[x.body], l.heldAt[x.body] = x, time.Now()
		}
	case k < 17:
		for _, body := range slices.Sorted(maps.Keys(l.held)) {
			if l.rng.IntN(2) == 0 {
				m.ack("pg", "p", l.held[body])
				l.acked[body] = time.Now()
				delete(l.held, body)
				return
			}
		}
	case k < 18:
		l.n++
		name := "t" + strconv.Itoa(l.n)
		m.topic(name, 2)
		if !l.cutTables.Load() && time.Now().After(l.shaky) {
			l.topics = append(l.topics, name)
		}
	case k < 19:
		l.n++
		body, after := "timer"+strconv.Itoa(l.n), time.Duration(1+l.rng.IntN(4000))*time.Millisecond
		m.put(message("due", 0, body, "TIMER_DELAY_MS", strconv.FormatInt(after.Milliseconds(), 10)))
		l.timers[body] = time.Now().Add(after)
	default:
		l.n++
		body, level := "level"+strconv.Itoa(l.n), 1
		m.put(message("due", 0, body, "DELAY", strconv.Itoa(level)))
		l.timers[body] = time.Now().Add(time.Second)
	}
}

// TestAPromotedSlaveGoesOnWhereItsMasterWas kills masters at any moment, behind wires that are slow or cut.
func TestAPromotedSlaveGoesOnWhereItsMasterWas(t *testing.T) {
	t.Parallel()
	seeds := uint64(12)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { promote(t, seed) })
		})
	}
}

func promote(t *testing.T, seed uint64) {
	t.Helper()
	l := &life{
		couple: newCouple(t, seed), ctx: t.Context(), held: map[string]popped{}, heldAt: map[string]time.Time{},
		acked: map[string]time.Time{}, timers: map[string]time.Time{},
	}
	l.master.topic("a", 4)
	l.master.topic("p", 2)
	l.master.topic("due", 1)
	must(t, l.master.PutGroup(l.ctx, mq.DefaultGroupConfig("g")))
	time.Sleep(time.Second)
	link := time.Duration(l.rng.IntN(30)) * time.Millisecond
	l.delay.Store(int64(link))

	var cut, began time.Time // since when a wire is cut, and when the last cut began
	for range 300 + l.rng.IntN(500) {
		l.step()
		time.Sleep(time.Duration(l.rng.IntN(12)) * time.Millisecond)
		switch {
		case !cut.IsZero() && l.rng.IntN(20) == 0:
			l.cutLog.Store(false)
			l.cutTables.Store(false)
			cut, l.shaky = time.Time{}, time.Now().Add(200*time.Millisecond+8*link)
		case cut.IsZero() && l.rng.IntN(80) == 0:
			if cut = time.Now(); cut.After(l.shaky) { // else the slave has not caught up since the cut before
				began = cut
			}
			l.cutLog.Store(l.rng.IntN(2) == 0)
			l.cutTables.Store(!l.cutLog.Load() || l.rng.IntN(3) == 0)
		}
	}
	// What happened before safe the slave knows.
	safe := time.Now().Add(-100*time.Millisecond - 4*link)
	if !cut.IsZero() || time.Now().Before(l.shaky) {
		safe = began.Add(-100*time.Millisecond - 4*link)
	} else if l.rng.IntN(4) == 0 {
		safe = time.Now()
		time.Sleep(100*time.Millisecond + 4*link) // nothing more happens: all of it
	}
	l.part()
	l.master.stop()

	// The slave becomes master: its role ends well, or it is killed, too.
	fs := l.slave.fs
	if l.rng.IntN(3) > 0 {
		l.slave.stop()
	} else {
		fs = l.slave.fs.(*vfs.Mem).CrashClone(l.rng, vfs.ProcessKill)
	}
	n := start(t, func(o *setup) { asMaster(o); o.FS = fs })
	l.checkPositions(n, safe)
	l.checkTopics(n)
	l.checkPops(n, safe)
	time.Sleep(10 * time.Second)
	l.checkTimers(n, safe)
	n.stop()
	// Once more, as it is a master now.
	n = start(t, func(o *setup) { asMaster(o); o.FS = fs })
	l.checkPositions(n, safe)
	n.stop()
}

func (l *life) checkPositions(n *rig, safe time.Time) {
	for q := range int32(4) {
		end, err := n.MaxIndex(l.ctx, "a", q)
		must(l.t, err)
		want := mq.Index(0)
		for _, c := range l.commits {
			if c.queue == q && c.when.Before(safe) {
				want = min(c.at, end)
			}
		}
		at, err := n.QueryIndex(l.ctx, "g", "a", q, false)
		if err != nil {
			at = 0
		}
		if at < want || at > end {
			l.t.Errorf("queue %d ends at %d, the group is at %d; it was at %d", q, end, at, want)
		}
	}
}

// checkTopics: also topics that were made just before the end are there.
func (l *life) checkTopics(n *rig) {
	for _, name := range append(l.topics, "a", "p", "due") {
		if _, err := n.Topic(l.ctx, name); err != nil {
			l.t.Errorf("topic %s: %v", name, err)
		}
	}
}

func (l *life) checkPops(n *rig, safe time.Time) {
	stored := map[string]bool{}
	for q := range int32(2) {
		for _, m := range n.all("p", q) {
			stored[string(m.Body)] = true
		}
	}
	// Handles of the old master are good for what is here.
	for _, body := range slices.Sorted(maps.Keys(l.held)) {
		if x := l.held[body]; stored[body] && l.heldAt[body].Before(safe) && l.rng.IntN(2) == 0 {
			note, err := n.Ack(l.ctx, n.ackOf("pg", "p", x))
			if err != nil || note != "" {
				l.t.Errorf("ack of %s, handed out by the old master: %q %v", body, note, err)
			}
			l.acked[body] = safe.Add(-1)
			delete(l.held, body)
		}
	}
	got := map[string]bool{}
	take := func() {
		for range 200 {
			list := n.pop(popRequest("pg", "p", 2*time.Hour))
			if len(list) == 0 {
				return
			}
			for _, x := range list {
				got[x.body] = true
				if at, ok := l.acked[x.body]; ok && at.Before(safe) {
					l.t.Errorf("%s comes again, it was acknowledged %v before the end", x.body, safe.Sub(at))
				}
				if at, ok := l.heldAt[x.body]; ok && l.held[x.body].body != "" && at.Before(safe) && time.Since(at) < 50*time.Minute {
					l.t.Errorf("%s is handed out while somebody holds it", x.body)
				}
			}
		}
	}
	take()
	time.Sleep(70 * time.Minute)
	take()
	for body := range stored {
		if _, acked := l.acked[body]; !acked && !got[body] {
			l.t.Errorf("%s is lost", body)
		}
	}
}

func (l *life) checkTimers(n *rig, safe time.Time) {
	times := map[string]int{}
	for _, m := range n.all("due", 0) {
		times[string(m.Body)]++
	}
	for body, due := range l.timers {
		kept := false
		topic := "rmq_sys_wheel_timer"
		queue := int32(0)
		if strings.HasPrefix(body, "level") {
			topic = "SCHEDULE_TOPIC_XXXX"
		}
		for _, m := range n.all(topic, queue) {
			kept = kept || string(m.Body) == body
		}
		switch {
		case kept && times[body] == 0:
			l.t.Errorf("%s, due at %v, is not delivered", body, due)
		case times[body] > 1 && due.Before(safe.Add(-time.Second)):
			l.t.Errorf("%s is delivered %d times, %v before the end", body, times[body], safe.Sub(due))
		}
	}
}

// TestSlavesHearOfATimerThatIsLate: a timer which came when the second before its own was done with is in a later one. Its master says so
// also after a kill, or a successor would take it for delivered.
func TestSlavesHearOfATimerThatIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		begin := time.Now() // a full second
		time.Sleep(500 * time.Millisecond)
		r := start(t, withTimers(fs))
		r.put(message("T", 0, "first", "TIMER_DELAY_MS", "100"))
		time.Sleep(1100 * time.Millisecond) // the checkpoint of 1.5s says that the slot of 2s is done with
		due := begin.Add(2900 * time.Millisecond).UnixMilli()
		r.put(message("T", 0, "late", "TIMER_DELIVER_MS", strconv.FormatInt(due, 10)))
		check := func(r *rig) {
			t.Helper()
			synctest.Wait()
			answer := make(chan []byte, 1)
			q := tablefeed.Question{Follower: 7}
			must(t, r.FollowTables(q.AppendTo(nil), func(b []byte) { answer <- b }))
			var a tablefeed.Answer
			must(t, a.Decode(<-answer))
			must(t, tablefeed.Each(a.Entries, func(src tablefeed.Source, rec []byte) error {
				if src != tablefeed.Timers {
					return nil
				}
				at, taken := int64(binary.BigEndian.Uint64(rec)), binary.BigEndian.Uint64(rec[24:])
				if taken != 2 || at > due || at < due-2000 {
					t.Errorf("%d timers are taken, those before %v delivered, one is due at 2.9s", taken, time.UnixMilli(at).Sub(begin))
				}
				return nil
			}))
		}
		time.Sleep(10 * time.Millisecond)
		check(r)
		clone := fs.CrashClone(nil, vfs.ProcessKill)
		r.stop()
		time.Sleep(100 * time.Millisecond)
		r = start(t, withTimers(clone))
		check(r)
		time.Sleep(3 * time.Second)
		if got := len(r.all("T", 0)); got != 2 {
			t.Errorf("%d messages have come", got)
		}
	})
}
