package telemetry

import "time"

// Source is something that has figures: a role that this process plays.
type Source struct {
	// Common are names and values of labels that the source's metrics of each scope have besides their own.
	Common map[Scope][]Label
	// Collect tells the sink what is counted at the moment.
	Collect func(s *Sink)
}

// Label is a name with a value.
type Label struct{ Name, Value string }

// Sample is one series at a moment.
type Sample struct {
	Metric *Metric
	Common []Label       // besides the metric's own labels
	Labels []string      // values, in the order of Metric.Labels
	Value  float64       // of counters and gauges
	Dist   *Distribution // of histograms
}

// Sink takes what sources tell and passes it on. It is for one goroutine and one collection.
type Sink struct {
	emit    func(*Sample)
	limit   int
	common  map[Scope][]Label
	counts  map[*Metric]int
	dropped int64
	sample  Sample
}

// Collect asks all sources and calls emit for each series, at most limit times for one metric (0: without a limit). The sample is
// good during the call only, but what it refers to stays. It returns how many series were left out.
func Collect(sources []Source, limit int, emit func(*Sample)) (dropped int64) {
	s := &Sink{emit: emit, limit: limit, counts: map[*Metric]int{}}
	for i := range sources {
		s.common = sources[i].Common
		sources[i].Collect(s)
	}
	return s.dropped
}

// CollectAll is Collect, and tells then how many series were left out and how long it took by the clock now.
func CollectAll(sources []Source, limit int, now func() time.Time, emit func(*Sample)) {
	start := now()
	dropped := Collect(sources, limit, emit)
	Collect([]Source{{Collect: func(s *Sink) {
		s.Int(Dropped, dropped)
		s.Value(CollectTime, now().Sub(start).Seconds())
	}}}, 0, emit)
}

// Value tells a counter or gauge.
func (s *Sink) Value(m *Metric, v float64, labels ...string) {
	s.tell(m, v, nil, labels)
}

// Int is Value for whole numbers.
func (s *Sink) Int(m *Metric, v int64, labels ...string) { s.tell(m, float64(v), nil, labels) }

// Histogram tells a histogram; nil tells nothing.
func (s *Sink) Histogram(m *Metric, h *Histogram, labels ...string) {
	if h != nil {
		s.tell(m, 0, h, labels)
	}
}

func (s *Sink) tell(m *Metric, v float64, h *Histogram, labels []string) {
	if len(labels) != len(m.Labels) {
		panic("telemetry: " + m.Name + " has other labels")
	}
	if s.counts[m]++; s.limit > 0 && s.counts[m] > s.limit {
		s.dropped++
		return
	}
	s.sample = Sample{Metric: m, Common: s.common[m.Scope], Labels: labels, Value: v}
	if h != nil {
		s.sample.Dist = h.snapshot(m.scale())
	}
	s.emit(&s.sample)
}

// Limit is how many series of one metric are taken, 0: all.
func (s *Sink) Limit() int { return s.limit }

// Skip counts series of m that were not computed because of Limit.
func (s *Sink) Skip(m *Metric, n int64) {
	s.counts[m] += int(n)
	s.dropped += n
}
