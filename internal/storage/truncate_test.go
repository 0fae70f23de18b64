package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// kept is a message in a log that is to be cut.
type kept struct {
	topic    string
	queue    int32
	body     string
	from, to record.Offset
	index    record.Index
	count    int // messages
}

// mixed appends messages of all kinds of queues and returns them in the order of the log. bodies differ by tag.
func mixed(t *testing.T, s *Store, rng *rand.Rand, n int, tag string) (out []kept) {
	t.Helper()
	_ = s.MakeBatch("batch") // ErrInUse never: it has messages in batch queues only
	for i := range n {
		k := kept{topic: fmt.Sprintf("T%d", rng.IntN(3)), queue: rng.Int32N(2), count: 1}
		k.body = fmt.Sprintf("%s %d %s", tag, i, strings.Repeat("x", rng.IntN(1500)))
		switch rng.IntN(6) {
		case 0:
			k.topic, k.queue, k.count = "batch", 0, 1+rng.IntN(5)
			k.index = putBatch(t, s, k.topic, k.body, k.count)
		case 1:
			k.queue = 0
			k.index = s.logEnd(t, k.topic)
			must(t, putLight(t, s, k.topic, k.body, "%LMQ%a"))
			out = append(out, kept{topic: "%LMQ%a", body: k.body, to: s.Appended(), count: 1})
		default:
			k.index, k.from = put(t, s, k.topic, k.queue, k.body)
		}
		k.to = s.Appended()
		out = append(out, k)
		if rng.IntN(4) == 0 {
			settle(t, s)
		}
	}
	return out
}

// logEnd is the index that the next message of queue 0 gets.
func (s *Store) logEnd(t *testing.T, topic string) record.Index {
	t.Helper()
	settle(t, s)
	return s.Queue(topic, 0).Max()
}

// holds fails unless the queues of s have exactly the messages of want.
func holds(t *testing.T, s *Store, want []kept) {
	t.Helper()
	byQueue := map[string][]string{}
	counts := map[string]int{}
	for _, topic := range []string{"T0", "T1", "T2", "batch", "%LMQ%a"} {
		for q := range int32(2) {
			byQueue[queueName(topic, q)] = nil
		}
	}
	for _, k := range want {
		name := queueName(k.topic, k.queue)
		byQueue[name] = append(byQueue[name], k.body)
		counts[name] += k.count
	}
	for name, list := range byQueue {
		topic, id, _ := strings.Cut(name, "/")
		q := s.Queue(topic, int32(id[0]-'0'))
		if int(q.Max()) != counts[name] {
			t.Fatalf("%s ends at %d, want %d", name, q.Max(), counts[name])
		}
		got := all(t, s, topic, q.ID())
		if !slices.Equal(got, list) {
			t.Fatalf("%s has %d messages, want %d", name, len(got), len(list))
		}
	}
}

func before(list []kept, end record.Offset) (out []kept) {
	for _, k := range list {
		if k.to <= end {
			out = append(out, k)
		}
	}
	return out
}

