package otlp

import (
	"slices"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// past is what a counter or a histogram said when it was last taken.
type past struct {
	start, at time.Time // from when on it has counted, and when it said so
	value     float64   // of a histogram the sum
	count     int64
	counts    []int64
}

// memory has the past of each series. It is as large as a collection.
type memory struct {
	series map[string]past
	taken  time.Time // when the last collection was made that was taken as a whole; at first when counting began
}

func newMemory(born time.Time) memory { return memory{series: map[string]past{}, taken: born} }

// keep notes that a batch was taken.
func (m *memory) keep(b *batch) {
	for i := range b.counted {
		m.series[b.counted[i].key] = b.counted[i].past
	}
}

// end notes that all of c was taken. A series that was not in it is gone.
func (m *memory) end(c *collection) {
	m.taken = c.at
	for k := range m.series {
		if _, ok := c.seen[k]; !ok {
			delete(m.series, k)
		}
	}
}

// since fills in from when on now counts. known: old is the earlier part of the same counting.
func (m *memory) since(key string, now *past) (old past, known bool) {
	old, known = m.series[key]
	switch {
	case !known:
		now.start = m.taken
	case now.value < old.value || now.count < old.count || len(now.counts) != len(old.counts): // it has begun anew
		now.start, known = old.at, false
	default:
		now.start = old.start
	}
	return old, known
}

// batch is what one message holds.
type batch struct {
	points  int
	scopes  []*metricspb.ScopeMetrics
	metrics map[*telemetry.Metric]*metricspb.Metric
	counted []counted
}

// counted is what memory keeps when the batch was taken.
type counted struct {
	key string
	past
}

// collection is what all sources told at one time.
type collection struct {
	e       *Exporter
	at      time.Time
	batches []*batch
	seen    map[string]struct{}

	common *telemetry.Label // the first of those that shared is made of
	shared []*commonpb.KeyValue
	key    []byte
}

// ownScope names what RocketMQ has no meter for.
const ownScope = "cometmq"

// add takes one series.
func (c *collection) add(s *telemetry.Sample) {
	if n := len(c.batches); n == 0 || c.batches[n-1].points == c.e.o.Batch {
		c.batches = append(c.batches, &batch{metrics: map[*telemetry.Metric]*metricspb.Metric{}})
	}
	b := c.batches[len(c.batches)-1]
	b.points++
	m := b.metric(s.Metric, c.e.o.Delta)
	attrs, at := c.attributes(s), uint64(c.at.UnixNano())
	if s.Metric.Kind == telemetry.Gauge {
		g := m.GetGauge()
		p := &metricspb.NumberDataPoint{Attributes: attrs, TimeUnixNano: at}
		setNumber(p, s.Metric, s.Value)
		g.DataPoints = append(g.DataPoints, p)
		return
	}
	now := past{at: c.at, value: s.Value}
	if s.Dist != nil {
		now.value, now.count, now.counts = s.Dist.Sum, s.Dist.Count, s.Dist.Counts
	}
	key := c.keyOf(s)
	c.seen[key] = struct{}{}
	old, known := c.e.memory.since(key, &now)
	b.counted = append(b.counted, counted{key, now})
	from := now.start
	if c.e.o.Delta && known {
		from = old.at
	} else {
		old = past{counts: make([]int64, len(now.counts))}
	}
	start := uint64(from.UnixNano())
	if s.Dist == nil {
		p := &metricspb.NumberDataPoint{Attributes: attrs, StartTimeUnixNano: start, TimeUnixNano: at}
		setNumber(p, s.Metric, now.value-old.value)
		m.GetSum().DataPoints = append(m.GetSum().DataPoints, p)
		return
	}
	sum := now.value - old.value
	p := &metricspb.HistogramDataPoint{
		Attributes: attrs, StartTimeUnixNano: start, TimeUnixNano: at, Sum: &sum, ExplicitBounds: s.Dist.Bounds, BucketCounts: make([]uint64, len(now.counts)),
	}
	for i, n := range now.counts { // the sum of what is told, which was read while others counted
		p.BucketCounts[i] = uint64(max(n-old.counts[i], 0))
		p.Count += p.BucketCounts[i]
	}
	m.GetHistogram().DataPoints = append(m.GetHistogram().DataPoints, p)
}

// setNumber: RocketMQ's figures are whole numbers on the wire, as Java's are.
func setNumber(p *metricspb.NumberDataPoint, m *telemetry.Metric, v float64) {
	if m.Scope == telemetry.ScopeOwn {
		p.Value = &metricspb.NumberDataPoint_AsDouble{AsDouble: v}
		return
	}
	p.Value = &metricspb.NumberDataPoint_AsInt{AsInt: int64(v)}
}

// keyOf is the same for two samples of one series only.
func (c *collection) keyOf(s *telemetry.Sample) string {
	k := c.key[:0]
	k = append(k, s.Metric.Name...)
	for _, l := range s.Common {
		k = append(append(k, 0), l.Value...)
	}
	for _, v := range s.Labels {
		k = append(append(k, 0), v...)
	}
	c.key = k
	return string(k)
}

// attributes are the labels. Those that all series of a source have are made once.
func (c *collection) attributes(s *telemetry.Sample) []*commonpb.KeyValue {
	switch {
	case len(s.Common) == 0:
		c.common, c.shared = nil, nil
	case c.common != &s.Common[0]:
		c.common, c.shared = &s.Common[0], nil
		for _, l := range s.Common {
			c.shared = append(c.shared, attribute(l.Name, l.Value))
		}
	}
	out := slices.Grow(slices.Clone(c.shared), len(s.Labels))
	for i, name := range s.Metric.Labels {
		out = append(out, attribute(name, s.Labels[i]))
	}
	return out
}

// attribute makes a label. What is no UTF-8 in the name of a topic or client would make the whole message invalid.
func attribute(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{
		Value: &commonpb.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")},
	}}
}

// metric returns where the points of m go.
func (b *batch) metric(m *telemetry.Metric, delta bool) *metricspb.Metric {
	if out := b.metrics[m]; out != nil {
		return out
	}
	how := metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	if delta {
		how = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	}
	out := &metricspb.Metric{Name: m.Instrument(), Unit: m.Unit, Description: m.Help}
	switch m.Kind {
	case telemetry.Gauge:
		out.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{}}
	case telemetry.Counter:
		out.Data = &metricspb.Metric_Sum{Sum: &metricspb.Sum{AggregationTemporality: how, IsMonotonic: true}}
	case telemetry.Distributed:
		out.Data = &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{AggregationTemporality: how}}
	}
	b.metrics[m] = out
	s := b.scope(m.Scope)
	s.Metrics = append(s.Metrics, out)
	return out
}

func (b *batch) scope(s telemetry.Scope) *metricspb.ScopeMetrics {
	name := s.MeterName()
	if name == "" {
		name = ownScope
	}
	for _, have := range b.scopes {
		if have.GetScope().GetName() == name {
			return have
		}
	}
	out := &metricspb.ScopeMetrics{Scope: &commonpb.InstrumentationScope{Name: name}}
	b.scopes = append(b.scopes, out)
	return out
}

// message is the batch as it is sent.
//
// Differs from Java: its resource is empty, so that collectors do not know what program the figures are of.
func (b *batch) message(version string) *metricspb.ResourceMetrics {
	return &metricspb.ResourceMetrics{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
			attribute("service.name", "cometmq"), attribute("service.version", version),
		}},
		ScopeMetrics: b.scopes,
	}
}
