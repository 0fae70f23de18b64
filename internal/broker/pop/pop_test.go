package pop

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is a table of positions.
type table map[key]mq.Index

func (t table) Query(group, topic string, queue int32) (mq.Index, bool) {
	at, ok := t[key{group, topic, queue}]
	return at, ok
}

func (t table) Commit(group, topic string, queue int32, at mq.Index) {
	t[key{group, topic, queue}] = at
}

func (t table) Sync() error { return nil }

// rig is an engine whose clock the test moves.
type rig struct {
	t       *testing.T
	fs      *vfs.Mem
	at      table
	now     int64
	e       *Engine
	spilled []mq.Index
	after   int32
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.e, err = Open(Options{
		FS: r.fs, Dir: "/s", Positions: r.at, SpillAfter: r.after, MaxInflight: 40, MaxSpan: 200, JournalSize: 4 << 10,
		Now: func() time.Time { return time.UnixMilli(r.now) },
		Spill: func(_ *Shard, list []Given) error {
			for _, g := range list {
				r.spilled = append(r.spilled, g.Index)
			}
			return nil
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// tick lets the clock look at everything that is due.
func (r *rig) tick() {
	for {
		s, _ := r.e.clock.due(r.now)
		if s == nil {
			break
		}
		r.e.look(s, r.now)
	}
	for _, x := range r.e.spills.take() {
		r.e.spill(x.s, x.list, r.now)
	}
}

// TestModel does random things to one queue and compares each answer with a model that keeps a map of messages. Now and then
// the process is killed, which may keep what was not flushed or not, the journal is written anew, or somebody else commits.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			model(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

type held struct {
	popTime, until int64
	attempt        int32
}

func model(t *testing.T, rng *rand.Rand) {
	t.Helper()
	r := &rig{t: t, fs: vfs.NewMem(vfs.MemOptions{}), at: table{}, now: 1_700_000_000_000, after: int32(rng.IntN(4))}
	r.open()
	out := map[mq.Index]held{}
	done := map[mq.Index]bool{}
	next := mq.Index(0)
	shard := func() *Shard {
		s := r.e.Shard("g", "T", 3)
		if !s.Follow() {
			s.StartAt(0)
		}
		return s
	}
	shard()
	spill := func() { // what the engine moved to the retry topic
		r.tick()
		for _, at := range r.spilled {
			h, ok := out[at]
			if !ok || (h.until > r.now && next-at < 150) {
				t.Fatalf("moved %d, which is %v, at %d", at, h, r.now)
			}
			delete(out, at)
			done[at] = true
		}
		r.spilled = nil
	}
	for range 600 {
		s := shard()
		switch k := rng.IntN(20); {
		case k < 6: // pop
			l := Lease{PopTime: r.now, Invisible: 1000 + rng.Int64N(5000)}
			spill()
			s.Lock()
			for _, g := range s.Again(nil, 1+rng.IntN(8), l) {
				h, ok := out[g.Index]
				if !ok || h.until > r.now || g.Attempt != h.attempt+1 {
					t.Fatalf("handed out again %v, which is %v %v, at %d", g, h, ok, r.now)
				}
				out[g.Index] = held{l.PopTime, l.PopTime + l.Invisible, g.Attempt}
			}
			if room := s.Room(); room > 0 {
				if s.Next() != next {
					t.Fatalf("next is %d, want %d", s.Next(), next)
				}
				end := next + mq.Index(1+rng.IntN(12))
				var given []mq.Index
				for at := next; at < end; at++ {
					if rng.IntN(3) > 0 && len(given) < room {
						given = append(given, at)
						out[at] = held{l.PopTime, l.PopTime + l.Invisible, 0}
					} else {
						done[at] = true
					}
				}
				s.HandOut(l, end, given)
				next = end
			} else if len(out) < 40 && next-r.at[s.key] < 200 {
				t.Fatalf("no room with %d out and %d after the floor", len(out), next-r.at[s.key])
			}
			s.Unlock()
		case k < 13 && len(out) > 0: // acknowledge
			keys := slices.Sorted(maps.Keys(out))
			at := keys[rng.IntN(len(keys))]
			popTime, want := out[at].popTime, Done
			if rng.IntN(4) == 0 {
				popTime, want = popTime-1, Stale
			}
			if got := s.Ack(at, popTime); got != want {
				t.Fatalf("ack of %d: %d, want %d", at, got, want)
			}
			if want == Done {
				delete(out, at)
				done[at] = true
				if got := s.Ack(at, popTime); got != Already {
					t.Fatalf("second ack of %d: %d", at, got)
				}
			}
		case k < 14:
			if got := s.Ack(next+mq.Index(rng.IntN(5)), r.now); got != Unknown {
				t.Fatalf("ack beyond the end: %d", got)
			}
		case k < 16 && len(out) > 0: // change
			keys := slices.Sorted(maps.Keys(out))
			at := keys[rng.IntN(len(keys))]
			l := Lease{PopTime: r.now, Invisible: rng.Int64N(9000)}
			if got := s.Change(at, out[at].popTime, l, false); got != Done {
				t.Fatalf("change of %d: %d", at, got)
			}
			out[at] = held{l.PopTime, l.PopTime + l.Invisible, out[at].attempt}
		case k < 18:
			r.now += rng.Int64N(2500)
			spill()
		case k == 18 && rng.IntN(4) == 0:
			if err := r.e.shorten(); err != nil {
				t.Fatal(err)
			}
		case k == 19 && rng.IntN(3) == 0: // a kill
			if err := r.e.Flush(); err != nil {
				t.Fatal(err)
			}
			r.fs = r.fs.CrashClone(rng, vfs.ProcessKill)
			if floor := r.at[s.key]; rng.IntN(2) == 0 && floor > 0 { // the positions were written a moment earlier than the journal
				r.at[s.key] = max(s.lowestKnown(), floor-mq.Index(rng.IntN(3)))
			}
			r.open()
		case k == 19 && rng.IntN(8) == 0: // an operator
			at := mq.Index(rng.Int64N(int64(next) + 1))
			if at == r.at[s.key] {
				break
			}
			r.at[s.key] = at
			next = at
			clear(out)
			maps.DeleteFunc(done, func(k mq.Index, _ bool) bool { return k >= at })
			for k := range at {
				done[k] = true
			}
		}
		s = shard()
		floor := mq.Index(0)
		for done[floor] {
			floor++
		}
		if r.at[s.key] > floor {
			t.Fatalf("committed %d, but %d is not done", r.at[s.key], floor)
		}
		if s.Held() != len(out) {
			t.Fatalf("%d held, want %d", s.Held(), len(out))
		}
	}
	if err := r.e.Close(); err != nil {
		t.Fatal(err)
	}
}

// lowestKnown is the smallest position that a restart takes for one of ours.
func (s *Shard) lowestKnown() mq.Index { return mq.Index(s.floor) }

// Whatever stands in a journal: no panic, and what is not understood is left out.
func FuzzJournal(f *testing.F) {
	fs := vfs.NewMem(vfs.MemOptions{})
	e, err := Open(Options{FS: fs, Dir: "/s", Positions: table{}})
	if err != nil {
		f.Fatal(err)
	}
	s := e.Shard("g", "T", 0)
	s.StartAt(0)
	s.HandOut(Lease{1, 2}, 5, []mq.Index{0, 2, 4})
	s.Ack(2, 1)
	s.HandOutOrdered(Lease{1, 2}, "a", []mq.Index{7, 8}, func(mq.Index, int32) {})
	f.Add(append([]byte(nil), e.j.buf...))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := &Engine{o: Options{Positions: table{}, MaxInflight: 10, MaxSpan: 10}.withDefaults(), shards: map[key]*Shard{}, byID: map[uint64]*Shard{}}
		e.clock.init()
		r := journalfile.NewReader(data)
		for r.More() && r.Err() == nil {
			if err := e.replay(&r); err != nil {
				break
			}
		}
		for _, s := range e.shards {
			if s.win.n != int(s.next-s.floor) {
				t.Fatalf("window of %d for %d to %d", s.win.n, s.floor, s.next)
			}
		}
	})
}