// TestTruncateTo cuts a log at any place, with a crash at any moment, and lets it grow again: what was cut never comes back, and indexes go
// on without a gap.
func TestTruncateTo(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			disk := vfs.NewMem(vfs.MemOptions{})
			o := options(t)
			o.IndexEnabled, o.LightQueues, o.Copy = true, true, seed%3 == 0
			filler := o
			filler.Copy = false
			s := open(t, disk, filler)
			list := mixed(t, s, rng, 60, "old")
			end := s.Appended()
			synced := true
			switch rng.IntN(3) {
			case 0:
				must(t, s.Close())
			case 1:
				settle(t, s)
				must(t, s.light())
				disk = kill(disk)
				synced = false
			default:
				settle(t, s)
				must(t, s.thorough())
				list = append(list, mixed(t, s, rng, 10, "unmarked")...)
				must(t, s.Flush())
				end = s.Appended()
				disk = disk.CrashClone(rng, vfs.PowerCut)
			}
			to := record.Offset(rng.Int64N(int64(end) + 1))
			if rng.IntN(2) == 0 {
				to = list[rng.IntN(len(list))].to
			}
			list = before(list, to)
			want := record.Offset(0)
			for _, k := range list {
				want = max(want, k.to)
			}
			o.TruncateTo = &to

			// A crash at some operation of the first attempt; the second one knows by itself, if something can have been erased.
			var crashed *vfs.Mem
			if nth, n := rng.IntN(40), 0; seed%2 == 0 {
				mode := vfs.PowerCut
				if !synced || rng.IntN(2) == 0 {
					mode = vfs.ProcessKill
				}
				first, err := Open(vfs.NewFaulty(disk, func(op vfs.Op) error {
					if n++; n == nth+1 {
						crashed = disk.CrashClone(rng, mode)
					}
					return nil
				}), o)
				must(t, err)
				if crashed == nil {
					crashed = disk.CrashClone(rng, mode) // before CutDone
				}
				_ = first
				disk = crashed
				if _, serr := disk.Stat("/store/cometmq/cut"); serr == nil {
					o.TruncateTo = nil
				}
			}
			s = open(t, disk, o)
			if got := s.Appended(); got < want || got > to {
				t.Fatalf("cut at %d: the log ends at %d, the last record that stays at %d", to, got, want)
			}
			if at, _, ok := s.Cut(); !ok || at != s.Appended() {
				t.Fatalf("Cut says %d, %v", at, ok)
			}
			holds(t, s, list)
			must(t, s.CutDone())
			o.TruncateTo = nil
			if rng.IntN(3) == 0 { // a crash before anything has marked the queues
				disk = disk.CrashClone(rng, vfs.ProcessKill)
				o.Copy = false
				s = open(t, disk, o)
				holds(t, s, list)
			}
			if o.Copy { // go on with what another log holds
				o.Copy = false
				must(t, s.Close())
				s = open(t, disk, o)
			}
			list = append(list, mixed(t, s, rng, 40, "new")...)
			settle(t, s)
			holds(t, s, list)
			switch rng.IntN(3) {
			case 0:
				must(t, s.Close())
				s = open(t, disk, o)
			case 1:
				must(t, s.light())
				disk = kill(disk)
				s = open(t, disk, o)
			default:
				must(t, s.thorough())
				disk = disk.CrashClone(rng, vfs.PowerCut)
				s = open(t, disk, o)
			}
			holds(t, s, list)
			if _, _, ok := s.Cut(); ok {
				t.Error("it is cut again")
			}
			must(t, s.Close())
		})
	}
}

// Keys of messages that were cut find nothing, and those that come after at the same place are found.
func TestTruncateToCutsTheKeyIndex(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.IndexEnabled = true
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, o)
	keyed := func(s *Store, key string) record.Offset {
		m := message("T", "body")
		m.Props = record.AppendProp(nil, "KEYS", key)
		var b Batch
		_, err := b.Add(s.Queue("T", 0), m)
		must(t, err)
		must(t, s.Append(&b))
		_, off, _ := b.Result(0)
		settle(t, s)
		return off
	}
	first, second := keyed(s, "one"), keyed(s, "two")
	must(t, s.Close())
	o.TruncateTo = &second
	s = open(t, disk, o)
	must(t, s.CutDone())
	if got := keyed(s, "six"); got != second {
		t.Fatalf("the next message is at %d, want %d", got, second)
	}
	for key, want := range map[string][]record.Offset{"one": {first}, "two": nil, "six": {second}} {
		hits, err := s.QueryKeys("T", key, 10, 0, 1<<60)
		must(t, err)
		if !slices.Equal(hits.Offsets, want) {
			t.Errorf("%s: %v, want %v", key, hits.Offsets, want)
		}
	}
	must(t, s.Close())
}

func TestTruncateToBeforeTheLogIsRefused(t *testing.T) {
	t.Parallel()
	o := options(t)
	from, disk := vfs.NewMem(vfs.MemOptions{}), vfs.NewMem(vfs.MemOptions{})
	a := open(t, from, o)
	fill(t, a, rand.New(rand.NewPCG(1, 1)), 40)
	b := open(t, disk, o)
	at := record.Offset(o.SegmentSize)
	for n := at; n < a.Appended(); {
		got, err := b.AppendRaw(n, rawBytes(t, a, n), false)
		must(t, err)
		n += record.Offset(got)
	}
	must(t, b.Close())
	must(t, a.Close())
	to := at - 1
	o.TruncateTo = &to
	if _, err := Open(disk, o); !errors.Is(err, ErrGone) {
		t.Fatalf("%v", err)
	}
	to = at
	b = open(t, disk, o)
	if b.Appended() != at || !b.Unused() {
		t.Errorf("the log ends at %d", b.Appended())
	}
	must(t, b.Close())
}

