package raftlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestOneMemberIsReadyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, "")
		began := time.Now()
		g.startAll()
		g.leader()
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Errorf("ready after %v", d)
		}
		g.say("a")
		g.agree("a")
	})
}

func TestGroupIsRestarted(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 5} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, n, dir)
			g.startAll()
			g.say("a", "b", "c")
			g.agree("a", "b", "c")
			g.stopAll()
			g.startAll()
			g.say("d")
			g.agree("a", "b", "c", "d")
		})
	}
}

// TestLeaderIsLost: the others elect one in about a second, and the old one knows that it is none before they do.
func TestLeaderIsLost(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, n, "")
			g.startAll()
			g.say("a")
			g.agree("a")
			var worst time.Duration
			for round := range 10 {
				id, old := g.leader()
				began := time.Now()
				g.isolate(id, true)
				gone := make(chan time.Duration, 1)
				go func() {
					for old.log.Leader().Self {
						time.Sleep(time.Millisecond)
					}
					gone <- time.Since(began)
				}()
				next, m := g.leader(id)
				took := time.Since(began)
				if stopped := <-gone; stopped > took {
					t.Errorf("round %d: the old leader thought it led for %v, %s led after %v", round, stopped, next, took)
				}
				worst = max(worst, took)
				if _, err := old.log.Propose(t.Context(), []byte("lost")); !errors.Is(err, ErrNotLeader) {
					t.Errorf("the old leader takes proposals: %v", err)
				}
				_, err := m.log.Propose(t.Context(), []byte("a"))
				must(t, err)
				g.isolate(id, false)
				g.agree(slices.Repeat([]string{"a"}, round+2)...)
			}
			if worst > 3*time.Second {
				t.Errorf("%d members: a new leader took up to %v", n, worst)
			}
			t.Logf("%d members: a new leader after %v at worst", n, worst)
		})
	}
}

// TestHandOver: a leader that is stopped in order leaves no gap of an election.
func TestHandOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, "")
		g.startAll()
		g.say("a")
		id, _ := g.leader()
		began := time.Now()
		g.stop(id)
		g.leader()
		if d := time.Since(began); d > 400*time.Millisecond {
			t.Errorf("a new leader after %v", d)
		}
		g.say("b")
	})
}

// TestNothingWithoutAMajority: what the minority was asked is not in the log afterwards, or its caller was told so.
func TestNothingWithoutAMajority(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, "")
		g.startAll()
		g.say("a")
		g.agree("a")
		id, old := g.leader()
		g.isolate(id, true)
		_, err := old.log.Propose(t.Context(), []byte("minority"))
		if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotLeader) {
			t.Errorf("the minority says %v", err)
		}
		g.leader(id)
		g.say2(id, "b")
		g.isolate(id, false)
		g.agree("a", "b")
	})
}

// say2 proposes through a leader that is not the one with that id.
func (g *group) say2(except, w string) {
	g.tb.Helper()
	_, m := g.leader(except)
	_, err := m.log.Propose(g.tb.Context(), []byte(w))
	must(g.tb, err)
}

// TestOnlyTheFirstFounds: members that come up without it wait.
func TestOnlyTheFirstFounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, "")
		g.start("n1", "n2")
		time.Sleep(10 * time.Second)
		for id, m := range g.run {
			if l := m.log.Leader(); l.Self || l.ID != "" {
				t.Errorf("%s: %+v", id, l)
			}
		}
		g.start("n0")
		g.say("a")
		g.agree("a")
	})
}

// TestOneBecomesThree: the group goes on with what it had.
func TestOneBecomesThree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, dir)
		g.startAll()
		g.say("a", "b")
		g.stopAll()
		g.peers = peersOf(3)
		g.start("n1", "n2")
		time.Sleep(5 * time.Second)
		g.start("n0")
		g.say("c")
		g.agree("a", "b", "c")
		time.Sleep(time.Second)
		id, _ := g.leader()
		g.stop(id) // two of three are a majority now
		g.say("d")
		g.agree("a", "b", "c", "d")
	})
}

// TestSnapshots: the log is cut, and a member that was away gets what it has missed as a snapshot.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, dir)
		g.tune = func(o *Options) { o.SnapshotEvery, o.SnapshotAfter, o.KeepEntries = 100*time.Millisecond, 10, 5 }
		g.startAll()
		g.say("first")
		id, _ := g.leader()
		away := "n0"
		if id == away {
			away = "n1"
		}
		g.stop(away)
		want := []string{"first"}
		for i := range 60 {
			w := fmt.Sprint(i)
			g.say(w)
			want = append(want, w)
		}
		time.Sleep(time.Second)
		m := g.run[id]
		if first, err := m.log.disk.log.FirstIndex(); err != nil || first < 20 {
			t.Errorf("the log still begins at %d, %v", first, err)
		}
		g.start(away)
		g.agree(want...)
		g.stopAll()
		g.startAll()
		g.agree(want...)
	})
}

