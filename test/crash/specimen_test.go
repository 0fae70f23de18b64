package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// specimen is a store directory whose contents are known, to be damaged.
type specimen struct {
	o    storage.Options
	disk *vfs.Mem // as the process left it
	msgs []stored
	end  record.Offset
	meta string // see tablesText; "" = no tables
	// tablesOnly: the damage is in the tables, the rest is not looked at.
	tablesOnly bool
}

// stored is one message of a specimen.
type stored struct {
	topic  string
	queue  int32
	index  record.Index
	body   string
	key    string
	offset record.Offset
	size   int
}

func (m *stored) name() string { return fmt.Sprintf("%s/%d#%d", m.topic, m.queue, m.index) }

// lastStop is how the process that made a specimen ended.
type lastStop uint8

const (
	stopClean lastStop = iota
	stopKilled
	// stopWalk is a kill, and no mark is left: all of the log is walked.
	stopWalk
)

func specimenOptions() storage.Options {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	return storage.Options{
		Dir: root, SegmentSize: 8192, QueueFileSize: 400, IndexSlots: 10, IndexCapacity: 60, IndexEnabled: true, CacheBytes: 256 << 10,
		StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"), Now: func() time.Time { return now },
	}
}

// newSpecimen makes a store with the real code. A part of its messages is behind the last thorough mark.
func newSpecimen(t testing.TB, stop lastStop) *specimen {
	t.Helper()
	sp := &specimen{o: specimenOptions()}
	disk := vfs.NewMem(vfs.MemOptions{Now: sp.o.Now})
	s, err := storage.Open(disk, sp.o)
	must(t, err)
	tables, err := meta.Open(disk, root, meta.Options{Now: sp.o.Now})
	must(t, err)
	topics := []string{"orders", "B", "%RETRY%g"} // one bit makes a slash of an o
	var b storage.Batch
	for i := range 150 {
		m := stored{topic: topics[i%7%3], queue: int32(i % 2), body: fmt.Sprintf("%d %s", i, strings.Repeat("x", i*37%300)), key: fmt.Sprintf("k%d", i)}
		props := record.AppendProp(record.AppendProp(nil, "KEYS", m.key), "TAGS", fmt.Sprintf("t%d", i%3))
		b.Reset()
		_, err := b.Add(s.Queue(m.topic, m.queue), &record.Message{
			Topic: []byte(m.topic), Body: []byte(m.body), Props: props, BornTime: 1_700_000_000_000, BornHost: netip.MustParseAddrPort("10.0.0.1:1234"),
		})
		must(t, err)
		must(t, s.Append(&b))
		m.index, m.offset, _ = b.Result(0)
		m.size = b.RecordSize(0)
		sp.msgs = append(sp.msgs, m)
		if i == 100 {
			must(t, s.Manual().Dispatch())
			must(t, s.Manual().Thorough())
		}
		fillTables(t, tables, i)
	}
	must(t, s.Manual().Dispatch())
	must(t, s.Manual().Light())
	sp.end, sp.meta = s.Appended(), tablesText(tables)
	if stop == stopClean {
		must(t, tables.Close())
		must(t, s.Close())
	}
	sp.disk = killed(disk)
	if stop == stopWalk {
		must(t, sp.disk.Remove(root+"/cometmq/dispatch"))
		must(t, sp.disk.Remove(root+"/checkpoint"))
	}
	return sp
}

// fillTables changes the tables a little, with two folds behind them at the end.
func fillTables(t testing.TB, tables *meta.Tables, i int) {
	t.Helper()
	switch i {
	case 20, 60, 90, 130:
		n := int32(i / 20)
		_, _, err := tables.Topics.Put(mq.TopicConfig{Name: fmt.Sprintf("T%d", i), ReadQueues: n, WriteQueues: n, Perm: 6})
		must(t, err)
		_, _, _, err = tables.Groups.Ensure(fmt.Sprintf("g%d", i))
		must(t, err)
	case 50, 100:
		must(t, errors.Join(tables.Offsets.Fold(), tables.Topics.Fold(), tables.Groups.Fold()))
	}
	if i%10 == 5 {
		for q := range int32(2) {
			tables.Offsets.Commit("g", "A", q, mq.Index(100*i+int(q)))
			tables.Offsets.Commit("other", "B", q, mq.Index(1000*i+int(q)))
		}
		must(t, tables.Offsets.Sync())
	}
}

