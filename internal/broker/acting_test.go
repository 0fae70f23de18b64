package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// others is the other sets of a cluster: they take what escapes, unless they are down.
type others struct {
	mu   sync.Mutex
	down bool
	got  []mq.Escaped
	at   []time.Time
}

func (o *others) take(_ context.Context, m *mq.Escaped) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return errors.New("no other set")
	}
	o.got, o.at = append(o.got, *m), append(o.at, time.Now())
	return nil
}

func (o *others) setDown(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *others) bodies() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for i := range o.got {
		out = append(out, string(o.got[i].Body))
	}
	slices.Sort(out)
	return out
}

// pair is a master and a slave that may act as the master.
type pair struct {
	t      *testing.T
	master *rig
	slave  *rig
	others *others
}

func actingPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, others: &others{}}
	p.master = p.startMaster(vfs.NewMem(vfs.MemOptions{}))
	must(t, p.master.Act(t.Context(), true))
	p.slave = p.startSlave(vfs.NewMem(vfs.MemOptions{}))
	return p
}

func (p *pair) startMaster(fs vfs.FS) *rig {
	return start(p.t, withTimers(fs), func(o *setup) { o.Acting, o.storage.TagsCode = true, delay.JavaLevels().Tags })
}

func (p *pair) startSlave(fs vfs.FS) *rig {
	return start(p.t, withTimers(fs), func(o *setup) {
		o.ID, o.Slave, o.storage.Copy, o.Acting, o.Escape = 1, true, true, true, p.others.take
		o.storage.TagsCode = delay.JavaLevels().Tags
	})
}

// copy brings the slave up to where the master is, as replication and the follower of tables do.
func (p *pair) copy() {
	p.t.Helper()
	p.copyLog()
	topics, v := p.master.TopicTable()
	must(p.t, p.slave.FollowTopics(topics, v))
	offsets, delays, timer := progress(p.t, p.master)
	must(p.t, p.slave.FollowOffsets(offsets))
	must(p.t, p.slave.FollowDelays(delays))
	p.slave.FollowTimers(timer)
	synctest.Wait()
}

func (p *pair) copyLog() {
	p.t.Helper()
	rd := p.master.store.RawReader()
	defer rd.Close()
	var part []byte // of a record that goes on in the next block
	for {
		from, end := p.slave.store.Appended(), p.master.store.Visible()
		if from+record.Offset(len(part)) >= end {
			break
		}
		b, err := rd.View(from+record.Offset(len(part)), end)
		must(p.t, err)
		part = append(part, b...)
		n, err := p.slave.store.AppendRaw(from, part, false)
		must(p.t, err)
		part = part[n:]
	}
	p.slave.store.CatchUp()
}

func progress(t *testing.T, r *rig) (offsets, delays []byte, timer *mq.TimerProgress) {
	t.Helper()
	offsets, err := r.OffsetTable(t.Context())
	must(t, err)
	delays, err = r.DelayTable(t.Context())
	must(t, err)
	if at, ok := r.TimerProgress(t.Context()); ok {
		timer = &at
	}
	return offsets, delays, timer
}

// kill ends the master.
func (p *pair) kill() { p.master.stop() }

// back starts the master again and tells it what the slave did.
func (p *pair) back() {
	p.t.Helper()
	p.master = p.startMaster(p.master.fs)
	must(p.t, p.slave.Act(p.t.Context(), false))
	must(p.t, p.master.Resume(progress(p.t, p.slave)))
	must(p.t, p.master.Act(p.t.Context(), true))
}

func TestSlaveDeliversWhatIsDueInOtherSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := actingPair(t)
		now := time.Now()
		at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).UnixMilli(), 10) }
		p.master.put(message("T", 1, "delayed, before", "DELAY", "1")) // 1 s
		p.master.put(message("T", 1, "timed, before", "TIMER_DELIVER_MS", at(2*time.Second)))
		for i := range 4 {
			p.master.put(message("T", int32(i), fmt.Sprintf("delayed %d", i), "DELAY", "4", "KEYS", "k", "PGROUP", "PG")) // 30 s
			p.master.put(message("T", int32(i), fmt.Sprintf("timed %d", i), "TIMER_DELIVER_MS", at(time.Duration(20+i)*time.Second)))
		}
		p.master.put(message("T", 0, "later", "TIMER_DELIVER_MS", at(10*time.Minute)))
		time.Sleep(10 * time.Second)
		p.copy()
		p.kill()
		time.Sleep(time.Second)
		must(t, p.slave.Act(t.Context(), true))
		p.others.setDown(true)
		time.Sleep(time.Minute)
		p.others.setDown(false)
		time.Sleep(time.Minute)
		want := []string{"delayed 0", "delayed 1", "delayed 2", "delayed 3", "timed 0", "timed 1", "timed 2", "timed 3"}
		if got := p.others.bodies(); !slices.Equal(got, want) {
			t.Fatalf("escaped %q", got)
		}
		for _, m := range p.others.got {
			props := record.Props(m.Props)
			for _, gone := range []string{"DELAY", "TIMER_DELIVER_MS", "WAIT"} {
				if v, ok := props.Get(gone); ok {
					t.Errorf("%s has %s=%s", m.Body, gone, v)
				}
			}
			if m.Topic != "T" || !strings.HasSuffix(string(m.Body), strconv.Itoa(int(m.Queue))) {
				t.Errorf("%s: %s %d", m.Body, m.Topic, m.Queue)
			}
			if strings.HasPrefix(string(m.Body), "delayed") && m.Group != "PG" {
				t.Errorf("group %q", m.Group)
			}
		}
		p.back()
		time.Sleep(time.Minute)
		if n := len(p.master.bodies("T")); n != 2 {
			t.Errorf("the master that is back has delivered %q", p.master.bodies("T"))
		}
		time.Sleep(10 * time.Minute)
		if got := p.master.bodies("T"); !slices.Contains(got, "later") || len(got) != 3 {
			t.Errorf("in the end %q", got)
		}
		if got := p.others.bodies(); len(got) != len(want) {
			t.Errorf("the slave went on: %q", got)
		}
	})
}

func (r *rig) bodies(topic string) []string {
	var out []string
	for q := range int32(4) {
		for _, m := range r.read(topic, q) {
			out = append(out, string(m.Body))
		}
	}
	slices.Sort(out)
	return out
}

func TestSlaveGivesUndecidedTransactionsToOtherSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := actingPair(t)
		p.master.topic("T", 4)
		var ends []mq.End
		for i := range 6 {
			props := []string{"DELAY", "2"}
			if i == 0 {
				props = nil // what it becomes would be delayed, and escape, too
			}
			ends = append(ends, endOf(p.master.put(halfMessage("T", int32(i%4), fmt.Sprintf("half %d", i), props...)), i%2 == 0))
		}
		must(t, p.master.end(ends[0]))
		p.copy()
		must(t, p.master.end(ends[1])) // the slave hears of it, but not of how far the master is
		p.copyLog()
		p.kill()
		p.others.setDown(true)
		must(t, p.slave.Act(t.Context(), true))
		if err := p.slave.end(ends[2]); err == nil {
			t.Error("a slave has decided a transaction")
		}
		time.Sleep(10 * time.Minute) // more than the ten attempts after which Java leaves a message out
		if got := p.others.bodies(); len(got) > 0 {
			t.Fatalf("escaped %q", got)
		}
		p.others.setDown(false)
		time.Sleep(time.Minute)
		want := []string{"half 2", "half 3", "half 4", "half 5"}
		if got := p.others.bodies(); !slices.Equal(got, want) {
			t.Fatalf("escaped %q", got)
		}
		for _, m := range p.others.got {
			props := record.Props(m.Props)
			for key, want := range map[string]string{"TRAN_MSG": "true", "PGROUP": "PG", "DELAY": "2", "REAL_TOPIC": "", "REAL_QID": "", "UNIQ_KEY": "U" + string(m.Body)} {
				if v, _ := props.Get(key); string(v) != want {
					t.Errorf("%s: %s = %q", m.Body, key, v)
				}
			}
			if m.Topic != "T" || m.Group != "PG" || m.SysFlag&record.SysFlagTransactionMask != record.SysFlagPrepared {
				t.Errorf("%s: topic %s group %s flag %d", m.Body, m.Topic, m.Group, m.SysFlag)
			}
		}
		p.back()
		asked := &peer{checks: make(chan mq.TransactionCheck, 100)}
		p.master.produce(asked)
		p.master.put(halfMessage("T", 0, "new"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(asked.checks) == 0 {
			t.Error("the master asks about nothing")
		}
		for len(asked.checks) > 0 {
			if c := <-asked.checks; c.TransactionID != "Unew" {
				t.Errorf("the master that is back asks about %s", c.TransactionID)
			}
		}
	})
}

