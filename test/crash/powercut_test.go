package crash

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

var seeds = flag.Int("seeds", 50, "runs of the simulated disk, with seeds from 1 on; -seed runs one of them")

const root = "/store"

// counts is what the runs of one kind add up to.
type counts struct {
	runs, cuts, kills, clean, inRecovery int64
	acked                                int64 // messages promised at a crash, each crash counts
	commits                              int64 // offset positions checked
	lost                                 int64
}

func (c *counts) add(o counts) {
	c.runs += o.runs
	c.cuts += o.cuts
	c.kills += o.kills
	c.clean += o.clean
	c.inRecovery += o.inRecovery
	c.acked += o.acked
	c.commits += o.commits
	c.lost += o.lost
}

// TestPowerCut drives a store and the broker's tables on a simulated disk through power cuts and kills at random
// operations, also while they recover. No goroutine runs, so each seed is the same each time.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, o := range []struct {
		name string
		kind cutKind
	}{{"power cut", cutPower}, {"process kill", cutKill}, {"both", cutBoth}} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			total := eachSeed(t, func(seed uint64) (counts, error) { return runPowerCut(seed, o.kind) })
			t.Logf("%+v", total)
			table.powerCuts(o.kind, total)
		})
	}
}

// eachSeed runs f for the seeds that were asked for, on all cores, and says how to run a failing one alone.
func eachSeed(t *testing.T, f func(seed uint64) (counts, error)) counts {
	t.Helper()
	list := make(chan uint64)
	go func() {
		defer close(list)
		if *seed != 0 {
			list <- *seed
			return
		}
		for s := range *seeds {
			list <- uint64(s + 1)
		}
	}()
	var mu sync.Mutex
	var total counts
	var wg sync.WaitGroup
	failed := 0
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := range list {
				c, err := f(s)
				mu.Lock()
				total.add(c)
				if err != nil {
					total.lost++
					if failed++; failed <= 10 {
						t.Errorf("seed %d: %v\nalone: go test ./test/crash -run '%s' -seed %d -v", s, err, t.Name(), s)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed > 10 {
		t.Errorf("%d seeds failed", failed)
	}
	return total
}

type cutKind uint8

const (
	cutPower cutKind = iota
	cutKill
	cutBoth
)

// run is one seed.
type run struct {
	rng    *rand.Rand
	kind   cutKind
	clock  time.Time
	disk   *powered
	o      storage.Options
	s      *storage.Store
	tables *meta.Tables

	model  *model
	meta   *metaModel
	batch  storage.Batch
	nested storage.Batch
	may    bool // the disk may call an append in the middle of what is going on
	inside error

	flushed record.Offset // durable when the power went
	by      loss
	n       counts
	trace   []string
}

// Write takes lines of the store's own log into the trace.
func (r *run) Write(p []byte) (int, error) {
	r.note("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func (r *run) note(format string, args ...any) {
	if len(r.trace) > 60 {
		r.trace = slices.Delete(r.trace, 0, 20)
	}
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

// testLog is a log without times: the same run gives the same text.
func testLog(w io.Writer, from slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: from, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// runPowerCut does one run.
func runPowerCut(seed uint64, kind cutKind) (n counts, err error) {
	rng := rand.New(rand.NewPCG(seed, uint64(kind)+77))
	r := &run{rng: rng, kind: kind, clock: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	r.model = newModel([]string{"A", "B", "%RETRY%g"}, 2)
	r.meta = newMetaModel()
	r.n.runs = 1
	hours := make([]string, 24)
	for i := range hours {
		hours[i] = fmt.Sprintf("%02d", i)
	}
	r.o = storage.Options{
		Dir: root, SegmentSize: pick(rng, int64(4096), 8192, 20000, 64<<10), QueueFileSize: pick(rng, int64(200), 2000),
		IndexSlots: 10, IndexCapacity: pick(rng, 20, 200), IndexEnabled: rng.IntN(3) > 0, CacheBytes: 256 << 10,
		AppendPropCRC: rng.IntN(2) == 0, DeleteWhen: strings.Join(hours, ";"), StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"),
		Now: func() time.Time { return r.clock }, OnDispatch: r.dispatched, Log: testLog(r, slog.LevelWarn),
	}
	r.disk = newPowered(vfs.NewMem(vfs.MemOptions{Now: func() time.Time { return r.clock }}), rng, 0)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nsegments %d, queue files %d, index %v, sync %v; last steps:\n  %s", err, r.o.SegmentSize, r.o.QueueFileSize,
				r.o.IndexEnabled, r.o.FlushSync, strings.Join(r.trace, "\n  "))
		}
		n = r.n
	}()
	for range 2 + rng.IntN(3) {
		if err := r.life(); err != nil {
			return r.n, err
		}
	}
	// At the end all is well: the store opens, takes messages and stops cleanly.
	if err := r.start(0); err != nil {
		return r.n, err
	}
	for range 3 {
		if err := r.append(&r.batch); err != nil {
			return r.n, err
		}
	}
	if err := r.stop(); err != nil {
		return r.n, fmt.Errorf("last stop: %w", err)
	}
	return r.n, r.start(0)
}

// life opens the store, uses it and crashes it.
func (r *run) life() error {
	cut := 0
	if r.rng.IntN(3) == 0 {
		cut = 1 + r.rng.IntN(40)
	}
	if err := r.start(cut); err != nil {
		return err
	}
	r.disk.left = 1 + r.rng.IntN(pick(r.rng, 10, 100, 600))
	r.disk.before = r.between
	for range 5 + r.rng.IntN(60) {
		err := r.step()
		if r.disk.off() {
			break
		}
		if err == nil {
			err = r.inside
		}
		if err != nil {
			return err
		}
	}
	if !r.disk.off() && r.rng.IntN(5) == 0 {
		if err := r.stop(); err != nil && !r.disk.off() {
			return fmt.Errorf("stop: %w", err)
		}
		if !r.disk.off() {
			r.note("stopped")
			r.n.clean++
			r.by = lossNone
			r.disk = newPowered(r.disk.mem, r.rng, 0)
			return nil
		}
	}
	r.crash()
	return nil
}

// crash cuts the power or kills the process, now or as it already happened.
func (r *run) crash() {
	mode := vfs.PowerCut
	if r.kind == cutKill || r.kind == cutBoth && r.rng.IntN(2) == 0 {
		mode = vfs.ProcessKill
	}
	if r.disk.off() {
		r.note("crash %d in %s %s", mode, r.disk.where.Kind, r.disk.where.Name)
	} else {
		r.note("crash %d between operations", mode)
	}
	if r.s != nil {
		r.flushed, r.by = r.s.Flushed(), lossNone
		r.model.cut = max(r.model.cut, r.s.MinOffset())
	}
	if mode == vfs.PowerCut {
		r.by, r.model.lossy = lossPower, true
		r.n.cuts++
	} else {
		r.n.kills++
	}
	r.disk.cut()
	r.s, r.tables = nil, nil
	r.disk = newPowered(r.disk.next(mode), r.rng, 0)
}

// start opens everything, with a crash at operation cut if that is not zero, and checks what is there.
func (r *run) start(cut int) error {
	if r.rng.IntN(2) == 0 {
		r.o.FlushSync = r.rng.IntN(2) == 0
	}
	for {
		r.disk.left = cut
		err := r.open()
		if r.disk.off() {
			r.n.inRecovery++
			worst := r.by
			r.s = nil
			r.crash()
			r.by = max(worst, r.by)
			if cut = 0; r.rng.IntN(2) == 0 {
				cut = 1 + r.rng.IntN(40)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		r.disk.left = 0
		break
	}
	r.note("opened: sync %v, log %d..%d", r.o.FlushSync, r.s.MinOffset(), r.s.Appended())
	if c := r.s.Corruptions(); c.Count > 0 && !r.model.lossy {
		return fmt.Errorf("%d holes after an exit that loses nothing: %+v", c.Count, c.Holes)
	}
	n, err := r.model.check(r.s, r.by, r.flushed, r.o.IndexEnabled)
	r.n.acked += n.promised
	if err != nil {
		return err
	}
	r.n.commits += int64(len(r.meta.positions))
	err = r.meta.check(r.tables, r.by)
	r.by, r.flushed = lossNone, r.s.Flushed()
	return err
}

func (r *run) open() (err error) {
	if r.s, err = storage.Open(r.disk.fs, r.o); err != nil {
		return err
	}
	r.tables, err = meta.Open(r.disk.fs, root, meta.Options{Now: r.o.Now})
	return err
}

func (r *run) stop() error {
	if err := errors.Join(r.tables.Close(), r.s.Close()); err != nil {
		return err
	}
	if r.disk.off() {
		return nil
	}
	r.meta.synced()
	r.meta.folded(r.meta.committed())
	return nil
}

// between is called before operations of the disk: another goroutine could append now.
func (r *run) between(op vfs.Op) {
	if !r.may || r.rng.IntN(6) > 0 {
		return
	}
	switch op.Kind {
	case vfs.OpSyncFS:
	case vfs.OpDatasync:
		if strings.Contains(op.Name, "/index/") {
			return // an append that has keys may have to wait for it
		}
	case vfs.OpWrite:
		if !strings.HasSuffix(op.Name, "/dispatch") && !strings.HasSuffix(op.Name, "/checkpoint") {
			return
		}
	default:
		return
	}
	r.may = false
	r.note("  inside %s %s:", op.Kind, op.Name)
	r.inside = errors.Join(r.inside, r.append(&r.nested))
	r.may = true
}

// step does one random thing.
func (r *run) step() error {
	r.clock = r.clock.Add(time.Duration(r.rng.IntN(3000)-20) * time.Millisecond)
	m := r.s.Manual()
	alive := func() bool { return !r.disk.off() }
	switch k := r.rng.IntN(100); {
	case k < 45:
		return r.append(&r.batch)
	case k < 55:
		r.note("flush")
		return r.busy(r.s.Flush)
	case k < 60:
		r.note("dispatch")
		return m.Dispatch()
	case k < 66:
		r.note("light")
		return r.busy(m.Light)
	case k < 71:
		r.note("thorough")
		return r.busy(m.Thorough)
	case k < 74:
		r.note("prepare")
		return m.Prepare()
	case k < 76:
		r.clock = r.clock.Add(time.Duration(r.rng.IntN(80)) * time.Hour)
		r.note("clean")
		err := m.Clean(r.clock)
		r.model.cut = max(r.model.cut, r.s.MinOffset())
		return err
	case k < 82:
		return r.consume()
	case k < 83:
		return r.deleteTopic(pick(r.rng, "B", "%RETRY%g"))
	case k < 91:
		return r.commit()
	case k < 93:
		before := r.meta.committed()
		r.note("fold")
		err := errors.Join(r.tables.Offsets.Fold(), r.tables.Topics.Fold(), r.tables.Groups.Fold())
		if err == nil && alive() {
			r.meta.folded(before)
			r.meta.synced()
		}
		return err
	case k < 97:
		name := fmt.Sprintf("T%d", r.rng.IntN(4))
		r.note("put topic %s", name)
		return r.meta.putTopic(r.tables, name, alive)
	case k < 98:
		return r.meta.deleteTopic(r.tables, fmt.Sprintf("T%d", r.rng.IntN(4)), alive)
	default:
		return r.meta.ensureGroup(r.tables, fmt.Sprintf("g%d", r.rng.IntN(6)), alive)
	}
}

// busy does f while others may append.
func (r *run) busy(f func() error) error {
	r.may = true
	defer func() { r.may = false }()
	return f()
}

func (r *run) commit() error {
	for range 1 + r.rng.IntN(4) {
		p := r.meta.positions[r.rng.IntN(len(r.meta.positions))]
		p.committed += int64(r.rng.IntN(20))
		r.tables.Offsets.Commit(p.group, p.topic, p.queue, mq.Index(p.committed))
	}
	if r.rng.IntN(3) == 0 {
		return nil
	}
	r.note("sync offsets")
	err := r.tables.Offsets.Sync()
	if err == nil && !r.disk.off() {
		r.meta.synced()
	}
	return err
}

// append stores a batch over several queues, and waits for the disk if the store works so.
func (r *run) append(b *storage.Batch) error {
	b.Reset()
	group := r.rng.IntN(6) == 0
	l := pick(r.rng, r.model.lines...)
	first := len(r.model.sent)
	if group {
		b.BeginGroup()
	}
	for range 1 + r.rng.IntN(10) {
		if !group && r.rng.IntN(2) == 0 {
			l = pick(r.rng, r.model.lines...)
		}
		size := r.rng.IntN(250)
		if !group && r.rng.IntN(25) == 0 {
			size = int(min(r.o.SegmentSize/2, 9000))
		}
		serial := len(r.model.sent)
		x := &sent{line: l, body: fmt.Sprintf("%d %s", serial, strings.Repeat(string(rune('a'+serial%26)), size))}
		props := record.AppendProp(nil, "KEYS", fmt.Sprintf("all k%d", serial))
		props = record.AppendProp(props, "TAGS", fmt.Sprintf("t%d", serial%3))
		_, err := b.Add(r.s.Queue(l.topic, l.id), &record.Message{
			Topic: []byte(l.topic), Body: []byte(x.body), Props: props, BornTime: r.clock.UnixMilli(),
			BornHost: netip.MustParseAddrPort("10.0.0.1:1234"),
		})
		if err != nil {
			return r.orDead(fmt.Errorf("add to %s: %w", l, err))
		}
		r.model.sent = append(r.model.sent, x)
		l.unknown++
	}
	if group {
		b.EndGroup(true)
	}
	err := r.s.Append(b)
	r.note("append messages %d..%d (group %v): %v", first, len(r.model.sent)-1, group, err)
	if r.disk.off() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	list := r.model.sent[first : first+b.Len()] // a nested append may have added more
	for i, x := range list {
		x.stored = true
		x.index, x.offset, _ = b.Result(i)
		x.end = x.offset + record.Offset(b.RecordSize(i))
		if x.index != x.line.next {
			return fmt.Errorf("message %d got index %d of %s, want %d", first+i, x.index, x.line, x.line.next)
		}
		x.line.next++
		x.line.unknown--
		x.line.at[x.index] = int64(first + i)
	}
	if r.o.FlushSync {
		r.await(list, b.End())
	}
	return nil
}

// await answers the producer of list when the log is durable up to end.
func (r *run) await(list []*sent, end record.Offset) {
	answer := func() {
		if r.disk.off() {
			return
		}
		if r.s.Flushed() < end {
			r.inside = errors.Join(r.inside, fmt.Errorf("answered at %d although only %d is durable", end, r.s.Flushed()))
		}
		for _, x := range list {
			x.acked = !x.gone
		}
	}
	if !r.s.AwaitDurable(&storage.Await{End: end, Flush: true, Done: func(st storage.Status) {
		if st == storage.Durable {
			answer()
		}
	}}) {
		answer()
	}
}

func (r *run) orDead(err error) error {
	if r.disk.off() {
		return nil
	}
	return err
}

// dispatched hears of each message that becomes visible: once, in the order of its queue.
func (r *run) dispatched(q *storage.Queue, d *storage.Dispatched) {
	l := r.model.find(q.Topic(), q.ID())
	if d.Index != l.notified && r.inside == nil {
		r.inside = fmt.Errorf("%s: told of index %d, expected %d", l, d.Index, l.notified)
	}
	l.notified = d.Index + 1
}

// consume reads some of a queue. With FlushSync whatever is shown must be there for ever.
func (r *run) consume() error {
	l := pick(r.rng, r.model.lines...)
	r.note("read %s", l)
	got, err := r.model.read(r.s, r.s.Queue(l.topic, l.id), l, r.o.IndexEnabled)
	if err != nil || r.disk.off() {
		return err
	}
	for idx, serial := range got {
		x := r.model.sent[serial]
		if x.stored && r.o.FlushSync {
			if x.end > r.s.Flushed() {
				return fmt.Errorf("%s: message %d at index %d is visible, but durable is only %d of its end %d", l, serial, idx, r.s.Flushed(), x.end)
			}
			x.acked = true
		}
	}
	return nil
}

func (r *run) deleteTopic(topic string) error {
	r.note("delete topic %s", topic)
	err := r.s.DeleteTopic(topic)
	for _, l := range r.model.lines {
		if l.topic != topic {
			continue
		}
		if r.disk.off() {
			l.doubtful = true
			continue
		}
		if err == nil {
			for _, serial := range l.at {
				r.model.sent[serial].gone = true
			}
			l.clear()
		}
	}
	return r.orDead(err)
}

// A seed that fails must fail again when it is run alone.
func TestSeedsAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	for s := range uint64(10) {
		a, err := runPowerCut(s+1, cutBoth)
		must(t, err)
		b, err := runPowerCut(s+1, cutBoth)
		must(t, err)
		if a != b {
			t.Errorf("seed %d: %+v, then %+v", s+1, a, b)
		}
	}
}
