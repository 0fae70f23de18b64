package compaction

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// encode makes the record of a message; its key is the body up to the first blank.
func encode(tb testing.TB, idx int, body string) []byte {
	tb.Helper()
	host := netip.MustParseAddrPort("10.0.0.1:10911")
	key, _, _ := strings.Cut(body, " ")
	m := record.Message{Topic: []byte("T"), Body: []byte(body), BornHost: host, StoreHost: host, Props: record.AppendProp(nil, "KEYS", key)}
	if strings.HasSuffix(body, " ") {
		m.Body = nil // a deletion
	}
	rec, err := m.AppendTo(nil)
	must(tb, err)
	record.Patch(rec, record.Index(idx), 4711, 1_000_000)
	return rec
}

// contents returns what a reader gets from an index on, as index=body.
func contents(tb testing.TB, l *Log, from record.Index) (out []string) {
	tb.Helper()
	must(tb, l.Each(from, func(u *Unit, read func([]byte) ([]byte, error)) bool {
		rec, err := read(nil)
		must(tb, err)
		var m record.Message
		_, err = record.Decode(rec, &m, true)
		must(tb, err)
		if m.Index != u.Index || int64(m.Offset) != u.Pos {
			tb.Fatalf("record %d at %d, unit %+v", m.Index, m.Offset, u)
		}
		out = append(out, fmt.Sprintf("%d=%s", m.Index, m.Body))
		return true
	}))
	return out
}

func options(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "/c", FileSize: 2000, QueueFileSize: 10 * UnitSize, MapBytes: 1, Log: slog.New(slog.DiscardHandler)}
}

// model is what a compacted queue must hold.
type model struct {
	all  []string // body by index
	high int      // how many were appended at some time
}

// holds checks that l, which has the first n messages, has them in order, and the newest of each key.
func (m *model) holds(t *testing.T, l *Log, n int) {
	t.Helper()
	m.high = max(m.high, n)
	newest := map[string]int{}
	for i, b := range m.all[:n] {
		key, _, _ := strings.Cut(b, " ")
		newest[key] = i
	}
	// A deletion that was the last message leaves no trace and comes again.
	for _, b := range m.all[n:m.high] {
		if key, ok := strings.CutSuffix(b, " "); ok {
			delete(newest, key)
		}
	}
	got := map[int]bool{}
	last := -1
	for _, s := range contents(t, l, 0) {
		text, body, _ := strings.Cut(s, "=")
		i, err := strconv.Atoi(text)
		must(t, err)
		if want := m.all[i]; i <= last || want != body && !strings.HasSuffix(want, " ") {
			t.Fatalf("%d after %d: %q, sent was %q", i, last, body, want)
		}
		got[i], last = true, i
	}
	for key, i := range newest {
		if !got[i] && !strings.HasSuffix(m.all[i], " ") {
			t.Fatalf("the newest message of %s, %d of %d, is missing", key, i, n)
		}
	}
}

func TestOnlyTheNewestOfAKeyIsLeft(t *testing.T) {
	fs := vfs.NewMem(vfs.MemOptions{})
	l, err := Open(options(fs), "T", 0)
	must(t, err)
	for i := range 25 { // three files of at most nine
		must(t, l.Append(encode(t, i, fmt.Sprintf("k%d v%d", i%4, i)), Unit{Index: record.Index(i), Tags: int64(i)}))
	}
	must(t, l.Append(encode(t, 25, "k3 "), Unit{Index: 25}))
	for i := 26; i < 36; i++ {
		must(t, l.Append(encode(t, i, fmt.Sprintf("z%d v", i)), Unit{Index: record.Index(i)}))
	}
	must(t, l.Flush())
	must(t, l.Append(encode(t, 3, "old one"), Unit{Index: 3})) // is there
	if got := contents(t, l, 30); len(got) != 6 || got[0] != "30=z30 v" {
		t.Errorf("%q", got)
	}
	// A reader that has begun goes on with what it has.
	seen := 0
	must(t, l.Each(0, func(*Unit, func([]byte) ([]byte, error)) bool {
		if seen == 0 {
			done, cerr := l.Compact(t.Context(), -1)
			must(t, cerr)
			if done < 26 {
				t.Errorf("compacted up to %d", done)
			}
		}
		seen++
		return true
	}))
	if seen < 20 {
		t.Errorf("the reader saw %d messages", seen)
	}
	const want = "[21=k1 v21 22=k2 v22 24=k0 v24 26=z26 v]"
	got := contents(t, l, 0)
	if s := fmt.Sprint(got[:4]); s != want {
		t.Errorf("%v, want %v ...", got, want)
	}
	if lo, next := l.Bounds(); lo != 21 || next != 36 {
		t.Errorf("bounds %d, %d", lo, next)
	}
	must(t, l.Close())
	l, err = Open(options(fs), "T", 0)
	must(t, err)
	if again := contents(t, l, 0); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("after opening again %v, want %v", again, got)
	}
	must(t, l.Cut(30))
	if _, next := l.Bounds(); next != 30 {
		t.Errorf("cut at 30, the end is %d", next)
	}
	must(t, l.Append(encode(t, 30, "new one"), Unit{Index: 30}))
	must(t, l.Flush())
	if got := contents(t, l, 29); fmt.Sprint(got) != "[29=z29 v 30=new one]" {
		t.Errorf("%v", got)
	}
	must(t, l.Cut(0))
	if lo, next := l.Bounds(); lo != 0 || next != 0 {
		t.Errorf("all cut: %d %d", lo, next)
	}
	must(t, l.Remove())
}

