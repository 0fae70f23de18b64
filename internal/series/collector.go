package series

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Source tells the figures of one cluster at a moment.
type Source interface {
	// Sample tells b what it knows. What it told before an error counts.
	Sample(ctx context.Context, b *Batch) error
}

// Target is a cluster with what tells its figures.
type Target struct {
	Cluster string
	Source  Source
}

// Collector asks sources every Interval and gives what they say to a store.
type Collector struct {
	Store   *Store
	Targets []Target
	Log     *slog.Logger
}

const (
	// askFor is how long a source may take.
	askFor = Interval - time.Second
	// settle is how long after a minute its samples may come, before it is written.
	settle = 5 * time.Second
)

// Run collects until ctx ends. The store stays open.
func (c *Collector) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range c.Targets {
		g.Go(func() error {
			c.follow(ctx, t)
			return nil
		})
	}
	g.Go(func() error {
		every(ctx, time.Minute, settle, func(time.Time) {
			_ = c.Store.Flush(time.Now().Add(-settle)) // it has told
		})
		return nil
	})
	return g.Wait()
}

// every calls fn at multiples of step, and after behind them, until ctx ends. A call that takes longer than a step costs those that it
// overlaps.
func every(ctx context.Context, step, after time.Duration, fn func(tick time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		now := time.Now()
		next := now.Add(-after).Truncate(step).Add(step)
		timer.Reset(next.Add(after).Sub(now))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			fn(next)
		}
	}
}

// follow samples one cluster.
func (c *Collector) follow(ctx context.Context, t Target) {
	b := NewBatch(t.Cluster)
	failing := false
	every(ctx, Interval, 0, func(tick time.Time) {
		b.Begin(tick)
		actx, cancel := context.WithTimeout(ctx, askFor)
		err := t.Source.Sample(actx, b)
		cancel()
		if ctx.Err() != nil {
			return
		}
		c.Store.Record(tick, b.End())
		if failed := err != nil; failed != failing && c.Log != nil {
			if failing = failed; failed {
				c.Log.Warn("some figures for the charts are missing", "cluster", t.Cluster, "err", err)
			} else {
				c.Log.Info("figures for the charts are complete again", "cluster", t.Cluster)
			}
		}
	})
}

// Batch is what a source tells at one tick. Figures of one series that are told more than once are added up, or the largest counts, as
// the catalogue says. It may be used by several goroutines between Begin and End.
type Batch struct {
	cluster string
	born    bool // totals that appear began at zero: their counters are those of this process

	mu      sync.Mutex // guards what follows
	tick    time.Time
	last    time.Time // the tick before, zero: none
	round   int64
	cells   map[string]*cell
	meters  map[string]*meter
	spreads map[string]*spread
	key     []byte
	out     []Sample
}

// cell is one series. It stays from tick to tick so that nothing is allocated for a series that is there each time.
type cell struct {
	sample  Sample
	largest bool
	round   int64 // in which it was told
}

// meter is a total at the tick before.
type meter struct {
	v     float64
	at    time.Time
	round int64
}

// forget is after how many ticks without a figure a cell goes.
const forget = 30

// NewBatch returns one for a cluster.
func NewBatch(cluster string) *Batch {
	return &Batch{cluster: cluster, cells: map[string]*cell{}, meters: map[string]*meter{}, spreads: map[string]*spread{}}
}

// Begin starts a tick.
func (b *Batch) Begin(tick time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.tick = b.tick, tick
	b.round++
}

// View is a batch for the figures of one cluster.
type View struct {
	b       *Batch
	cluster string
}

// Of returns the view of a cluster.
func (b *Batch) Of(cluster string) View { return View{b, cluster} }

// Gauge tells a value. labels are those of the definition without the cluster.
func (b *Batch) Gauge(name string, v float64, labels ...string) {
	b.Of(b.cluster).Gauge(name, v, labels...)
}

// Total is View.Total.
func (b *Batch) Total(name, part string, v float64, labels ...string) {
	b.Of(b.cluster).Total(name, part, v, labels...)
}

// Gauge tells a value. labels are those of the definition without the cluster.
func (w View) Gauge(name string, v float64, labels ...string) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	w.b.addLocked(w.cluster, name, v, labels)
}

// Total tells a number that only grows, of one part of a series; the series gets what its parts grew by in a second.
func (w View) Total(name, part string, v float64, labels ...string) {
	b := w.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.key = append(append(appendIdentity(append(append(b.key[:0], w.cluster...), 0), name, labels...), 0), part...)
	m := b.meters[string(b.key)]
	if m == nil {
		m = &meter{}
		if b.born && !b.last.IsZero() {
			m.at = b.last
		}
		b.meters[string(b.key)] = m
	}
	dt := b.tick.Sub(m.at).Seconds()
	grew := v - m.v
	known := !m.at.IsZero() && dt > 0 && grew >= 0 // a total that shrank is that of a broker that was started again
	m.v, m.at, m.round = v, b.tick, b.round
	if known {
		b.addLocked(w.cluster, name, grew/dt, labels)
	}
}

func (b *Batch) addLocked(cluster, name string, v float64, labels []string) {
	b.key = appendIdentity(append(append(b.key[:0], cluster...), 0), name, labels...)
	c := b.cells[string(b.key)]
	if c == nil {
		c = &cell{sample: Sample{Name: name, Labels: append([]string{cluster}, labels...)}}
		if d := find(name); d != nil {
			c.largest = d.Merge == Largest
		}
		b.cells[string(b.key)] = c
	}
	switch {
	case c.round != b.round:
		c.round, c.sample.Value = b.round, v
	case c.largest:
		c.sample.Value = max(c.sample.Value, v)
	default:
		c.sample.Value += v
	}
}

// End returns the samples of the tick. They are good until the next Begin.
func (b *Batch) End() []Sample {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spreadLocked()
	b.out = b.out[:0]
	for k, c := range b.cells {
		switch {
		case c.round == b.round:
			b.out = append(b.out, c.sample)
		case c.round < b.round-forget:
			delete(b.cells, k)
		}
	}
	for k, m := range b.meters {
		if m.round < b.round-forget {
			delete(b.meters, k)
		}
	}
	return b.out
}

// now is the moment of the tick.
func (b *Batch) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tick
}