func TestPutAsideKeepsEverything(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{false, true} {
		o := options(t)
		if elsewhere {
			o.CommitLogDir = "/log/here"
		}
		disk := vfs.NewMem(vfs.MemOptions{})
		s := open(t, disk, o)
		want := numbered(100)
		for _, body := range want {
			put(t, s, "T", 0, body)
		}
		if _, err := PutAside(disk, o.Dir, o.CommitLogDir, time.Now()); err == nil {
			t.Fatal("an open store is put aside")
		}
		must(t, s.Close())
		must(t, vfs.WriteFileAtomic(disk, "/store/brokerIdentity", []byte("me"), false))
		folder, err := PutAside(disk, o.Dir, o.CommitLogDir, time.Now(), "brokerIdentity")
		must(t, err)
		if _, err := disk.Stat("/store/brokerIdentity"); err != nil {
			t.Error(err)
		}
		s = open(t, disk, o)
		if s.Appended() != 0 || s.Queue("T", 0).Max() != 0 {
			t.Errorf("something is left: %d", s.Appended())
		}
		put(t, s, "T", 0, "other")
		must(t, s.Close())
		old := o
		if old.Dir = folder; elsewhere {
			dirs, err := disk.ReadDir("/log")
			must(t, err)
			for _, d := range dirs {
				if d.Name() != "here" {
					old.CommitLogDir = filepath.Join("/log", d.Name())
				}
			}
		}
		s = open(t, disk, old)
		equal(t, all(t, s, "T", 0), want)
		must(t, s.Close())
	}
}

// A process that is killed after a cut leaves queues that nobody has looked at since. The next one must not take what they hold
// behind the cut for messages once the log has grown over that place.
func TestQueuesThatNobodyOpenedForgetWhatWasCut(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, o)
	put(t, s, "quiet", 0, "first")
	end := s.Appended()
	for range 5 {
		put(t, s, "quiet", 0, "cut")
	}
	must(t, s.Close())
	o.TruncateTo = &end
	s = open(t, disk, o)
	must(t, s.CutDone())
	o.TruncateTo = nil
	disk = kill(disk)
	s = open(t, disk, o)
	for _, body := range numbered(20) {
		put(t, s, "busy", 0, body)
	}
	settle(t, s)
	must(t, s.light())
	disk = kill(disk)
	s = open(t, disk, o)
	equal(t, all(t, s, "quiet", 0), []string{"first"})
	if idx, _ := put(t, s, "quiet", 0, "second"); idx != 1 {
		t.Errorf("the next message has index %d, want 1", idx)
	}
	must(t, s.Close())
}

// What a power cut has taken from the middle of a log is a gap to be stepped over, or the end when a master has it all.
func TestGapIsWhereAPowerCutHasTornTheLog(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, o)
	put(t, s, "T", 0, "first")
	settle(t, s)
	must(t, s.thorough())
	if _, ok := s.Gap(); ok {
		t.Error("a gap in a new store")
	}
	put(t, s, "T", 0, "second")
	_, third := put(t, s, "T", 0, "third")
	_, fourth := put(t, s, "T", 0, "fourth")
	must(t, s.Flush())
	disk = disk.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.PowerCut)
	name, at := logFile(o, third)
	change(t, disk, name, at, int(fourth-third), func(p []byte) { clear(p) })
	s = open(t, disk, o)
	if got, ok := s.Gap(); !ok || got != third {
		t.Fatalf("the gap is at %d, %v, want %d", got, ok, third)
	}
	equal(t, all(t, s, "T", 0), []string{"first", "second", "fourth"})
	must(t, s.Close())
	o.Copy, o.TruncateTo = true, &third
	s = open(t, disk, o)
	equal(t, all(t, s, "T", 0), []string{"first", "second"})
	must(t, s.Close())
}
