package otlp

import (
	"context"
	"log/slog"
	"time"

	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// Options say what is told and how often. Sources and Interval are required.
type Options struct {
	// Sources returns what there is to ask at the moment.
	Sources  func() []telemetry.Source
	Limit    int           // series of one metric, 0: no limit
	Interval time.Duration // between two collections
	Timeout  time.Duration // for sending one collection; default 3 s
	Batch    int           // most points of one message; default 1,000
	Delta    bool          // counters and histograms tell what came since the last time
	Version  string        // of this program
	Log      *slog.Logger  // default: nothing is said
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Batch <= 0 {
		o.Batch = 1000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// sender takes messages to where they are wanted.
type sender interface {
	send(ctx context.Context, m *metricspb.ResourceMetrics) error
	close() error
}

// Exporter collects and sends. It is for one Run.
type Exporter struct {
	o       Options
	to      sender
	memory  memory
	failing bool // the last collection was not taken
}

func newExporter(o Options, to sender) *Exporter {
	return &Exporter{o: o.withDefaults(), to: to, memory: newMemory(time.Now())}
}

// Run exports at each interval until quit is closed, and once more then, so that what was counted last is told. It ends at once with
// ctx. It returns when the connection is closed.
func (e *Exporter) Run(ctx context.Context, quit <-chan struct{}) error {
	t := time.NewTicker(e.o.Interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return e.to.close()
		case <-quit:
			if !e.failing { // nobody waits for a collector that is away
				e.export(ctx)
			}
			return e.to.close()
		case <-t.C:
			e.export(ctx)
		}
	}
}

// export sends what there is now. That it fails is said once; the next collection makes up for it.
func (e *Exporter) export(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	c := e.collect()
	for _, b := range c.batches {
		err := e.to.send(ctx, b.message(e.o.Version))
		if err == nil {
			e.memory.keep(b)
			continue
		}
		if !e.failing {
			e.o.Log.Warn("figures cannot be sent, will try again at each interval", "interval", e.o.Interval, "err", err)
		}
		e.failing = true
		return
	}
	e.memory.end(c)
	if e.failing {
		e.o.Log.Info("figures are sent again")
	}
	e.failing = false
}

func (e *Exporter) collect() *collection {
	c := &collection{e: e, at: time.Now(), seen: map[string]struct{}{}}
	telemetry.CollectAll(e.o.Sources(), e.o.Limit, time.Now, c.add)
	return c
}
