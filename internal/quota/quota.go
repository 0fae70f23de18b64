package quota

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Burst is what an idle bucket saves up: so much time's worth goes through without waiting.
const Burst = 200 * time.Millisecond

// maxSubjects is how many names of one kind are kept.
const maxSubjects = 10_000

// idle is after what time a name that sends nothing may be forgotten to make room.
const idle = time.Minute

// Table keeps who sends how much. All methods may be called from any goroutine; those of a nil table know no quota.
type Table struct {
	epoch time.Time
	rules atomic.Pointer[[kinds]ruleSet] // nil: there are none
	delay atomic.Int64                   // ns

	mu    sync.RWMutex // guards names
	names [kinds]map[string]*Subject
}

// New returns a table without rules. Times are measured from epoch.
func New(epoch time.Time) *Table { return &Table{epoch: epoch} }

// Set makes rules the rules, and delay the longest time that somebody waits instead of being refused. What was counted stays.
func (t *Table) Set(rules []Rule, delay time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delay.Store(int64(delay))
	sets := setsOf(rules)
	for k := range t.names {
		for name, s := range t.names[k] {
			bytes, messages := sets[k].rates(name, s.own)
			if s.bytes.set(bytes); bytes == 0 && messages == 0 {
				delete(t.names[k], name)
			}
			s.messages.set(messages)
		}
	}
	if len(rules) == 0 {
		sets = nil
	}
	t.rules.Store(sets)
}

// On reports whether there are rules.
func (t *Table) On() bool { return t != nil && t.rules.Load() != nil }

// At is now as the buckets count time.
func (t *Table) At(now time.Time) int64 { return int64(now.Sub(t.epoch)) }

// Of returns who is called so, nil when no rule is for them. own: only rules with that very name count. The name may be borrowed.
func (t *Table) Of(k Kind, name string, own bool, at int64) *Subject {
	sets := t.rules.Load()
	if sets == nil || sets[k].empty() || name == "" {
		return nil
	}
	t.mu.RLock()
	s := t.names[k][name]
	t.mu.RUnlock()
	if s != nil {
		return s
	}
	if bytes, messages := sets[k].rates(name, own); bytes == 0 && messages == 0 {
		return nil
	}
	return t.add(k, strings.Clone(name), own, at)
}

func (t *Table) add(k Kind, name string, own bool, at int64) *Subject {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.names[k][name]; s != nil {
		return s
	}
	sets := t.rules.Load()
	if sets == nil {
		return nil
	}
	bytes, messages := sets[k].rates(name, own)
	if bytes == 0 && messages == 0 {
		return nil
	}
	if t.names[k] == nil {
		t.names[k] = map[string]*Subject{}
	}
	if len(t.names[k]) >= maxSubjects {
		t.forgetLocked(k, at)
	}
	s := &Subject{Kind: k, Name: name, own: own}
	s.bytes.set(bytes)
	s.messages.set(messages)
	s.bytes.paid.Store(at - int64(Burst))
	s.messages.paid.Store(at - int64(Burst))
	t.names[k][name] = s
	return s
}

// forgetLocked makes room: the idle go, and when these are few, any half. Whoever can make up so many names is not held by quotas on
// names.
func (t *Table) forgetLocked(k Kind, at int64) {
	for name, s := range t.names[k] {
		if at-max(s.bytes.paid.Load(), s.messages.paid.Load()) > int64(idle) {
			delete(t.names[k], name)
		}
	}
	for name := range t.names[k] {
		if len(t.names[k]) <= maxSubjects/2 {
			return
		}
		delete(t.names[k], name)
	}
}

// Delay is the longest time that somebody waits.
func (t *Table) Delay() time.Duration { return time.Duration(t.delay.Load()) }

// Subject is somebody with a quota.
type Subject struct {
	Kind Kind
	Name string
	own  bool

	bytes, messages bucket

	taken, takenBytes, delayed, refused atomic.Int64

	rate, byteRate atomic.Int64 // a second, between the last two samples
	was, wasBytes  int64        // of the last sample; Table.Sample's
}

