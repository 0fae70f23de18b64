package pop

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/mq"
)

// order is what an ordered group holds of a queue: the last batch, which blocks the queue while any message of it is neither
// acknowledged nor visible again (Java's QueueLevelConsumerManager.OrderInfo).
type order struct {
	attemptID string
	popTime   int64
	invisible int64
	offsets   []int64
	next      map[int64]int64 // index -> visible at, where it was changed
	counts    map[int64]int32 // index -> how often it was handed out before
	acked     uint64          // a bit for each of offsets
	used      int64           // ms, of the last hand out
	committed int64           // what we committed last
	looked    bool            // committed was compared with the position since the start
}

// maxOrder is how many messages the bits of a batch can stand for.
const maxOrder = 64

// keepOrder, in ms, is how long a batch is remembered that nobody asks about.
const keepOrder = 24 * 3600 * 1000

func (o *order) visibleAt(i int) int64 {
	if at, ok := o.next[o.offsets[i]]; ok {
		return at
	}
	return o.popTime + o.invisible
}

// freeAt is when the queue is not blocked any more, 0 when it is not.
func (o *order) freeAt() int64 {
	at := int64(0)
	for i := range o.offsets {
		if o.acked&(1<<i) == 0 {
			at = max(at, o.visibleAt(i))
		}
	}
	return at
}

// due reports whether something is to be handed out again at a time in ms.
func (o *order) due(now int64) bool {
	if o == nil {
		return false
	}
	at := o.freeAt()
	return at > 0 && at <= now
}

// nextOffset is the first one that is not acknowledged.
func (o *order) nextOffset() int64 {
	for i, at := range o.offsets {
		if o.acked&(1<<i) == 0 {
			return at
		}
	}
	return o.offsets[len(o.offsets)-1] + 1
}

// FollowOrdered returns the committed position. A batch that is out is forgotten when somebody else has committed one.
func (s *Shard) FollowOrdered() (mq.Index, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.e.o.Positions.Query(s.key.group, s.key.topic, s.key.queue)
	o := s.order
	switch {
	case o == nil:
	case ok && o.looked && int64(at) == o.committed:
	case ok && !o.looked && int64(at) >= o.offsets[0] && int64(at) <= o.committed:
		// Journal and positions are written one after the other.
		o.looked = true
		at = mq.Index(o.committed)
		s.e.o.Positions.Commit(s.key.group, s.key.topic, s.key.queue, at)
	default:
		s.order = nil
		s.orderChangedLocked()
	}
	return at, ok
}

// commitOrderedLocked commits the position of the batch.
func (s *Shard) commitOrderedLocked() {
	o := s.order
	o.looked, o.committed = true, o.nextOffset()
	s.orderChangedLocked()
	s.e.o.Positions.Commit(s.key.group, s.key.topic, s.key.queue, mq.Index(o.committed))
}

// Blocked reports whether an ordered pop gets nothing from the queue now (ms). Who repeats the attempt that took the batch
// gets it again: the answer may have been lost.
func (s *Shard) Blocked(attemptID string, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.order
	if o == nil || len(o.offsets) == 0 || (o.attemptID != "" && o.attemptID == attemptID) {
		return false
	}
	return now < o.freeAt()
}

// HandOutOrdered notes the batch that is handed out in order and commits its first index. It calls count for each message that
// was handed out before, when any was, and returns the smallest count. The caller has the turn.
func (s *Shard) HandOutOrdered(l Lease, attemptID string, given []mq.Index, count func(at mq.Index, n int32)) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	given = given[:min(len(given), maxOrder)]
	old := s.order
	o := &order{attemptID: strings.Clone(attemptID), popTime: l.PopTime, invisible: l.Invisible, used: l.PopTime, offsets: make([]int64, len(given))}
	for i, at := range given {
		o.offsets[i] = int64(at)
	}
	switch {
	case old == nil:
	case old.attemptID != "" && old.attemptID == attemptID:
		o.counts = old.counts
	default:
		for _, at := range o.offsets {
			if slices.Contains(old.offsets, at) {
				if o.counts == nil {
					o.counts = map[int64]int32{}
				}
				o.counts[at] = old.counts[at] + 1
			}
		}
	}
	s.order = o
	s.commitOrderedLocked()
	if len(o.counts) == 0 {
		return 0
	}
	least := int32(math.MaxInt32)
	for _, at := range given {
		n := o.counts[int64(at)]
		count(at, n)
		least = min(least, n)
	}
	return least
}

