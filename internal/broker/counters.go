package broker

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// figures counts what the broker does. The hot path only adds to atomics; sample, once a second, keeps the past.
type figures struct {
	puts, gets   flow
	failed       atomic.Int64 // sends that the store refused
	hits, misses atomic.Int64 // pulls with and without messages

	userPuts, userGets atomic.Int64         // messages of topics that are not the broker's own
	past, userPast     [2]stats.Item        // puts, gets
	longest            atomic.Int64         // ns of the longest append
	longestGet         atomic.Int64         // ns of the longest look for messages of a pull
	times              *telemetry.Histogram // ms that messages waited to be appended

	escaped, escapeFailures atomic.Int64 // messages that other sets took, and attempts that failed

	mu   sync.Mutex // guards the fields below
	ring [samples]sample
	n    int // samples taken
	day  day
}

// samples covers ten minutes and the present.
const samples = 601

// sample is what had been counted at a moment.
type sample struct {
	at                       time.Time
	puts, gets, hits, misses int64
}

// day holds what Java keeps of yesterday and today.
type day struct {
	year, day               int
	putsBefore, putsMorning int64 // total at the begin of yesterday and of today
	getsBefore, getsMorning int64
}

func (f *figures) init(now time.Time) {
	f.day.year, f.day.day = now.Year(), now.YearDay()
	f.times = telemetry.NewHistogram(telemetry.ExPutBounds)
	f.sample(now)
}

// put counts a successful append of n messages that took d.
func (f *figures) put(d time.Duration, n int64) {
	f.times.ObserveN(d.Milliseconds(), n)
	raise(&f.longest, d)
}

// raise makes a at least d.
func raise(a *atomic.Int64, d time.Duration) {
	for old := a.Load(); int64(d) > old; old = a.Load() {
		if a.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// putTimes is Java's text of how many messages took how long to store.
//
// Differs from Java: it counts anew each minute; here it is since the start.
func (f *figures) putTimes() string {
	var b strings.Builder
	for i, n := range f.times.Counts() {
		fmt.Fprintf(&b, "[%s]:%d ", putTimeNames[i], n)
	}
	return b.String()
}

// putTimeNames are Java's, for ExPutBounds and what is above.
var putTimeNames = [...]string{"<=0ms", "0~10ms", "10~50ms", "50~100ms", "100~200ms", "200~500ms", "500ms~1s", "1~2s", "2~3s", "3~4s", "4~5s", "5~10s", "10s~"}

// putTime is a time in ms which that share of the messages did not exceed when they were stored: the bound of the class that holds it, or
// the longest time of all if that is less.
func (f *figures) putTime(share float64) float64 {
	counts, total := f.times.Counts(), f.times.Count()
	longest := float64(f.longest.Load()) / float64(time.Millisecond)
	seen := int64(0)
	for i, bound := range telemetry.ExPutBounds {
		if seen += counts[i]; float64(seen) >= share*float64(total) {
			return min(float64(bound), longest)
		}
	}
	return longest
}

func (f *figures) read(now time.Time) sample {
	return sample{now, f.puts.messages.Load(), f.gets.messages.Load(), f.hits.Load(), f.misses.Load()}
}

func (f *figures) sample(now time.Time) {
	s := f.read(now)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.n%samples] = s
	f.n++
	if y, d := now.Year(), now.YearDay(); y != f.day.year || d != f.day.day {
		f.day = day{y, d, f.day.putsMorning, s.puts, f.day.getsMorning, s.gets}
	}
}

// rates returns Java's "10 s, 1 min, 10 min" rates of what pick takes from a sample. A span that is longer than the
// broker's life is measured over its life.
func (f *figures) rates(now time.Time, pick func(sample) int64) string {
	cur := f.read(now)
	f.mu.Lock()
	defer f.mu.Unlock()
	var rates [3]string
	for i, seconds := range [3]int{10, 60, 600} {
		from := f.ring[max(f.n-1-seconds, f.n-samples, 0)%samples]
		rate := 0.0
		if d := cur.at.Sub(from.at).Seconds(); d > 0 {
			rate = float64(pick(cur)-pick(from)) / d
		}
		rates[i] = decimal(rate)
	}
	return strings.Join(rates[:], " ")
}

// decimal writes a number as Java's Double.toString does for everyday sizes.
func decimal(x float64) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	for _, c := range s {
		if c == '.' {
			return s
		}
	}
	return s + ".0"
}

func (f *figures) today() day {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.day
}

// QueueFigures are the counters of one queue since the start.
type QueueFigures struct {
	Topic          string
	Queue          int32
	Puts, PutBytes int64
	Gets, GetBytes int64
}

// GroupFigures are the counters of one group in one topic since the start.
type GroupFigures struct {
	Group, Topic   string
	Gets, GetBytes int64
}

// eachUsed calls topics with the queues of each topic that was used since the start, nil where a queue was not, and groups
// with each topic that a group has used.
func (b *Broker) eachUsed(topics func(name string, t *topic, queues []atomic.Pointer[queue]), groups func(group, topic string, gt *groupTopic)) {
	list, _ := b.meta.Topics.List()
	for _, e := range list {
		if t, ok := e.Runtime().(*topic); ok {
			if queues := t.queues.Load(); queues != nil {
				topics(e.Name(), t, *queues)
			}
		}
	}
	readers, _ := b.meta.Groups.List()
	for _, e := range readers {
		if g, ok := e.Runtime().(*group); ok {
			g.mu.RLock()
			for name, gt := range g.topics {
				if _, ok := b.meta.Topics.Get(name); ok || b.isLight(name) {
					groups(e.Name(), name, gt)
				}
			}
			g.mu.RUnlock()
		}
	}
}

// Figures returns the counters of all queues and groups that were used since the start.
func (b *Broker) Figures() ([]QueueFigures, []GroupFigures) {
	var qs []QueueFigures
	var gs []GroupFigures
	b.eachUsed(func(name string, _ *topic, queues []atomic.Pointer[queue]) {
		for id := range queues {
			if q := queues[id].Load(); q != nil {
				qs = append(qs, QueueFigures{
					Topic: name, Queue: int32(id), Puts: q.puts.messages.Load(), PutBytes: q.puts.bytes.Load(),
					Gets: q.gets.messages.Load(), GetBytes: q.gets.bytes.Load(),
				})
			}
		}
	}, func(group, topic string, gt *groupTopic) {
		gs = append(gs, GroupFigures{Group: group, Topic: topic, Gets: gt.gets.messages.Load(), GetBytes: gt.gets.bytes.Load()})
	})
	return qs, gs
}