func TestSlaveHandsOutToConsumersThatPop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := actingPair(t)
		p.master.topic("T", 1)
		p.master.putN("T", 6)
		var res mq.PopResult
		refused(t, func() error { p.copy(); return p.slave.Pop(t.Context(), popRequest("g", "T", time.Minute), &res) }(), mq.KindUnavailable,
			"service not available now. This broker is a slave, messages are sent to its master.")
		p.kill()
		must(t, p.slave.Act(t.Context(), true))
		first := popRequest("g", "T", 10*time.Second)
		first.MaxMessages = 2
		got := p.slave.pop(first)
		if len(got) != 2 {
			t.Fatalf("popped %v", got)
		}
		p.slave.ack("g", "T", got...)
		got = p.slave.pop(popRequest("g", "T", 10*time.Second))
		if len(got) != 4 {
			t.Fatalf("popped %v", got)
		}
		p.slave.ack("g", "T", got[1:]...)
		for range 3 { // in place
			time.Sleep(11 * time.Second)
			if again := p.slave.pop(popRequest("g", "T", 10*time.Second)); len(again) != 1 || again[0].body != "m2" {
				t.Fatalf("popped %v", again)
			}
		}
		time.Sleep(15 * time.Second) // then to the retry topic, elsewhere
		if got := p.others.bodies(); !slices.Equal(got, []string{"m2"}) || p.others.got[0].Topic != "%RETRY%g_T" || p.others.got[0].Reconsume == 0 {
			t.Fatalf("escaped %+v", p.others.got)
		}
		if at, err := p.slave.QueryIndex(t.Context(), "g", "T", 0, false); at != 6 {
			t.Fatalf("position %d %v", at, err)
		}
		p.back()
		if at, err := p.master.QueryIndex(t.Context(), "g", "T", 0, false); at != 6 {
			t.Errorf("position of the master that is back: %d %v", at, err)
		}
		refused(t, p.slave.Pop(t.Context(), popRequest("g", "T", time.Minute), &res), mq.KindUnavailable,
			"service not available now. This broker is a slave, messages are sent to its master.")
	})
}

func TestMasterThatIsBackLosesNoPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := actingPair(t)
		p.master.topic("T", 1)
		p.master.putN("T", 10)
		commit := func(r *rig, group string, at mq.Index) {
			t.Helper()
			must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig(group)))
			must(t, r.CommitIndex(t.Context(), group, "T", 0, at))
		}
		commit(p.master, "ahead", 3)
		commit(p.master, "behind", 3)
		p.copy()
		commit(p.master, "ahead", 9) // the slave never hears of it
		p.kill()
		must(t, p.slave.Act(t.Context(), true))
		commit(p.slave, "behind", 7)
		commit(p.slave, "new", 5)
		must(t, p.slave.FollowOffsets([]byte(`{"dataVersion":{"counter":9,"stateVersion":0,"timestamp":9},"offsetTable":{"T@behind":{0:1}}}`)))
		p.back()
		for group, want := range map[string]mq.Index{"ahead": 9, "behind": 7, "new": 5} {
			if at, err := p.master.QueryIndex(t.Context(), group, "T", 0, false); at != want {
				t.Errorf("%s: %d %v, want %d", group, at, err, want)
			}
		}
		// What lies beyond the end of a queue here is not believed.
		must(t, p.master.Resume([]byte(`{"offsetTable":{"T@behind":{0:1000},"nowhere@behind":{0:5}}}`), nil, nil))
		if at, _ := p.master.QueryIndex(t.Context(), "behind", "T", 0, false); at != 10 {
			t.Errorf("position %d of a queue of 10", at)
		}
	})
}

// TestTimersOfBothAreDeliveredOnce has timers that are due all the time while master and slave take turns; some are stored by the
// master at the last moment and never reach the slave. Each is delivered, and none twice.
func TestTimersOfBothAreDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := actingPair(t)
		n := 0
		plan := func(from, to time.Duration) {
			for d := from; d < to; d += 317 * time.Millisecond {
				due := time.Now().Add(d).UnixMilli()
				p.master.put(message("T", int32(n%4), strconv.Itoa(n), "TIMER_DELIVER_MS", strconv.FormatInt(due, 10)))
				n++
			}
		}
		for round := range 4 {
			plan(time.Second, 40*time.Second)
			p.copy()
			for range 5 {
				time.Sleep(time.Duration(900+130*round) * time.Millisecond)
				p.copy()
			}
			plan(0, 20*time.Second) // only the master has these
			p.kill()
			p.slave.store.CatchUp()
			must(t, p.slave.Act(t.Context(), true))
			time.Sleep(8 * time.Second)
			p.back()
			time.Sleep(3 * time.Second)
			p.copy()
		}
		time.Sleep(2 * time.Minute)
		times := map[string]int{}
		for _, b := range append(p.master.bodies("T"), p.others.bodies()...) {
			times[b]++
		}
		twice := 0
		for i := range n {
			switch c := times[strconv.Itoa(i)]; {
			case c == 0:
				t.Errorf("timer %d was not delivered", i)
			case c > 1:
				twice += c - 1
			}
		}
		// What the master delivered since the slave last heard from it may come again.
		if twice > n/20 {
			t.Errorf("%d of %d came again", twice, n)
		}
		t.Logf("%d timers, %d by the slave, %d again", n, len(p.others.got), twice)
	})
}

