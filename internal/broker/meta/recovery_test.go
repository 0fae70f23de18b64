package meta

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

var errDead = errors.New("the process is dead")

// state is all that a table set holds, as text.
func state(t *Tables) string {
	return string(t.Topics.snapshot()()) + string(t.Groups.snapshot()()) + string(t.Offsets.snapshot()())
}

// fill makes tables with two folds and a journal behind them, closes nothing and returns what they hold.
func fill(tb testing.TB, m vfs.FS) string {
	tb.Helper()
	tables := open(tb, m)
	for i := range 3 {
		_, _, err := tables.Topics.Put(topic(fmt.Sprintf("T%d", i)))
		must(tb, err)
		_, _, _, err = tables.Groups.Ensure(fmt.Sprintf("g%d", i))
		must(tb, err)
		for q := range int32(3) {
			tables.Offsets.Commit(fmt.Sprintf("g%d", i), "T0", q, mq.Index(100*i+int(q)))
		}
		must(tb, tables.Offsets.Sync())
		if i < 2 {
			must(tb, errors.Join(tables.Topics.Fold(), tables.Groups.Fold(), tables.Offsets.Fold()))
		}
	}
	tables.Offsets.Commit("g0", "T0", 0, 77)
	must(tb, tables.Offsets.DeleteGroup("g1"))
	return state(tables)
}

func TestNothingIsLostWhenTheJSONIsCutAnywhere(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	want := fill(t, m)
	for _, file := range []string{topicsJSON, groupsJSON, offsetsJSON} {
		whole := get(t, m, file)
		step := 1
		if len(whole) > 1000 {
			step = 7
		}
		for cut := 0; cut < len(whole); cut += step {
			c := m.CrashClone(nil, vfs.ProcessKill)
			put(t, c, file, whole[:cut])
			tb := open(t, c)
			if got := state(tb); got != want {
				t.Fatalf("%s cut at %d: got\n%s\nwant\n%s", file, cut, got, want)
			}
			// The next fold must not make the damaged text the .bak.
			must(t, tb.Close())
			must(t, c.Remove(file))
			again := open(t, c)
			if got := state(again); got != want {
				t.Fatalf("%s cut at %d, then only .bak: got\n%s\nwant\n%s", file, cut, got, want)
			}
			must(t, again.Close())
		}
	}
}

func TestTwoDamagedFilesAreAnErrorWithNamesAndPlaces(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	fill(t, m)
	put(t, m, offsetsJSON, []byte(`{"offsetTable":{"T@g":{0:5`))
	put(t, m, offsetsJSON+".bak", []byte(`{"offsetTable":{"T@g":{0:"x"}}}`))
	_, err := Open(m, testRoot, Options{})
	if err == nil {
		t.Fatal("opened")
	}
	for _, want := range []string{offsetsJSON + ": ", offsetsJSON + ".bak: ", `"T@g": queue 0: offset "x" is not an integer`, "26"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if _, ok := errors.AsType[*CorruptError](err); !ok {
		t.Errorf("not a CorruptError: %v", err)
	}
	// One damaged file, no other: the same.
	m = newMem(t)
	put(t, m, topicsJSON, nil)
	if _, err := Open(m, testRoot, Options{}); err == nil || !strings.Contains(err.Error(), topicsJSON+": empty") {
		t.Errorf("an empty file alone: %v", err)
	}
}

func TestATornJournalLosesOnlyItsTail(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	var ends []int64
	for i := range 6 {
		tb.Offsets.Commit("g", "T", 0, mq.Index(i+1))
		must(t, tb.Offsets.Sync())
		ends = append(ends, tb.Offsets.led.cur.size)
	}
	file := path.Join(testRoot, "cometmq", journalfile.Name("offsets", 1))
	whole := get(t, m, file)
	for cut := range whole {
		c := m.CrashClone(nil, vfs.ProcessKill)
		put(t, c, file, whole[:cut])
		want := mq.Index(0)
		for i, end := range ends {
			if int64(cut) >= end {
				want = mq.Index(i + 1)
			}
		}
		re := open(t, c)
		if got, _ := re.Offsets.Query("g", "T", 0); got != want {
			t.Fatalf("cut at %d: %d, want %d", cut, got, want)
		}
		// What is committed afterwards survives too.
		re.Offsets.Commit("g", "T", 1, 9)
		must(t, re.Offsets.Sync())
		re2 := open(t, c)
		if got, _ := re2.Offsets.Query("g", "T", 1); got != 9 {
			t.Fatalf("cut at %d: second life: %d", cut, got)
		}
		if got, _ := re2.Offsets.Query("g", "T", 0); got != want {
			t.Fatalf("cut at %d: second life: %d, want %d", cut, got, want)
		}
	}
}

func TestAFlippedBitInAJournalLosesOneFrame(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	for i := range int32(6) {
		tb.Offsets.Commit("g", "T", i, 5)
		must(t, tb.Offsets.Sync())
	}
	file := path.Join(testRoot, "cometmq", journalfile.Name("offsets", 1))
	whole := get(t, m, file)
	for i := range whole {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(whole)
			bad[i] ^= bit
			c := m.CrashClone(nil, vfs.ProcessKill)
			put(t, c, file, bad)
			re := open(t, c)
			if n := len(re.Offsets.Queues("g", "T")); n < 5 {
				// The base frame is the one whose loss costs all: without a JSON there is nothing else to hold on to.
				if i >= journalfile.HeadSize && i < journalfile.HeadSize+frameHead+16 && n == 0 {
					continue
				}
				t.Fatalf("bit %#x of byte %d: %d of 6 queues", bit, i, n)
			}
		}
	}
}