// TestCrashes ends a log before random operations of its disk, opens it again and fills it up from where it ends, as the store does.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var m model
		for i := range 400 {
			value := fmt.Sprint(" v", i)
			if rng.IntN(20) == 0 {
				value = " "
			}
			m.all = append(m.all, fmt.Sprint("k", rng.IntN(30), value))
		}
		mem := vfs.NewMem(vfs.MemOptions{})
		done, at := record.Index(-1), 0
		for at < len(m.all) {
			left, mode := 1+rng.IntN(120), vfs.ProcessKill
			if rng.IntN(2) == 0 {
				mode = vfs.PowerCut
			}
			stop := errors.New("crashed")
			disk := vfs.NewFaulty(mem, func(op vfs.Op) error {
				switch op.Kind { //nolint:exhaustive // these change something
				case vfs.OpWrite, vfs.OpCreate, vfs.OpRename, vfs.OpRemove, vfs.OpRemoveAll, vfs.OpTruncate:
					if left--; left <= 0 {
						return stop
					}
				}
				return nil
			})
			err := func() error {
				l, err := Open(options(disk), "T", 0)
				if err != nil {
					return err
				}
				defer func() { _ = l.Close() }()
				_, next := l.Bounds()
				at = int(next)
				m.holds(t, l, at)
				for at < len(m.all) {
					for range 1 + rng.IntN(12) {
						if at == len(m.all) {
							break
						}
						if err := l.Append(encode(t, at, m.all[at]), Unit{Index: record.Index(at)}); err != nil {
							return err
						}
						at++
					}
					if err := l.Flush(); err != nil {
						return err
					}
					if rng.IntN(4) == 0 {
						now, err := l.Compact(t.Context(), done)
						if err != nil {
							return err
						}
						done = now
					}
				}
				if err := l.Sync(); err != nil {
					return err
				}
				m.holds(t, l, at)
				return nil
			}()
			if err != nil {
				if !errors.Is(err, stop) {
					t.Fatalf("seed %d: %v", seed, err)
				}
				m.high, at = max(m.high, at), 0
				mem = mem.CrashClone(rng, mode)
				if rng.IntN(3) == 0 {
					done = -1 // the position is lost
				}
			}
		}
	}
}

func TestPositions(t *testing.T) {
	fs := vfs.NewMem(vfs.MemOptions{})
	p, err := OpenPositions(fs, "/c")
	must(t, err)
	must(t, p.Set("T", 3, 77))
	must(t, p.Set("U", 0, 5))
	must(t, p.Set("U", 0, -1))
	text, err := vfs.ReadFile(fs, "/c/position-checkpoint")
	must(t, err)
	if string(text) != `{"empty":false,"queueOffsetMap":{"T_3":77}}` {
		t.Errorf("%s", text)
	}
	p, err = OpenPositions(fs, "/c")
	must(t, err)
	if p.Get("T", 3) != 77 || p.Get("U", 0) != -1 {
		t.Errorf("%+v", p)
	}
}
