package pop

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Positions are the committed positions of groups.
type Positions interface {
	Query(group, topic string, queue int32) (mq.Index, bool)
	Commit(group, topic string, queue int32, at mq.Index)
	// Sync makes what was committed survive a kill of the process.
	Sync() error
}

// Options configures an Engine.
type Options struct {
	FS        vfs.FS
	Dir       string // storePathRootDir; the journal is in its folder cometmq
	Positions Positions

	// MaxInflight is popInflightMessageThreshold: messages of one queue that a group may hold; default 10,000.
	MaxInflight int
	// MaxSpan is how far behind the newest handed out message an unacknowledged one may stay before it is moved to the
	// retry topic; default 1,000,000.
	MaxSpan int
	// SpillAfter is how often a message is handed out from where it is before it is moved to the retry topic, 0 = it is moved
	// instead of being handed out again (popRedeliver=retryTopic).
	SpillAfter int32
	// JournalSize is when the journal is written anew, in bytes; default 16 MiB.
	JournalSize int64
	// Sync waits for the disk before a Flush returns (popAckSync).
	Sync bool

	// Wake tells that messages of a shard may be handed out; it is called without locks.
	Wake func(s *Shard)
	// Spill copies messages to the retry topic of their group. After nil they count as acknowledged here.
	Spill func(s *Shard, list []Given) error
	// OrderFold is how old consumerOrderInfo.json may be; default 5 s.
	OrderFold time.Duration

	// Volatile keeps nothing in files: what is handed out is forgotten at the end.
	Volatile bool

	// Feed tells slaves what is handed out and acknowledged; may be nil.
	Feed *tablefeed.Feed

	Now func() time.Time
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.MaxInflight <= 0 {
		o.MaxInflight = 10_000
	}
	if o.MaxSpan <= 0 {
		o.MaxSpan = 1_000_000
	}
	if o.JournalSize <= 0 {
		o.JournalSize = 16 << 20
	}
	if o.OrderFold <= 0 {
		o.OrderFold = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Given is one message that is handed out again.
type Given struct {
	Index   mq.Index
	Attempt int32 // how often it was handed out before
	popTime int64
}

// PopTime is when it was handed out last, in ms.
func (g Given) PopTime() int64 { return g.popTime }

type key struct {
	group, topic string
	queue        int32
}

// Engine holds the shards of a broker.
type Engine struct {
	o    Options
	born int64 // ms, of the first start on this store

	reviveMu sync.Mutex // guards revived
	revived  map[int32]int64

	mu     sync.RWMutex // guards the fields below
	shards map[key]*Shard
	byID   map[uint64]*Shard // the same
	nextID uint64

	j      *journal
	clock  clock
	spills spills
	orders orderFile
}

// Open reads the journal. It starts no goroutine.
func Open(o Options) (*Engine, error) {
	o = o.withDefaults()
	e := &Engine{o: o, shards: map[key]*Shard{}, byID: map[uint64]*Shard{}, nextID: 1}
	e.clock.init()
	e.spills.more = make(chan struct{}, 1)
	e.j = newJournal(o.FS, o.Dir, o.Sync, o.Log)
	e.j.feed, e.j.off = o.Feed, o.Volatile
	if o.Volatile {
		return e, nil
	}
	if err := e.j.load(e.replay); err != nil {
		return nil, err
	}
	if e.born == 0 {
		e.born = o.Now().UnixMilli()
		e.journalOrigin()
	}
	if err := e.orders.load(e); err != nil {
		return nil, err
	}
	for _, s := range e.list() {
		s.mu.Lock()
		if s.known {
			s.followLocked()
		}
		s.mu.Unlock()
	}
	return e, nil
}

// watchAll makes the clock begin anew, with the shards that are there.
func (e *Engine) watchAll() {
	e.clock.mu.Lock()
	e.clock.heap = nil
	e.clock.mu.Unlock()
	for _, s := range e.list() {
		s.mu.Lock()
		s.watched, s.orderWatched = math.MaxInt64, math.MaxInt64
		s.watchLocked()
		s.watchOrderLocked(0)
		s.mu.Unlock()
	}
}

// Shard returns the state of one queue of one group. The names may be borrowed.
func (e *Engine) Shard(group, topic string, queue int32) *Shard {
	e.mu.RLock()
	s := e.shards[key{group, topic, queue}]
	e.mu.RUnlock()
	if s != nil {
		return s
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := key{group, topic, queue}
	if s = e.shards[k]; s == nil {
		k.group, k.topic = strings.Clone(group), strings.Clone(topic)
		s = e.addLocked(k, e.nextID)
		s.define()
	}
	return s
}

// Find is Shard for one that exists, nil when it does not.
func (e *Engine) Find(group, topic string, queue int32) *Shard {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.shards[key{group, topic, queue}]
}

func (e *Engine) addLocked(k key, id uint64) *Shard {
	s := &Shard{e: e, key: k, id: id, turn: make(chan struct{}, 1), watched: math.MaxInt64, orderWatched: math.MaxInt64}
	s.entries.init()
	e.shards[k] = s
	e.byID[id] = s
	e.nextID = max(e.nextID, id+1)
	return s
}

// Flush returns when everything that was handed out and acknowledged before is in the journal, so that a kill of the
// process loses none of it.
func (e *Engine) Flush() error { return e.j.flush() }

// Drop forgets what a volatile engine knows of groups in a topic. Who has a shard of it in use may go on with that.
func (e *Engine) Drop(topic string, groups []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range groups {
		k := key{g, topic, 0}
		if s := e.shards[k]; s != nil {
			delete(e.shards, k)
			delete(e.byID, s.id)
		}
	}
}

// Shards is how many queues of groups the engine knows.
func (e *Engine) Shards() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.shards)
}

// Held is how many messages are handed out and not acknowledged, of all groups.
func (e *Engine) Held() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	n := 0
	for _, s := range e.shards {
		s.mu.Lock()
		n += s.entries.n
		s.mu.Unlock()
	}
	return n
}