func TestAFlippedBitInTheJSONIsNoticed(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	want := fill(t, m)
	for _, file := range []string{topicsJSON, groupsJSON, offsetsJSON} {
		whole := get(t, m, file)
		st, err := m.Stat(file)
		must(t, err)
		for i := 0; i < len(whole); i += 5 {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			c := m.CrashClone(nil, vfs.ProcessKill)
			put(t, c, file, bad)
			must(t, c.Chtimes(file, st.ModTime())) // a decaying disk does not touch the times
			tb := open(t, c)
			if got := state(tb); got != want {
				t.Fatalf("%s, byte %d: got\n%s\nwant\n%s", file, i, got, want)
			}
		}
	}
}

func TestWhatJavaWroteSinceIsRight(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	fill(t, m)
	// Java started on our files after a kill, committed less than a version step and stopped: same dataVersion.
	text := bytes.Replace(get(t, m, offsetsJSON), []byte("0:100"), []byte("0:900"), 1)
	must(t, m.Rename(offsetsJSON, offsetsJSON+".bak"))
	put(t, m, offsetsJSON, text)
	tb := open(t, m)
	if at, _ := tb.Offsets.Query("g1", "T0", 0); at != 900 {
		t.Errorf("g1 at %d: the journal undid Java's commit", at)
	}
	if _, ok := tb.Offsets.Query("g2", "T0", 0); ok {
		t.Error("g2 came out of a journal that Java's file replaced")
	}
	// And from here on our own journal counts again.
	tb.Offsets.Commit("g1", "T0", 0, 901)
	must(t, tb.Offsets.Sync())
	tb = open(t, m)
	if at, _ := tb.Offsets.Query("g1", "T0", 0); at != 901 {
		t.Errorf("g1 at %d after a kill", at)
	}
	must(t, tb.Close())
}