// tablesText is all that the tables hold.
func tablesText(t *meta.Tables) string {
	var b strings.Builder
	list, v := t.Topics.List()
	fmt.Fprintln(&b, "topics", v.Counter)
	for _, e := range list {
		fmt.Fprintf(&b, "%+v\n", e.Config())
	}
	groups, v := t.Groups.List()
	fmt.Fprintln(&b, "groups", v.Counter)
	for _, e := range groups {
		c := e.Config()
		fmt.Fprintln(&b, c.Name, c.ConsumeEnable, c.RetryQueues, c.RetryMaxTimes, c.BrokerID)
	}
	for _, g := range []string{"g", "other"} {
		for _, topic := range t.Offsets.Topics(g) {
			fmt.Fprintln(&b, g, topic, t.Offsets.Queues(g, topic))
		}
	}
	return b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func killed(disk *vfs.Mem) *vfs.Mem { return disk.CrashClone(nil, vfs.ProcessKill) }

// logFile returns the log file that holds off and the place in it.
func (sp *specimen) logFile(off record.Offset) (string, int64) {
	at := int64(off) % sp.o.SegmentSize
	return fmt.Sprintf("%s/commitlog/%020d", root, int64(off)-at), at
}

// queueFile returns the file that holds the unit of m and the place in it.
func (sp *specimen) queueFile(m *stored) (string, int64) {
	pos := int64(m.index) * 20
	at := pos % sp.o.QueueFileSize
	return fmt.Sprintf("%s/consumequeue/%s/%d/%020d", root, m.topic, m.queue, pos-at), at
}

// edit changes bytes of a file and nothing else about it, as a decaying disk does.
func edit(t testing.TB, disk *vfs.Mem, name string, f func(p []byte)) {
	t.Helper()
	st, err := disk.Stat(name)
	must(t, err)
	p, err := vfs.ReadFile(disk, name)
	must(t, err)
	f(p)
	h, err := disk.Open(name)
	must(t, err)
	if len(p) > 0 {
		_, err = h.WriteAt(p, 0)
		must(t, err)
	}
	must(t, h.Sync())
	must(t, h.Close())
	must(t, disk.Chtimes(name, st.ModTime()))
}

func flip(t testing.TB, disk *vfs.Mem, name string, bit int64) {
	t.Helper()
	edit(t, disk, name, func(p []byte) { p[bit/8] ^= 1 << (bit % 8) })
}

// resize cuts a file or lengthens it with zeros, and leaves its time.
func resize(t testing.TB, disk *vfs.Mem, name string, size int64) {
	t.Helper()
	st, err := disk.Stat(name)
	must(t, err)
	h, err := disk.Open(name)
	must(t, err)
	must(t, h.Truncate(size))
	must(t, h.Sync())
	must(t, h.Close())
	must(t, disk.Chtimes(name, st.ModTime()))
}

func sizeOf(t testing.TB, disk *vfs.Mem, name string) int64 {
	t.Helper()
	st, err := disk.Stat(name)
	must(t, err)
	return st.Size()
}

// files lists the files of a folder.
func files(t testing.TB, disk *vfs.Mem, dir string) []string {
	t.Helper()
	list, err := disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(t, err)
	var out []string
	for _, e := range list {
		if !e.IsDir() {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out
}

// finding is what a damaged store answered.
type finding struct {
	refused error // it did not open
	found   map[string]string
	max     map[string]record.Index
	end     record.Offset
	reports int64 // by counters
	log     string
	meta    string
	tables  *tableState
	keys    int // that were found
}

// examine opens a store and reads all that is in it. With goOn it checks then that it takes messages and gives them back
// after a kill.
func examine(disk *vfs.Mem, sp *specimen, hit map[string]bool, goOn bool) (finding, error) {
	f := finding{found: map[string]string{}, max: map[string]record.Index{}}
	var log bytes.Buffer
	o := sp.o
	o.Log = testLog(&log, slog.LevelWarn)
	if sp.tablesOnly {
		err := f.examineTables(disk, o, goOn)
		f.log, f.end = log.String(), sp.end
		return f, err
	}
	s, err := storage.Open(disk, o)
	if err != nil {
		f.refused, f.log = err, log.String()
		return f, nil
	}
	if sp.meta != "" {
		if err := f.examineTables(disk, o, goOn); err != nil || f.refused != nil {
			f.log = log.String()
			return f, err
		}
	}
	f.end = s.Appended()
	if err := s.Manual().Dispatch(); err != nil {
		return f, fmt.Errorf("dispatch: %w", err)
	}
	if err := f.read(s); err != nil {
		return f, err
	}
	for i := range sp.msgs {
		m := &sp.msgs[i]
		if m.key == "" {
			f.keys++
			continue
		}
		hits, err := s.QueryKeys(m.topic, m.key, 100, 0, math.MaxInt64)
		if err != nil {
			return f, fmt.Errorf("query of key %s: %w", m.key, err)
		}
		if slices.Contains(hits.Offsets, m.offset) {
			f.keys++
		}
	}
	c := s.Corruptions()
	f.reports = c.Count + c.Damaged + s.Stats().BlankUnits
	f.log = log.String()
	if !goOn {
		return f, nil
	}
	err = f.goOn(disk, s, o, hit)
	return f, err
}

// examineTables opens the tables, takes down what they hold and checks that they go on.
func (f *finding) examineTables(disk *vfs.Mem, o storage.Options, goOn bool) error {
	tables, err := meta.Open(disk, root, meta.Options{Now: o.Now, Log: o.Log})
	if err != nil {
		f.refused = err
		return nil
	}
	f.meta, f.tables = tablesText(tables), stateOf(tables)
	if !goOn {
		return nil
	}
	return f.commitOn(disk, tables, o)
}

// commitOn commits an offset, kills the process, looks, stops cleanly and looks again.
func (f *finding) commitOn(disk *vfs.Mem, tables *meta.Tables, o storage.Options) error {
	tables.Offsets.Commit("after", "A", 3, 7)
	if err := tables.Offsets.Sync(); err != nil {
		return fmt.Errorf("commit after the damage: %w", err)
	}
	again := killed(disk)
	for _, what := range []string{"kill", "clean stop", "second clean stop"} {
		tables, err := meta.Open(again, root, meta.Options{Now: o.Now})
		if err != nil {
			return fmt.Errorf("tables after the damage and a %s: %w", what, err)
		}
		at, _ := tables.Offsets.Query("after", "A", 3)
		if got := tablesText(tables); got != f.meta || at != 7 {
			return fmt.Errorf("tables after the damage and a %s: new offset %d\n%s\nwere\n%s", what, at, got, f.meta)
		}
		if err := tables.Close(); err != nil {
			return fmt.Errorf("close tables after the damage: %w", err)
		}
	}
	return nil
}

// read fills found and max.
func (f *finding) read(s *storage.Store) error {
	var failed error
	err := s.Queues(func(q *storage.Queue) bool {
		name := fmt.Sprintf("%s/%d", q.Topic(), q.ID())
		f.max[name] = q.Max()
		for at := q.Min(); at < q.Max(); {
			res := s.Read(q, &storage.Read{From: at}, nil)
			for p := res.Records; len(p) > 0; {
				var m record.Message
				n, err := record.Decode(p, &m, false)
				if err != nil {
					failed = fmt.Errorf("%s at %d: %w", name, at, err)
					return false
				}
				id := fmt.Sprintf("%s#%d", name, m.Index)
				if _, twice := f.found[id]; twice {
					failed = fmt.Errorf("%s comes twice", id)
					return false
				}
				f.found[id] = string(m.Body)
				p = p[n:]
			}
			if res.Next <= at {
				failed = fmt.Errorf("%s: reading does not go on at %d, status %d", name, at, res.Status)
				return false
			}
			at = res.Next
		}
		return true
	})
	return errors.Join(err, failed)
}

// goOn stores a message in each queue, kills the process and looks for all that was there before and is not damaged.and is not damaged.
func (f *finding) goOn(disk *vfs.Mem, s *storage.Store, o storage.Options, hit map[string]bool) error {
	var b storage.Batch
	added := map[string]string{}
	err := s.Queues(func(q *storage.Queue) bool {
		n, err := b.Add(q, &record.Message{Topic: []byte(q.Topic()), Body: []byte("new"), BornHost: o.StoreHost})
		if err == nil {
			added[fmt.Sprintf("%s/%d", q.Topic(), q.ID())] = fmt.Sprint(n)
		}
		return err == nil
	})
	if err == nil && b.Len() > 0 {
		err = s.Append(&b)
	}
	if err != nil || len(added) != b.Len() {
		return fmt.Errorf("a new message after the damage: %w", errors.Join(err, s.Writable()))
	}
	if err := s.Manual().Dispatch(); err != nil {
		return fmt.Errorf("dispatch new messages: %w", err)
	}
	s, err = storage.Open(killed(disk), o)
	if err != nil {
		return fmt.Errorf("open a second time: %w", err)
	}
	again := finding{found: map[string]string{}, max: map[string]record.Index{}}
	if err := again.read(s); err != nil {
		return fmt.Errorf("second time: %w", err)
	}
	for id, body := range f.found {
		if again.found[id] != body && !hit[id] {
			return fmt.Errorf("%s was there and is %.30q after the next kill", id, again.found[id])
		}
	}
	for name := range added {
		if id := fmt.Sprintf("%s#%d", name, f.max[name]); again.found[id] != "new" {
			return fmt.Errorf("the new message %s is lost: %.30q", id, again.found[id])
		}
	}
	return nil
}
