// Package prom writes the figures of sources as a page for Prometheus. One collector asks the sources each time that somebody
// fetches the page; nothing is kept in between.
package prom

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// Options say what is on the page.
type Options struct {
	// Sources returns what there is to ask at the moment.
	Sources func() []telemetry.Source
	Limit   int              // series of one metric, 0: no limit
	Failed  func(err error)  // is told what is wrong with a page; nil: nobody
	Now     func() time.Time // default time.Now
}

// maxPages is how many pages are made at a time. More requests are answered with 503.
const maxPages = 4

// Handler returns what serves the page.
func Handler(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{o})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: failures(o.Failed), MaxRequestsInFlight: maxPages,
	})
}

// failures is promhttp's logger.
type failures func(error)

// Println implements promhttp.Logger.
func (f failures) Println(v ...any) {
	for _, x := range v {
		if err, ok := x.(error); ok && f != nil {
			f(err)
		}
	}
}

// collector implements prometheus.Collector. It describes nothing, so that what it tells need not be the same each time.
type collector struct{ o Options }

// Describe implements prometheus.Collector.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// descKey: the labels that all series of a source share are part of a description. Each source has one slice for a scope.
type descKey struct {
	m      *telemetry.Metric
	common *telemetry.Label
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	descs := map[descKey]*prometheus.Desc{}
	emit := func(s *telemetry.Sample) {
		k := descKey{m: s.Metric}
		if len(s.Common) > 0 {
			k.common = &s.Common[0]
		}
		d := descs[k]
		if d == nil {
			d = describe(s)
			descs[k] = d
		}
		ch <- metricOf(d, s)
	}
	telemetry.CollectAll(c.o.Sources(), c.o.Limit, c.o.Now, emit)
}

func describe(s *telemetry.Sample) *prometheus.Desc {
	fixed := prometheus.Labels{}
	for _, l := range s.Common {
		fixed[l.Name] = l.Value
	}
	if name := s.Metric.Scope.MeterName(); name != "" {
		fixed["otel_scope_name"] = name
	}
	return prometheus.NewDesc(s.Metric.Name, s.Metric.Help, s.Metric.Labels, fixed)
}

func metricOf(d *prometheus.Desc, s *telemetry.Sample) prometheus.Metric {
	var m prometheus.Metric
	var err error
	switch {
	case s.Dist != nil:
		buckets := make(map[float64]uint64, len(s.Dist.Bounds))
		n := int64(0)
		for i, b := range s.Dist.Bounds {
			n += s.Dist.Counts[i]
			buckets[b] = uint64(n)
		}
		m, err = prometheus.NewConstHistogram(d, uint64(s.Dist.Count), s.Dist.Sum, buckets, s.Labels...)
	case s.Metric.Kind == telemetry.Counter:
		m, err = prometheus.NewConstMetric(d, prometheus.CounterValue, s.Value, s.Labels...)
	default:
		m, err = prometheus.NewConstMetric(d, prometheus.GaugeValue, s.Value, s.Labels...)
	}
	if err != nil { // a name that is no UTF-8: the rest of the page is as good as ever
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}