// Run wakes what becomes visible, follows positions that others commit and keeps the files short, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	e.watchAll()
	var wg sync.WaitGroup
	wg.Go(func() { e.runClock(ctx) })
	wg.Go(func() { e.runSpills(ctx) })
	if !e.o.Volatile {
		wg.Go(func() { e.runJournal(ctx) })
	}
	wg.Wait()
	if e.o.Volatile {
		return nil
	}
	return errors.Join(e.j.flush(), e.orders.fold(e))
}

// flushEvery is how long what nobody waits for may stay out of the journal; lookEvery is how often positions are looked at.
const (
	flushEvery = 20 * time.Millisecond
	lookEvery  = time.Second
)

// runJournal flushes, shortens the journal and follows the committed positions.
func (e *Engine) runJournal(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	fold := time.NewTicker(e.o.OrderFold)
	defer fold.Stop()
	for {
		var what string
		var err error
		select {
		case <-ctx.Done():
			return
		case <-e.j.dirty:
			if !wait(ctx, flushEvery) {
				return
			}
			what, err = "journal of popped messages is not written, trying again", e.j.flush()
			if err != nil {
				e.j.poke()
			}
		case <-look.C:
			e.follow()
			if e.j.long(e.o.JournalSize) {
				what, err = "journal of popped messages is not shortened, trying again", e.shorten()
			}
		case <-fold.C:
			what, err = "order of popped messages is not written, trying again", e.orders.fold(e)
		}
		if err != nil && ctx.Err() == nil {
			e.o.Log.Error(what, "err", err)
			if !wait(ctx, lookEvery) {
				return
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// follow notices positions that somebody else committed.
func (e *Engine) follow() {
	for _, s := range e.list() {
		s.mu.Lock()
		if s.known && (s.win.n > 0 || s.entries.n > 0) {
			s.followLocked()
		}
		s.mu.Unlock()
	}
}

func (e *Engine) list() []*Shard {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := make([]*Shard, 0, len(e.shards))
	for _, s := range e.shards {
		out = append(out, s)
	}
	return out
}

// Close writes what is left and gives the journal back. Run has returned or was never called.
func (e *Engine) Close() error {
	if e.o.Volatile {
		return nil
	}
	return errors.Join(e.j.flush(), e.orders.fold(e), e.j.close())
}