func TestACrashAtAnyOperationOfAFoldLosesNothing(t *testing.T) {
	t.Parallel()
	base := newMem(t)
	want := fill(t, base)
	for n := 1; ; n++ {
		c := base.CrashClone(nil, vfs.ProcessKill)
		count := 0
		dead := vfs.NewFaulty(c, func(vfs.Op) error {
			if count++; count > n {
				return errDead
			}
			return nil
		})
		tb, err := Open(dead, testRoot, Options{})
		if err == nil {
			err = errors.Join(tb.Topics.Fold(), tb.Groups.Fold(), tb.Offsets.Fold())
		}
		re := open(t, c)
		if got := state(re); got != want {
			t.Fatalf("dead after operation %d: got\n%s\nwant\n%s", n, got, want)
		}
		if err == nil {
			if n < 30 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
	}
}

func TestAFullDiskEndsByItself(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	_, _, err := tb.Topics.Put(topic("T0"))
	must(t, err)
	tb.Offsets.Commit("g", "T", 0, 1)
	must(t, tb.Offsets.Sync())
	must(t, tb.Offsets.Fold())

	u, err := m.Usage(testRoot)
	must(t, err)
	m.SetCapacity(int64(u.Total - u.Avail))
	failed := false
	for i := range 400 {
		tb.Offsets.Commit("g", fmt.Sprintf("a-topic-with-a-name-that-takes-some-room-%d", i), 0, mq.Index(i))
		if err = tb.Offsets.Sync(); err != nil {
			failed = true
			if !vfs.IsNoSpace(err) {
				t.Fatalf("another error: %v", err)
			}
		}
	}
	if !failed {
		t.Fatal("the disk never filled up")
	}
	if _, _, err = tb.Topics.Put(topic("T1")); err != nil && !vfs.IsNoSpace(err) {
		t.Errorf("put on a full disk: %v", err)
	}
	if err = tb.Offsets.Fold(); !vfs.IsNoSpace(err) {
		t.Errorf("fold on a full disk: %v", err)
	}
	if at, ok := tb.Offsets.Query("g", "a-topic-with-a-name-that-takes-some-room-399", 0); !ok || at != 399 {
		t.Error("commits on a full disk do not count in memory")
	}
	m.SetCapacity(1 << 30)
	must(t, tb.Offsets.Sync())
	_, _, err = tb.Topics.Put(topic("T2"))
	must(t, err)
	want := state(tb)
	if got := state(open(t, m.CrashClone(nil, vfs.ProcessKill))); got != want {
		t.Errorf("after the disk has room again: got\n%s\nwant\n%s", got, want)
	}
	must(t, errors.Join(tb.Offsets.Fold(), tb.Topics.Fold()))
	if got := state(open(t, m)); got != want {
		t.Errorf("after a fold: got\n%s\nwant\n%s", got, want)
	}
}

func TestAFailedSyncIsNotRetried(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	broken := true
	f := vfs.NewFaulty(m, func(op vfs.Op) error {
		if broken && op.Kind == vfs.OpDatasync && strings.Contains(op.Name, "topics.") {
			return syscall.EIO
		}
		return nil
	})
	tb := open(t, f)
	if _, _, err := tb.Topics.Put(topic("T0")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("put with a failing disk: %v", err)
	}
	broken = false
	_, _, err := tb.Topics.Put(topic("T1"))
	must(t, err)
	want := state(tb)
	// Both are durable now, in the JSON or in a new file, whatever happened to the old one.
	for _, seed := range []uint64{1, 2, 3, 4} {
		if got := state(open(t, m.CrashClone(rng(seed), vfs.PowerCut))); got != want {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
		}
	}
	must(t, tb.Close())
}

func TestJournalsDoNotPileUp(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	for life := range 5 {
		tb := open(t, m)
		for i := range 5 {
			tb.Offsets.Commit("g", "T", 0, mq.Index(100*life+i))
			must(t, tb.Offsets.Fold())
		}
		must(t, tb.Close())
	}
	ents, err := m.ReadDir(path.Join(testRoot, "cometmq"))
	must(t, err)
	if len(ents) > 4 { // two of offsets, two of groups
		t.Errorf("%v", ents)
	}
}

func TestVersionStepsOncePer500Commits(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	for i := range 1200 {
		tb.Offsets.Commit("g", "T", int32(i%4), mq.Index(i))
	}
	v := tb.Offsets.Version()
	if v.Counter != 2 {
		t.Errorf("counter %d, want 2", v.Counter)
	}
	must(t, tb.Offsets.Sync())
	if got := open(t, m).Offsets.Version(); got != v {
		t.Errorf("%+v after a kill, want %+v", got, v)
	}
}

func TestDeletedOffsetsStayDeleted(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	for _, g := range []string{"g", "h"} {
		for _, topic := range []string{"T", "U"} {
			tb.Offsets.Commit(g, topic, 0, 5)
		}
	}
	must(t, tb.Offsets.DeleteTopic("T"))
	tb.Offsets.Commit("g", "T", 1, 6)
	must(t, tb.Offsets.DeleteGroup("h"))
	re := open(t, m)
	if got := re.Offsets.Topics("g"); !slices.Equal(got, []string{"T", "U"}) {
		t.Errorf("topics of g: %v", got)
	}
	if got := re.Offsets.Groups("U"); !slices.Equal(got, []string{"g"}) {
		t.Errorf("groups of U: %v", got)
	}
	if got := re.Offsets.Queues("g", "T"); len(got) != 1 || got[1] != 6 {
		t.Errorf("g in T: %v", got)
	}
}

func TestTimeOfNowIsAsked(t *testing.T) {
	t.Parallel()
	tb, err := Open(newMem(t), testRoot, Options{Now: func() time.Time { return time.UnixMilli(1700000000123) }})
	must(t, err)
	_, v, err := tb.Topics.Put(topic("T"))
	must(t, err)
	if v != (mq.DataVersion{Counter: 1, Timestamp: 1700000000123}) {
		t.Errorf("%+v", v)
	}
	must(t, tb.Close())
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func TestConcurrentCommitsSurviveAKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	const workers, rounds = 4, 300
	var synced [workers]atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				tb.Offsets.Commit("g", "T", int32(w), mq.Index(i+1))
				if i%3 == 0 {
					if err := tb.Offsets.Sync(); err != nil {
						t.Error(err)
						return
					}
					synced[w].Store(int64(i + 1))
				}
				switch {
				case i%50 == 10:
					if err := tb.Offsets.Fold(); err != nil {
						t.Error(err)
					}
				case i%70 == 5:
					if _, _, err := tb.Topics.Put(topic(fmt.Sprintf("T%d-%d", w, i))); err != nil {
						t.Error(err)
					}
				case i%90 == 7:
					if err := errors.Join(tb.Offsets.DeleteTopic("U"), tb.Topics.Fold()); err != nil {
						t.Error(err)
					}
				}
				tb.Offsets.Commit("g", "U", int32(w), 1)
			}
		})
	}
	for range 20 {
		var want [workers]int64
		for w := range workers {
			want[w] = synced[w].Load()
		}
		re := open(t, m.CrashClone(nil, vfs.ProcessKill))
		for w := range workers {
			if got, _ := re.Offsets.Query("g", "T", int32(w)); int64(got) < want[w] {
				t.Errorf("worker %d: %d after a kill, %d was acknowledged", w, got, want[w])
			}
		}
	}
	wg.Wait()
	must(t, tb.Close())
	want := state(tb)
	if got := state(open(t, m)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What the next process finds after a kill it shows to others, so a power cut must not take it away any more.
func TestWhatOutlivedAKillOutlivesAPowerCut(t *testing.T) {
	t.Parallel()
	for nth := range 40 {
		m := newMem(t)
		var killed *vfs.Mem
		n := 0
		tb := open(t, vfs.NewFaulty(m, func(op vfs.Op) error {
			if op.Kind == vfs.OpDatasync || op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir {
				if n++; n == nth {
					killed = m.CrashClone(nil, vfs.ProcessKill)
				}
			}
			return nil
		}))
		for i := range 3 {
			_, _, err := tb.Topics.Put(topic(fmt.Sprintf("T%d", i)))
			must(t, err)
			tb.Offsets.Commit("g", "T", 0, mq.Index(i))
			must(t, tb.Offsets.Sync())
			if i == 1 {
				must(t, errors.Join(tb.Topics.Fold(), tb.Groups.Fold(), tb.Offsets.Fold()))
			}
		}
		if killed == nil {
			continue
		}
		want := state(open(t, killed))
		for seed := range uint64(20) {
			after := killed.CrashClone(rand.New(rand.NewPCG(seed, 3)), vfs.PowerCut)
			if got := state(open(t, after)); got != want {
				t.Fatalf("sync %d, seed %d: got\n%s\nwant\n%s", nth, seed, got, want)
			}
		}
	}
}

// When a JSON file and its .bak are both gone, a journal that saw the file keeps the table from starting empty. One that
// only prepared it does not: a power cut may have come before the file was ever written.
func TestATableDoesNotStartEmptyBesideItsJournal(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	fill(t, m)
	for _, name := range []string{offsetsJSON, offsetsJSON + ".bak"} {
		must(t, m.Remove(name))
	}
	if _, err := Open(m, testRoot, Options{}); err == nil || !strings.Contains(err.Error(), offsetsJSON+": missing together with its .bak") {
		t.Fatalf("opened without the file: %v", err)
	}
	for seed := range uint64(300) {
		m = newMem(t)
		var cut *vfs.Mem
		tb := open(t, vfs.NewFaulty(m, func(op vfs.Op) error {
			if cut == nil && op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, "consumerOffset.json.tmp") {
				cut = m.CrashClone(rand.New(rand.NewPCG(seed, 5)), vfs.PowerCut)
			}
			return nil
		}))
		tb.Offsets.Commit("g", "T", 0, 7)
		must(t, tb.Offsets.Sync())
		must(t, tb.Offsets.Fold())
		if _, err := Open(cut, testRoot, Options{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
