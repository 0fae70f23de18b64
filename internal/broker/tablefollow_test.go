package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// couple is a master and its slave, with a wire for the log and one for the tables.
type couple struct {
	t             testing.TB
	master, slave *rig
	rng           *rand.Rand

	delay      atomic.Int64 // of each wire, ns
	cutLog     atomic.Bool
	cutTables  atomic.Bool
	stop       context.CancelFunc
	wires      sync.WaitGroup
	lastAnswer atomic.Int64 // bytes
}

func asMaster(o *setup) {
	withTimers(nil)(o)
	o.storage.TagsCode = delay.JavaLevels().Tags
}

func asSlave(o *setup) {
	asMaster(o)
	o.Slave, o.SlaveRead, o.ID, o.storage.Copy = true, true, 1, true
}

func newCouple(tb testing.TB, seed uint64) *couple {
	tb.Helper()
	p := &couple{t: tb, rng: rand.New(rand.NewPCG(seed, 3))}
	p.master, p.slave = start(tb, asMaster), start(tb, asSlave)
	p.connect()
	return p
}

// connect lays the wires.
func (p *couple) connect() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.wires.Go(func() { p.copyLog(ctx) })
	p.wires.Go(func() { p.copyTables(ctx) })
	p.wires.Go(func() { p.reports(ctx) })
}

// part takes the wires away.
func (p *couple) part() {
	p.stop()
	p.wires.Wait()
}

