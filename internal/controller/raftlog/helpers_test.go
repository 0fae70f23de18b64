package raftlog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// words is a machine that remembers what it was given.
type words struct {
	mu   sync.Mutex // guards list
	list []string
}

func (w *words) Apply(data []byte) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, string(data))
	return len(w.list)
}

func (w *words) Snapshot() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, _ := json.Marshal(w.list)
	return b
}

func (w *words) Restore(data []byte) error {
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("bad words: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = list
	return nil
}

func (w *words) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, strings.TrimSpace(string(p)))
	return len(p), nil
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// group is a group of members, each on a host of its own, in a synctest bubble.
type group struct {
	tb    testing.TB
	net   *memnet.Network
	dir   string // "" = volatile
	diary diary
	peers []Peer
	tune  func(o *Options)
	run   map[string]*member
}

type member struct {
	log   *Log
	mux   *Mux
	words *words
	wg    sync.WaitGroup
}

func peersOf(n int) []Peer {
	var peers []Peer
	for i := range n {
		peers = append(peers, Peer{ID: fmt.Sprintf("n%d", i), Addr: fmt.Sprintf("10.0.0.%d:9878", i+1)})
	}
	return peers
}

func newGroup(tb testing.TB, n int, dir string) *group {
	tb.Helper()
	g := &group{tb: tb, net: memnet.New(), dir: dir, peers: peersOf(n), run: map[string]*member{}}
	tb.Cleanup(g.stopAll)
	return g
}

func (g *group) addr(id string) string {
	i := slices.IndexFunc(g.peers, func(p Peer) bool { return p.ID == id })
	return g.peers[i].Addr
}

func host(addr string) string {
	h, _, _ := net.SplitHostPort(addr)
	return h
}

func (g *group) options(id string, m *member) Options {
	o := Options{
		Dir: filepath.Join(g.dir, id), Group: "group1", Self: id, Peers: g.peers, Machine: m.words,
		Listener: m.mux.Raft(), Dial: g.net.Host(host(g.addr(id))).Dial, Log: slog.New(slog.NewTextHandler(&g.diary, nil)).With("self", id),
	}
	if g.dir == "" {
		o.Memory = new(Memory)
	}
	return o
}

// open starts a member, or says why it does not start.
func (g *group) open(id string) error {
	g.tb.Helper()
	l, err := g.net.Host(host(g.addr(id))).Listen(g.addr(id))
	must(g.tb, err)
	m := &member{mux: NewMux(l, slog.New(slog.NewTextHandler(&g.diary, nil)), false), words: &words{}}
	m.wg.Go(func() { _ = m.mux.Run() })
	o := g.options(id, m)
	if g.tune != nil {
		g.tune(&o)
	}
	m.log, err = Open(g.tb.Context(), o)
	if err != nil {
		_ = m.mux.Close()
		m.wg.Wait()
		return err
	}
	g.run[id] = m
	return nil
}

func (g *group) start(ids ...string) {
	g.tb.Helper()
	for _, id := range ids {
		must(g.tb, g.open(id))
	}
}

func (g *group) startAll() {
	for _, p := range g.peers {
		g.start(p.ID)
	}
}

func (g *group) stop(id string) {
	m := g.run[id]
	delete(g.run, id)
	_ = m.mux.Close()
	if err := m.log.Close(); err != nil {
		g.tb.Error(err)
	}
	m.wg.Wait()
}

func (g *group) stopAll() {
	for _, p := range g.peers {
		if g.run[p.ID] != nil {
			g.stop(p.ID)
		}
	}
}

// leader waits for one among those that run, except.
func (g *group) leader(except ...string) (string, *member) {
	g.tb.Helper()
	for range 2000 {
		for id, m := range g.run {
			if !slices.Contains(except, id) && m.log.Leader().Self {
				return id, m
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.tb.Fatalf("no leader\n%s", &g.diary)
	return "", nil
}

// say proposes words through whoever leads, until it is taken.
func (g *group) say(list ...string) {
	g.tb.Helper()
	for _, w := range list {
		_, m := g.leader()
		ctx, cancel := context.WithTimeout(g.tb.Context(), 5*time.Second)
		_, err := m.log.Propose(ctx, []byte(w))
		cancel()
		must(g.tb, err)
	}
}

// agree waits until all that run have these words.
func (g *group) agree(want ...string) {
	g.tb.Helper()
	for range 2000 {
		ok := true
		for _, m := range g.run {
			ok = ok && slices.Equal(m.words.all(), want)
		}
		if ok {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	for id, m := range g.run {
		g.tb.Errorf("%s has %v, want %v", id, m.words.all(), want)
	}
	g.tb.Fatal(&g.diary)
}

func (g *group) isolate(id string, on bool) {
	for _, p := range g.peers {
		switch {
		case p.ID == id:
		case on:
			g.net.Partition(host(g.addr(id)), host(p.Addr))
		default:
			g.net.Heal(host(g.addr(id)), host(p.Addr))
		}
	}
}

// fullDisk is a log store that can run out of room.
type fullDisk struct {
	raft.LogStore
	mu   sync.Mutex // guards full
	full error
}

func (f *fullDisk) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = err
}

func (f *fullDisk) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full
}

func (f *fullDisk) StoreLog(e *raft.Log) error { return f.StoreLogs([]*raft.Log{e}) }

func (f *fullDisk) StoreLogs(e []*raft.Log) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.LogStore.StoreLogs(e)
}
