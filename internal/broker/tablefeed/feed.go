package tablefeed

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Source says whose entry it is.
type Source byte

// Sources. The numbers are on the wire.
const (
	Topics  Source = 1
	Groups  Source = 2
	Offsets Source = 3
	Delays  Source = 4
	Filters Source = 5
	Modes   Source = 6
	Pops    Source = 7
	Timers  Source = 8
	Statics Source = 9
)

// Timing and limits.
const (
	// merge is how far apart the answers to one slave are at least: what changes meanwhile goes together.
	merge = 20 * time.Millisecond
	// longest bounds the time that a question may wait.
	longest = 30 * time.Second
	// leave is after how much silence a slave counts as gone.
	leave = time.Minute
	// keepState is for how long a full state is kept for slaves that fetch it.
	keepState = time.Minute

	chunkSize    = 256 << 10
	keepBytes    = 8 << 20 // entries that are kept for slaves that are behind
	maxEntry     = 4 << 20
	answerBytes  = 1 << 20 // of an answer, plus one entry at most
	maxFollowers = 64
	maxStates    = 4 // full states that are kept
)

// Options configures a Feed.
type Options struct {
	// State returns the full state as entries, made by AppendEntry. It is called without locks.
	State func() []byte
	// End returns the end of the log.
	End func() int64
	Log *slog.Logger
}

// Feed is the stream of one broker. The zero position is its begin.
type Feed struct {
	o  Options
	on atomic.Bool // slaves ask

	mu        sync.Mutex // guards the fields below
	id        uint64     // names the stream, 0 while it is off
	chunks    []chunk
	start     uint64 // position of the first entry that is kept
	end       uint64
	hot       uint64 // behind the last urgent entry
	waiting   []*question
	armed     bool
	wake      *time.Timer
	woken     time.Time // when questions were answered last
	followers map[uint64]*follower
	moved     chan struct{} // closed when a follower got on; nil: nobody waits
	closed    bool
	states    []*state // that are being fetched

	making chan struct{} // its holder may make a full state
}

// chunk holds whole entries. Its bytes never change: readers hold parts of it without the lock.
type chunk struct {
	from uint64
	b    []byte
}

// New returns a feed that nobody follows.
func New(o Options) *Feed {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Feed{o: o, followers: map[uint64]*follower{}, making: make(chan struct{}, 1)}
}

// On reports whether anybody follows. What is not added while nobody does is in the full state.
func (f *Feed) On() bool { return f != nil && f.on.Load() }

// AppendEntry appends an entry as Add stores it.
func AppendEntry(dst []byte, src Source, rec []byte) []byte {
	dst = binary.AppendUvarint(append(dst, byte(src)), uint64(len(rec)))
	return append(dst, rec...)
}

// Add appends an entry. The change that it tells of must be in memory, so that a full state that is made from now on has it.
// urgent: slaves are told at once. A nil Feed takes nothing.
func (f *Feed) Add(src Source, rec []byte, urgent bool) {
	if !f.On() || len(rec) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.id == 0 {
		return
	}
	if len(rec) > maxEntry {
		f.renewLocked() // everybody gets the full state
		return
	}
	n := len(rec) + 1 + binary.MaxVarintLen32
	last := len(f.chunks) - 1
	if last < 0 || cap(f.chunks[last].b)-len(f.chunks[last].b) < n {
		f.chunks = append(f.chunks, chunk{f.end, make([]byte, 0, max(chunkSize, n))})
		f.trimLocked()
		last = len(f.chunks) - 1
	}
	c := &f.chunks[last]
	was := len(c.b)
	c.b = AppendEntry(c.b, src, rec)
	f.end += uint64(len(c.b) - was)
	if urgent {
		f.hot = f.end
	}
	if len(f.waiting) > 0 {
		f.wakeLocked(urgent)
	}
}

// trimLocked drops the oldest entries.
func (f *Feed) trimLocked() {
	n := 0
	for n < len(f.chunks)-1 && f.end-f.chunks[n].from > keepBytes {
		n++
	}
	if n > 0 {
		f.chunks = append(f.chunks[:0:0], f.chunks[n:]...)
		f.start = f.chunks[0].from
	}
}

// renewLocked begins another stream.
func (f *Feed) renewLocked() {
	f.id = rand.Uint64() | 1
	f.chunks, f.states = nil, nil
	f.start = f.end
	f.on.Store(true)
	if len(f.waiting) > 0 {
		f.wakeLocked(true)
	}
}

// stopLocked ends the stream: nobody follows any more.
func (f *Feed) stopLocked() {
	f.on.Store(false)
	f.id, f.chunks, f.states = 0, nil, nil
	f.start = f.end
}

// sinceLocked returns entries from a position on, without a copy, and the position behind them. ok = false: they are gone.
func (f *Feed) sinceLocked(pos uint64) (parts [][]byte, next uint64, ok bool) {
	if pos < f.start || pos > f.end {
		return nil, 0, false
	}
	size := 0
	for i := range f.chunks {
		c := &f.chunks[i]
		if end := c.from + uint64(len(c.b)); pos >= end {
			continue
		}
		part := c.b[pos-c.from:]
		if size > 0 && size+len(part) > answerBytes {
			break
		}
		parts = append(parts, part)
		size += len(part)
		pos += uint64(len(part))
	}
	return parts, pos, true
}