func (p *couple) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (p *couple) copyLog(ctx context.Context) {
	moved, stop := p.master.store.Watch()
	defer stop()
	rd := p.master.store.RawReader()
	defer rd.Close()
	var rest []byte
	for ctx.Err() == nil {
		base := p.slave.store.Appended()
		from, end := base+record.Offset(len(rest)), p.master.store.Visible()
		if from >= end || p.cutLog.Load() {
			select {
			case <-ctx.Done():
			case <-moved:
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		b, err := rd.View(from, end)
		if err != nil {
			p.t.Error(err)
			return
		}
		rest = append(rest, b...)
		if !p.wait(ctx, time.Duration(p.delay.Load())) {
			return
		}
		n, err := p.slave.store.AppendRaw(base, rest, false)
		if err != nil {
			p.t.Error(err)
			return
		}
		rest = rest[n:]
	}
}

func (p *couple) copyTables(ctx context.Context) {
	for p.wait(ctx, time.Duration(p.delay.Load())+time.Microsecond) {
		q, ok := p.slave.TableQuestion()
		if !ok || p.cutTables.Load() {
			p.wait(ctx, 20*time.Millisecond)
			continue
		}
		answer := make(chan []byte, 1)
		if err := p.master.FollowTables(q, func(b []byte) { answer <- b }); err != nil {
			p.t.Error(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case b := <-answer:
			if !p.wait(ctx, time.Duration(p.delay.Load())) {
				return
			}
			if p.cutTables.Load() {
				continue // lost on the way
			}
			p.lastAnswer.Store(int64(len(b)))
			if err := p.slave.TakeTables(b); err != nil {
				p.t.Error(err)
			}
		}
	}
}

func (p *couple) reports(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.slave.TableReports():
			if !p.cutTables.Load() && p.wait(ctx, time.Duration(p.delay.Load())) {
				if err := p.master.FollowTables(p.slave.TableReport(), func([]byte) {}); err != nil {
					p.t.Error(err)
				}
			}
		}
	}
}

// state returns all tables of a broker, by asking as a new slave does.
func state(tb testing.TB, r *rig) map[tablefeed.Source]string {
	tb.Helper()
	q := tablefeed.Question{Follower: rand.Uint64()}
	var all []byte
	for {
		answer := make(chan []byte, 1)
		must(tb, r.FollowTables(q.AppendTo(nil), func(b []byte) { answer <- b }))
		var a tablefeed.Answer
		must(tb, a.Decode(<-answer))
		if a.Kind != tablefeed.KindState || a.At != uint64(len(all)) {
			tb.Fatalf("kind %d at %d of %d, have %d", a.Kind, a.At, a.Total, len(all))
		}
		all = append(all, a.Entries...)
		if q.State, q.StateHave = a.State, uint64(len(all)); q.StateHave == a.Total {
			break
		}
	}
	out := map[tablefeed.Source]string{}
	must(tb, tablefeed.Each(all, func(src tablefeed.Source, rec []byte) error {
		switch src {
		case tablefeed.Topics, tablefeed.Groups, tablefeed.Offsets, tablefeed.Delays, tablefeed.Modes, tablefeed.Statics:
			out[src] += string(rec)
		case tablefeed.Timers: // a slave has a file
		default:
			out[src] += fmt.Sprintf("%q", rec)
		}
		return nil
	}))
	check, err := r.TimerCheckpoint(tb.Context())
	must(tb, err)
	out[tablefeed.Timers] = fmt.Sprintf("%x", check[24:32]) // how far they were taken
	return out
}

// differ returns how the tables of two brokers differ.
func differ(tb testing.TB, a, b *rig) string {
	tb.Helper()
	x, y := state(tb, a), state(tb, b)
	var out []string
	for src := tablefeed.Topics; src <= tablefeed.Statics; src++ {
		if x[src] != y[src] {
			out = append(out, fmt.Sprintf("source %d:\n%s\n%s", src, x[src], y[src]))
		}
	}
	return strings.Join(out, "\n")
}

// fill puts something into every table.
func (p *couple) fill() {
	t, m := p.t, p.master
	ctx := t.Context()
	m.topic("a", 4)
	m.topic("doomed", 1)
	must(t, m.PutTopic(ctx, mq.TopicConfig{Name: "fifo", ReadQueues: 2, WriteQueues: 2, Perm: 6, Attributes: map[string]string{"+message.type": "FIFO"}}))
	must(t, m.PutGroup(ctx, mq.DefaultGroupConfig("g")))
	must(t, m.PutGroup(ctx, mq.DefaultGroupConfig("gone")))
	for q := range int32(4) {
		for i := range 10 {
			m.put(message("a", q, fmt.Sprintf("a%d-%d", q, i)))
		}
		must(t, m.CommitIndex(ctx, "g", "a", q, mq.Index(q+3)))
	}
	m.put(message("doomed", 0, "x"))
	must(t, m.CommitIndex(ctx, "g", "doomed", 0, 1))
	must(t, m.DeleteTopic(ctx, "doomed"))
	must(t, m.DeleteGroup(ctx, "gone", true))
	_, err := m.ResetPositions(ctx, &mq.PositionReset{Group: "g", Topic: "a", QueueID: 1, HasIndex: true, Index: 2})
	must(t, err)
	for i := range 6 {
		m.put(message("fifo", 0, fmt.Sprintf("f%d", i)))
	}
	m.settle()
	got := m.pop(popRequest("pg", "a", time.Minute))
	m.ack("pg", "a", got[:len(got)/2]...)
	q := popRequest("og", "fifo", time.Minute)
	q.Order, q.AttemptID, q.MaxMessages = true, "attempt", 3
	m.ack("og", "fifo", m.pop(q)[0])
	must(t, m.SetRequestMode(ctx, mq.RequestMode{Topic: "a", Group: "pg", Mode: "POP", ShareQueues: 2}))
	must(t, m.static(1, map[int32]logicqueue.Items{3: {item(0, "broker-a", 1, 0)}}))
	m.put(message("a", 0, "late", "DELAY", "1"))
	m.put(message("a", 0, "later", "DELAY", "5"))
	m.put(message("a", 0, "timed", "TIMER_DELAY_MS", "1500"))
	m.put(message("a", 0, "far", "TIMER_DELAY_SEC", "600"))
	_, err = m.Heartbeat(ctx, &mq.Session{ClientID: "c", Remote: client, Peer: &peer{}}, &mq.Heartbeat{Consumers: []mq.ConsumerData{{
		Group: "sql", Subscriptions: []mq.Subscription{{Topic: "a", Expression: "x > 1", ExpressionType: "SQL92", Version: 1}},
	}}})
	must(t, err)
	h := m.put(halfMessage("a", 0, "half"))
	must(t, m.end(endOf(h, true)))
	m.put(halfMessage("a", 0, "undecided"))
}

func TestTablesOfASlaveAreThoseOfItsMaster(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"as it goes", "in one piece"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newCouple(t, 1)
				if name == "in one piece" {
					p.cutTables.Store(true)
					p.fill()
					p.cutTables.Store(false)
				} else {
					time.Sleep(time.Second)
					p.fill()
				}
				for range 3 {
					time.Sleep(7 * time.Second) // delayed messages, timers
					if d := differ(t, p.master, p.slave); d != "" {
						t.Error(d)
					}
				}
				x := state(t, p.slave)
				for src, want := range map[tablefeed.Source][]string{
					tablefeed.Topics: {`"fifo"`, `"FIFO"`}, tablefeed.Groups: {`"g"`, `"pg"`}, tablefeed.Offsets: {"a@g", "a@pg", "fifo@og"},
					tablefeed.Delays: {"1:1"}, tablefeed.Filters: {"x > 1"}, tablefeed.Modes: {`"POP"`}, tablefeed.Statics: {`"S"`}, tablefeed.Pops: {"attempt"},
				} {
					for _, s := range want {
						if !strings.Contains(x[src], s) {
							t.Errorf("source %d lacks %s:\n%s", src, s, x[src])
						}
					}
				}
				if strings.Contains(x[tablefeed.Topics], "doomed") || strings.Contains(x[tablefeed.Groups], `"gone"`) {
					t.Error("what was deleted is there")
				}
				p.part()
			})
		})
	}
}

func TestASlaveIsAsNewAsItsLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newCouple(t, 1)
		ctx := t.Context()
		p.master.topic("a", 1)
		must(t, p.master.PutGroup(ctx, mq.DefaultGroupConfig("g")))
		time.Sleep(time.Second)
		p.cutLog.Store(true)
		p.master.putN("a", 10)
		begin := time.Now()
		p.master.topic("new", 1)
		if d := time.Since(begin); d > 10*time.Millisecond {
			t.Errorf("a topic waits %v for a slave that is in step", d)
		}
		if _, err := p.slave.Topic(ctx, "new"); err != nil {
			t.Errorf("a topic waits for the log: %v", err)
		}
		must(t, p.master.CommitIndex(ctx, "g", "a", 0, 7))
		time.Sleep(time.Second)
		if at, err := p.slave.QueryIndex(ctx, "g", "a", 0, false); err == nil {
			t.Errorf("the slave has position %d of a queue without messages", at)
		}
		p.cutLog.Store(false)
		time.Sleep(100 * time.Millisecond)
		if at, err := p.slave.QueryIndex(ctx, "g", "a", 0, false); err != nil || at != 7 {
			t.Errorf("position %d %v", at, err)
		}
		p.cutTables.Store(true) // a slave that does not answer holds up one change, not all
		begin = time.Now()
		for i := range 10 {
			p.master.topic("t"+strconv.Itoa(i), 1)
		}
		if d := time.Since(begin); d > 300*time.Millisecond {
			t.Errorf("ten topics have taken %v", d)
		}
		p.part()
	})
}

// TestForgedTables: answers that were changed on the way are refused or applied, never more than that, and with the next sound
// one everything is right again.
func TestForgedTables(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newCouple(t, 1)
		time.Sleep(time.Second)
		p.part()
		p.fill()
		time.Sleep(time.Second)
		ask := func() []byte {
			q, ok := p.slave.TableQuestion()
			if !ok {
				t.Fatal("no question")
			}
			answer := make(chan []byte, 1)
			must(t, p.master.FollowTables(q, func(b []byte) { answer <- b }))
			return <-answer
		}
		refused := 0
		for range 1500 {
			b := ask()
			switch p.rng.IntN(3) {
			case 0:
				b = b[:p.rng.IntN(len(b))]
			case 1:
				b = append(b, byte(p.rng.IntN(256)))
			default:
				for range 1 + p.rng.IntN(4) {
					b[26+p.rng.IntN(len(b)-26)] ^= byte(1 << p.rng.IntN(8))
				}
			}
			if p.slave.TakeTables(b) != nil {
				refused++
			}
			time.Sleep(time.Millisecond)
		}
		if refused < 500 {
			t.Errorf("%d of 1500 forged answers are refused", refused)
		}
		p.slave.ForgetMaster()
		p.connect()
		time.Sleep(5 * time.Second)
		if d := differ(t, p.master, p.slave); d != "" {
			t.Error(d)
		}
		p.part()
	})
}

// A topic that is made while the full state of a slave that has just connected waits for its log is not in that state. It must not be
// taken for a deleted one, and a slave that becomes master before its log is there has it all the same.
func TestATopicMadeBehindAWaitingStateIsKept(t *testing.T) {
	t.Parallel()
	for _, promoted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := &couple{t: t, rng: rand.New(rand.NewPCG(1, 3))}
			p.master, p.slave = start(t, asMaster), start(t, asSlave)
			p.cutLog.Store(true)
			p.master.topic("a", 1)
			p.master.putN("a", 10)
			p.connect()
			time.Sleep(time.Second) // the full state is there and waits
			p.master.topic("new", 1)
			p.master.putN("new", 3)
			time.Sleep(time.Second)
			if promoted {
				p.part()
				p.slave.stop()
				p.slave = start(t, func(o *setup) { asMaster(o); o.FS = p.slave.fs })
			} else {
				p.cutLog.Store(false)
				time.Sleep(time.Second)
				p.part()
				if q, ok := p.slave.store.Lookup("new", 0); !ok || q.Min() != 0 || q.Max() != 3 {
					t.Errorf("queue of the new topic: %v", q)
				}
			}
			for _, topic := range []string{"a", "new"} {
				if _, err := p.slave.Topic(t.Context(), topic); err != nil {
					t.Errorf("promoted %v: %v", promoted, err)
				}
			}
		})
	}
}
