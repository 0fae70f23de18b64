package series

import (
	"slices"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// spread is what a histogram counted at this tick and at the one before: figures are of what lies between.
type spread struct {
	round, roundBefore int64
	bounds             []float64
	counts, before     []int64
	sum, sumBefore     float64
	tell               func(d *telemetry.Distribution)
}

// Distribution tells a histogram under a key; tell gets what was counted since the tick before, if anything was. Histograms with one key
// are added up.
func (b *Batch) Distribution(key string, d *telemetry.Distribution, tell func(since *telemetry.Distribution)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.spreads[key]
	if s == nil || len(s.counts) != len(d.Counts) {
		s = &spread{bounds: d.Bounds, counts: make([]int64, len(d.Counts)), before: make([]int64, len(d.Counts))}
		b.spreads[key] = s
	}
	if s.round != b.round {
		s.before, s.counts = s.counts, s.before
		s.sumBefore, s.sum = s.sum, 0
		clear(s.counts)
		s.roundBefore, s.round = s.round, b.round
	}
	for i, n := range d.Counts {
		s.counts[i] += n
	}
	s.sum += d.Sum
	s.tell = tell
}

func (b *Batch) spreadLocked() {
	for key, s := range b.spreads {
		if s.round != b.round {
			if s.round < b.round-forget {
				delete(b.spreads, key)
			}
			continue
		}
		d := &telemetry.Distribution{Bounds: s.bounds, Counts: make([]int64, len(s.counts)), Sum: s.sum - s.sumBefore}
		for i := range s.counts {
			d.Counts[i] = s.counts[i] - s.before[i]
			d.Count += d.Counts[i]
		}
		if s.roundBefore == 0 || d.Count <= 0 || slices.Min(d.Counts) < 0 {
			continue // the first of all, nothing new, or a broker that was started again
		}
		s.tell(d)
	}
}

// quantileOf estimates the value below which the share q of what a histogram counted lies, as Prometheus does: in a straight line within
// a bucket, and the largest bound for what is above it.
func quantileOf(d *telemetry.Distribution, q float64) float64 {
	rank, seen := q*float64(d.Count), 0.0
	for i, n := range d.Counts {
		if seen += float64(n); seen < rank || n == 0 {
			continue
		}
		if i == len(d.Bounds) {
			return d.Bounds[len(d.Bounds)-1]
		}
		low := 0.0
		if i > 0 {
			low = d.Bounds[i-1]
		}
		return low + (d.Bounds[i]-low)*(rank-(seen-float64(n)))/float64(n)
	}
	return 0
}