// AckOrdered settles one message of the batch and commits the first index that is not settled. Java takes an acknowledgement of
// a batch that it does not know; so do we. free: the queue is not blocked any more.
func (s *Shard) AckOrdered(at mq.Index, popTime, now int64) (out Outcome, free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	committed, ok := s.e.o.Positions.Query(s.key.group, s.key.topic, s.key.queue)
	if ok && at < committed {
		return Already, false
	}
	o := s.order
	if o == nil || len(o.offsets) == 0 {
		return Unknown, false
	}
	if o.popTime != popTime {
		return Stale, false
	}
	i := slices.Index(o.offsets, int64(at))
	if i < 0 {
		return Unknown, false
	}
	o.acked |= 1 << i
	s.commitOrderedLocked()
	return Done, now >= o.freeAt()
}

// ChangeOrdered hides one message of the batch until visibleAt (ms).
func (s *Shard) ChangeOrdered(at mq.Index, popTime, visibleAt int64) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.order
	if o == nil || o.popTime != popTime {
		return Stale
	}
	if !slices.Contains(o.offsets, int64(at)) {
		return Unknown
	}
	if o.next == nil {
		o.next = map[int64]int64{}
	}
	o.next[int64(at)] = visibleAt
	s.orderChangedLocked()
	return Done
}

// SuspendOrdered hides the whole batch until visibleAt (ms), as if it had been handed out for so long. That it comes again then does
// not count as another time.
func (s *Shard) SuspendOrdered(popTime, visibleAt int64) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.order
	if o == nil || o.popTime != popTime {
		return Stale
	}
	for at, n := range o.counts {
		if n > 0 {
			o.counts[at] = n - 1
		}
	}
	o.next, o.invisible = nil, visibleAt-o.popTime
	s.orderChangedLocked()
	return Done
}

// HasBatch reports whether a batch is known that was handed out in order.
func (s *Shard) HasBatch() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order != nil
}

// ForgetOrdered ends the block of the batch that is out.
func (s *Shard) ForgetOrdered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.order != nil {
		s.order = nil
		s.orderChangedLocked()
	}
}

// orderChangedLocked puts the state into the journal and lets the clock look when the block ends.
func (s *Shard) orderChangedLocked() {
	b := s.e.j.begin(recOrder, s.id)
	var blob []byte
	if s.order != nil {
		blob = s.order.encode(nil)
	}
	s.e.j.end(appendText(b, blob))
	s.e.orders.dirty.Store(true)
	s.watchOrderLocked(math.MinInt64)
}

// watchOrderLocked makes the clock look when the block ends, if that is after now.
func (s *Shard) watchOrderLocked(now int64) {
	if s.order == nil {
		return
	}
	if at := s.order.freeAt(); at > now && at > 0 && at < s.orderWatched {
		s.orderWatched = at
		s.e.watch(s, at)
	}
}

// encode appends the state as it stands in the journal.
func (o *order) encode(b []byte) []byte {
	b = appendText(b, o.attemptID)
	b = binary.AppendVarint(b, o.popTime)
	b = binary.AppendVarint(b, o.invisible)
	b = binary.AppendVarint(b, o.used)
	b = binary.AppendVarint(b, int64(o.acked))
	b = binary.AppendVarint(b, o.committed)
	b = binary.AppendVarint(b, int64(len(o.offsets)))
	for _, at := range o.offsets {
		b = binary.AppendVarint(b, at)
	}
	b = binary.AppendVarint(b, int64(len(o.next)))
	for _, at := range slices.Sorted(maps.Keys(o.next)) {
		b = binary.AppendVarint(b, at)
		b = binary.AppendVarint(b, o.next[at])
	}
	b = binary.AppendVarint(b, int64(len(o.counts)))
	for _, at := range slices.Sorted(maps.Keys(o.counts)) {
		b = binary.AppendVarint(b, at)
		b = binary.AppendVarint(b, int64(o.counts[at]))
	}
	return b
}

// decodeOrder reads what encode wrote, nil when it is not that.
func decodeOrder(b []byte) *order {
	r := journalfile.NewReader(b)
	o := &order{attemptID: string(r.Text()), popTime: r.Int(), invisible: r.Int(), used: r.Int(), acked: uint64(r.Int()), committed: r.Int()}
	n := r.Count()
	if n == 0 || n > maxOrder {
		return nil
	}
	for range n {
		o.offsets = append(o.offsets, r.Int())
	}
	for range r.Count() {
		if o.next == nil {
			o.next = map[int64]int64{}
		}
		at := r.Int()
		o.next[at] = r.Int()
	}
	for range r.Count() {
		if o.counts == nil {
			o.counts = map[int64]int32{}
		}
		at := r.Int()
		o.counts[at] = int32(r.Int())
	}
	if r.Err() != nil {
		return nil
	}
	return o
}