// Over is a quota that refuses.
type Over struct {
	Unit   string
	Rate   int64 // a second
	Behind time.Duration
}

// Refuses reports which quota of s is over by more than the table allows. A nil s refuses nothing.
func (t *Table) Refuses(s *Subject, at int64) (o Over, refused bool) {
	if s == nil {
		return o, false
	}
	delay := t.delay.Load()
	if b := s.bytes.behind(at); b > delay {
		return Over{UnitBytes, s.bytes.rate.Load(), time.Duration(b)}, true
	}
	if b := s.messages.behind(at); b > delay {
		return Over{UnitMessages, s.messages.rate.Load(), time.Duration(b)}, true
	}
	return o, false
}

// Refused counts messages that were refused because of s.
func (s *Subject) Refused(n int64) { s.refused.Add(n) }

// Take takes what a request has, and returns how long its answer waits. A nil s takes nothing.
func (t *Table) Take(s *Subject, at, messages, bytes int64) time.Duration {
	if s == nil {
		return 0
	}
	s.taken.Add(messages)
	s.takenBytes.Add(bytes)
	wait := max(s.bytes.take(at, bytes), s.messages.take(at, messages))
	if wait <= 0 {
		return 0
	}
	s.delayed.Add(messages)
	return time.Duration(min(wait, t.delay.Load()))
}

// Use is how much somebody sends.
type Use struct {
	Kind            Kind
	Name            string
	Bytes, Messages int64 // what they may, a second; 0: no limit
	// Taken, TakenBytes, Delayed and Refused are counts since somebody of that name was first seen. All but TakenBytes are messages.
	Taken, TakenBytes, Delayed, Refused int64
	Rate, ByteRate                      int64 // what they did lately, a second
}

// Uses returns everybody with a quota who has sent something: first those whose quota is in their way most.
func (t *Table) Uses() []Use {
	if !t.On() {
		return nil
	}
	var out []Use
	t.mu.RLock()
	for k := range t.names {
		for _, s := range t.names[k] {
			out = append(out, Use{
				Kind: s.Kind, Name: s.Name, Bytes: s.bytes.rate.Load(), Messages: s.messages.rate.Load(), Taken: s.taken.Load(),
				TakenBytes: s.takenBytes.Load(), Delayed: s.delayed.Load(), Refused: s.refused.Load(), Rate: s.rate.Load(), ByteRate: s.byteRate.Load(),
			})
		}
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(b.Delayed, a.Delayed), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Sample notes how much was sent in the time since the last call.
func (t *Table) Sample(since time.Duration) {
	if !t.On() || since <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.names {
		for _, s := range t.names[k] {
			n, bytes := s.taken.Load(), s.takenBytes.Load()
			s.rate.Store(int64(float64(n-s.was) / since.Seconds()))
			s.byteRate.Store(int64(float64(bytes-s.wasBytes) / since.Seconds()))
			s.was, s.wasBytes = n, bytes
		}
	}
}

// bucket is a rate and the time, in ns, at which all that was taken is paid for.
type bucket struct{ rate, paid atomic.Int64 }

func (b *bucket) set(rate int64) { b.rate.Store(rate) }

// behind is how far in the future all is paid for, 0 or less: not.
func (b *bucket) behind(at int64) int64 {
	if b.rate.Load() == 0 {
		return 0
	}
	return b.paid.Load() - at
}

// take takes n and returns after what time that much would have been there.
func (b *bucket) take(at, n int64) (wait int64) {
	rate := b.rate.Load()
	if rate == 0 {
		return 0
	}
	cost := int64(float64(n) / float64(rate) * float64(time.Second))
	for {
		old := b.paid.Load()
		from := max(old, at-int64(Burst))
		if b.paid.CompareAndSwap(old, from+cost) {
			return from - at
		}
	}
}
