package telemetry

import "sync/atomic"

// Histogram counts values by size. It is a field of what it measures; Observe may be called from any goroutine and allocates nothing.
type Histogram struct {
	bounds []int64        // ascending, inclusive upper bounds
	counts []atomic.Int64 // one more than bounds: the last is for larger values
	sum    atomic.Int64
}

// NewHistogram returns an empty one. bounds must be ascending and is kept.
func NewHistogram(bounds []int64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Int64, len(bounds)+1)}
}

// Observe counts one value.
func (h *Histogram) Observe(v int64) { h.ObserveN(v, 1) }

// ObserveN counts a value n times.
func (h *Histogram) ObserveN(v, n int64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(n)
	h.sum.Add(v * n)
}

// Count returns how many values there were.
func (h *Histogram) Count() (n int64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Distribution is what a histogram holds at a moment.
type Distribution struct {
	Bounds []float64 // in the unit of the metric
	Counts []int64   // by bucket, not summed up; one more than Bounds
	Sum    float64
	Count  int64
}

// snapshot reads h; values are divided by scale.
func (h *Histogram) snapshot(scale float64) *Distribution {
	d := &Distribution{Bounds: make([]float64, len(h.bounds)), Counts: make([]int64, len(h.counts))}
	for i, b := range h.bounds {
		d.Bounds[i] = float64(b) / scale
	}
	for i := range h.counts {
		d.Counts[i] = h.counts[i].Load()
		d.Count += d.Counts[i]
	}
	d.Sum = float64(h.sum.Load()) / scale
	return d
}

// Counts returns how many values there were of each bucket.
func (h *Histogram) Counts() []int64 {
	out := make([]int64, len(h.counts))
	for i := range h.counts {
		out[i] = h.counts[i].Load()
	}
	return out
}