// tables has the slave ask for what has changed in the tables, once.
func (p *pair) tables() error {
	q, ok := p.slave.TableQuestion()
	if !ok {
		p.t.Fatal("the slave has no question")
	}
	answers := make(chan []byte, 1)
	must(p.t, p.master.FollowTables(q, func(a []byte) { answers <- a }))
	return p.slave.TakeTables(<-answers)
}

func TestActingSlaveIsNotOvertakenByItsMastersPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := actingPair(t)
		p.master.topic("T", 1)
		p.master.putN("T", 10)
		must(t, p.master.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
		p.copyLog()
		must(t, p.tables())
		time.Sleep(time.Second)
		p.master.putN("T", 1) // the slave has not got it when it hears of the position
		must(t, p.master.CommitIndex(t.Context(), "g", "T", 0, 5))
		must(t, p.tables())
		time.Sleep(time.Second)
		position := func(want mq.Index) {
			t.Helper()
			if at, err := p.slave.QueryIndex(t.Context(), "g", "T", 0, false); at != want {
				t.Errorf("position %d %v, want %d", at, err, want)
			}
		}
		must(t, p.slave.Act(t.Context(), true))
		position(5)
		must(t, p.slave.CommitIndex(t.Context(), "g", "T", 0, 9))
		if err := p.tables(); err == nil {
			t.Error("a slave that acts takes over tables")
		}
		must(t, p.slave.Act(t.Context(), false))
		p.copyLog() // the master is back, and has not asked yet
		time.Sleep(time.Second)
		position(9)
		must(t, p.master.Resume(progress(t, p.slave)))
		must(t, p.tables())
		time.Sleep(time.Second)
		position(9)
	})
}

func TestPromise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(o *setup)
		copies string
		means  string
	}{
		{"alone", func(*setup) {}, "1", "in the log of this broker only, on disk a moment later"},
		{"flushed", func(o *setup) { o.FlushSync = true }, "1", "in the log of this broker only, on disk here"},
		{"two copies", func(o *setup) { o.Replicas = 1 }, "2", "in the logs of 2 brokers, on disk a moment later"},
		{"what is in sync", func(o *setup) { o.Acks = func() (int, bool) { return 2, true } }, "3", "in the logs of 3 brokers, on disk a moment later"},
		{"slave", func(o *setup) { o.Slave, o.ID, o.storage.Copy = true, 1, true }, "0", "nothing: no messages are taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			info, err := start(t, c.change).RuntimeInfo(t.Context())
			must(t, err)
			if info["acknowledgedCopies"] != c.copies || info["acknowledgedMeans"] != c.means {
				t.Errorf("%s copies, %q", info["acknowledgedCopies"], info["acknowledgedMeans"])
			}
		})
	}
}

func TestSendsAreRefusedWhileTooFewAreInSync(t *testing.T) {
	t.Parallel()
	enough := false
	r := start(t, func(o *setup) { o.Acks = func() (int, bool) { return 0, enough } })
	r.topic("T", 1)
	end := r.store.Appended()
	res, _ := r.send(message("T", 0, "a"), message("T", 0, "b", "WAIT", "false"))
	if err := res[0].Err; err == nil || err.Kind != mq.KindInternal || err.Detail != "in-sync replicas not enough" {
		t.Errorf("refused with %v", err)
	}
	if res[1].Err != nil {
		t.Errorf("a message that waits for nobody is refused: %v", res[1].Err)
	}
	if got := bodies(r.read("T", 0)); got != "b" || r.store.Appended() == end {
		t.Errorf("stored %q", got)
	}
	enough = true
	if res, _ = r.send(message("T", 0, "c")); res[0].Err != nil {
		t.Errorf("refused with %v", res[0].Err)
	}
}
