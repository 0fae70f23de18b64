// Package stats keeps the past of counters as Java's StatsItem does: samples over the last minute, hour and day, from which sums
// and rates are taken. Counters themselves are fields of what they count; whoever owns them samples them here, each Step.
//
// Invariant: a list holds its samples in the order of their time, at most as many as Java's, and one more at its begin that says
// that nothing had been counted before the first of them.
package stats

import (
	"sync"
	"time"
)

// Step is the time between samples.
const Step = 10 * time.Second

// Sample is what had been counted at a moment: events, and what they add up to.
type Sample struct {
	At               int64 // ms
	Times, Num, Size int64
}

// span is one of Java's lists: samples that are step apart, so many of them.
type span struct {
	step time.Duration
	keep int
}

var spans = [3]span{{Step, 7}, {10 * time.Minute, 7}, {time.Hour, 25}}

// Item is the past of one thing that is counted. The zero value is ready.
type Item struct {
	mu    sync.Mutex // guards lists
	lists [len(spans)][]Sample
}

// Note takes a sample. It is called each Step, by one goroutine. A thing of which nothing was counted yet gets no past.
func (i *Item) Note(s Sample) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.lists[0]) == 0 && s.Times == 0 && s.Num == 0 {
		return
	}
	for k, sp := range spans {
		i.lists[k] = note(i.lists[k], s, sp)
	}
}

func note(list []Sample, s Sample, sp span) []Sample {
	step := sp.step.Milliseconds()
	if len(list) == 0 {
		list = append(list, Sample{At: s.At - step})
	} else if s.At-list[len(list)-1].At < step-(Step/2).Milliseconds() { // not due; the samples' clock may tremble
		return list
	}
	if list = append(list, s); len(list) > sp.keep {
		copy(list, list[1:])
		list = list[:len(list)-1]
	}
	return list
}

// Window is what was counted in a span of time.
type Window struct {
	Sum   int64   // what the events add up to
	TPS   float64 // of that a second
	AvgPT float64 // of that an event
	Times int64   // events
}

// Past are the windows of an item.
type Past struct{ Minute, Hour, Day Window }

// Value chooses what is summed up.
type Value func(Sample) int64

// What can be summed up.
var (
	Num  Value = func(s Sample) int64 { return s.Num }
	Size Value = func(s Sample) int64 { return s.Size }
)

// Past returns the windows; ok is false when nothing was ever counted.
func (i *Item) Past(v Value) (p Past, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, w := range []*Window{&p.Minute, &p.Hour, &p.Day} {
		*w = window(i.lists[k], v)
	}
	return p, len(i.lists[0]) > 0
}

// PerSecond returns what was counted a second over the last minute.
func (i *Item) PerSecond(v Value) float64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return window(i.lists[0], v).TPS
}

func window(list []Sample, v Value) Window {
	if len(list) < 2 {
		return Window{}
	}
	first, last := list[0], list[len(list)-1]
	w := Window{Sum: v(last) - v(first), Times: last.Times - first.Times}
	if d := last.At - first.At; d > 0 {
		w.TPS = float64(w.Sum) * 1000 / float64(d)
	}
	if w.Times > 0 {
		w.AvgPT = float64(w.Sum) / float64(w.Times)
	}
	return w
}