// TestFullDisk: a leader that cannot write stops to lead and tells its callers; when there is room again it takes part.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, "")
		disks := map[string]*fullDisk{}
		g.tune = func(o *Options) {
			o.wrap = func(s raft.LogStore) raft.LogStore {
				disks[o.Self] = &fullDisk{LogStore: s}
				return disks[o.Self]
			}
		}
		g.startAll()
		g.say("a")
		g.agree("a")
		id, m := g.leader()
		disks[id].set(syscall.ENOSPC)
		if _, err := m.log.Propose(t.Context(), []byte("lost")); !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotLeader) {
			t.Errorf("a leader with a full disk says %v", err)
		}
		g.say2(id, "b")
		disks[id].set(nil)
		g.agree("a", "b")
		if !strings.Contains(g.diary.String(), "no space left on device") {
			t.Error("nobody was told")
		}
	})
}

// TestFoldersThatAreRefused with a line that says why.
func TestFoldersThatAreRefused(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T) string {
		t.Helper()
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, 1, dir)
			g.tune = func(o *Options) { o.SnapshotEvery, o.SnapshotAfter, o.KeepEntries = 50*time.Millisecond, 4, 1 }
			g.startAll()
			for i := range 40 {
				g.say(fmt.Sprint("entry ", i))
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Second)
		})
		return dir
	}
	db := func(dir string) string { return filepath.Join(dir, "n0", logFile) }
	change := func(t *testing.T, name string, f func(b []byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(name, f(b), 0o600))
	}
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		tune  func(o *Options)
		want  []string
	}{
		{"empty", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Truncate(db(dir), 0))
		}, nil, []string{"raft.db", "damaged", "remove its folder"}},
		{"cut", func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Truncate(db(dir), 5000))
		}, nil, []string{"raft.db", "damaged"}},
		{"garbage", func(t *testing.T, dir string) {
			t.Helper()
			change(t, db(dir), func(b []byte) []byte { return []byte(strings.Repeat("garbage ", len(b)/8)) })
		}, nil, []string{"raft.db", "damaged"}},
		{"a flipped bit in an entry", func(t *testing.T, dir string) {
			t.Helper()
			change(t, db(dir), func(b []byte) []byte {
				for i := 0; ; { // in all copies
					k := strings.Index(string(b[i:]), "entry 39")
					if k < 0 {
						return b
					}
					i += k
					b[i] ^= 4
				}
			})
		}, nil, []string{"raft.db", "damaged", "checksum"}},
		{"all snapshots flipped", func(t *testing.T, dir string) {
			t.Helper()
			names, err := filepath.Glob(filepath.Join(dir, "n0", "snapshots", "*", "state.bin"))
			must(t, err)
			if len(names) == 0 {
				t.Fatal("no snapshots")
			}
			for _, n := range names {
				change(t, n, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
			}
		}, nil, []string{"snapshots in ", "damaged", "remove the folder"}},
		{"another group's", nil, func(o *Options) { o.Group = "group2" }, []string{"belongs to controller group1/n0, this is group2/n0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := full(t)
			if tc.spoil != nil {
				tc.spoil(t, dir)
			}
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, 1, dir)
				g.tune = tc.tune
				err := g.open("n0")
				if err == nil {
					t.Fatal("it was opened")
				}
				for _, w := range tc.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("%v: want %q in it", err, w)
					}
				}
			})
		})
	}
}

func TestFolderInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, dir)
		g.startAll()
		m := g.run["n0"]
		o := g.options("n0", m)
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another process uses it") {
			t.Error(err)
		}
	})
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), Options{Self: "n9", Peers: peersOf(1), Memory: new(Memory)}); err == nil || !strings.Contains(err.Error(), "n9 is not among the members") {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, "")
		g.startAll()
		_, m := g.leader()
		if _, err := m.log.Propose(t.Context(), make([]byte, maxEntry+1)); err == nil || errors.Is(err, ErrUnknown) {
			t.Errorf("a proposal of %d bytes: %v", maxEntry+1, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.log.Propose(ctx, []byte("a")); err != nil && !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		if !slices.Equal(m.log.Members(), g.peers) {
			t.Error(m.log.Members())
		}
	})
}
