package telemetry

import (
	"maps"
	"slices"
	"time"
)

// Kind is how the values of a metric are meant.
type Kind uint8

// Kinds.
const (
	Gauge Kind = iota
	Counter
	Distributed // a histogram
)

// String returns Prometheus' word.
func (k Kind) String() string { return [...]string{"gauge", "counter", "histogram"}[k] }

// Scope says whose names a metric has.
type Scope uint8

// Scopes.
const (
	ScopeBroker     Scope = iota // RocketMQ 5, meter broker-meter
	ScopeController              // RocketMQ 5, meter controller
	ScopeExporter                // rocketmq-exporter
	ScopeOwn                     // cometmq_
)

// Scopes lists all of them.
func Scopes() []Scope { return []Scope{ScopeBroker, ScopeController, ScopeExporter, ScopeOwn} }

// Title names a scope for readers.
func (s Scope) Title() string {
	return [...]string{
		"RocketMQ 5 (broker)", "RocketMQ 5 (controller)", "rocketmq-exporter", "CometMQ",
	}[s]
}

// MeterName is the otel_scope_name of a scope, "" when its metrics have none.
func (s Scope) MeterName() string {
	switch s {
	case ScopeBroker:
		return "broker-meter"
	case ScopeController:
		return "controller"
	case ScopeExporter, ScopeOwn:
	}
	return ""
}

// Metric describes a metric. It never changes.
type Metric struct {
	Name   string // as it is scraped, with the suffix of the unit
	Short  string // the name of the OpenTelemetry instrument, where it is another
	Unit   string // Java's, of the instrument
	Kind   Kind
	Scope  Scope
	Labels []string
	Help   string
	Bounds []int64 // of a histogram, in what Observe gets
	Scale  int64   // what Observe gets is divided by it; 0 is 1
}

// Instrument is the name of the OpenTelemetry instrument.
func (m *Metric) Instrument() string {
	if m.Short != "" {
		return m.Short
	}
	return m.Name
}

func (m *Metric) scale() float64 {
	if m.Scale == 0 {
		return 1
	}
	return float64(m.Scale)
}

// New returns a histogram for m.
func (m *Metric) New() *Histogram { return NewHistogram(m.Bounds) }

// all is filled while the tables of this package are made, and never after.
var all []*Metric

// All returns every metric that there may be, scope by scope.
func All() []*Metric { return all }

// suffixes are what the Prometheus exporter of OpenTelemetry adds for a unit.
var suffixes = map[string]string{"": "", "milliseconds": "_milliseconds", "ms": "_milliseconds", "seconds": "_seconds", "us": "_microseconds", "bytes": "_bytes"}

func define(s Scope, k Kind, name, unit, help string, labels ...string) *Metric {
	m := &Metric{Name: name, Unit: unit, Kind: k, Scope: s, Labels: labels, Help: help}
	if suffix := suffixes[unit]; suffix != "" && !hasSuffix(name, suffix) {
		m.Name, m.Short = name+suffix, name
	}
	all = append(all, m)
	return m
}

func hasSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix
}

func histogram(s Scope, bounds []int64, name, unit, help string, labels ...string) *Metric {
	m := define(s, Distributed, name, unit, help, labels...)
	m.Bounds = bounds
	return m
}

// seconds is a histogram of spans of time of our own: Observe gets nanoseconds, the page says seconds.
func seconds(name, help string, bounds []time.Duration, labels ...string) *Metric {
	ns := make([]int64, len(bounds))
	for i, b := range bounds {
		ns[i] = int64(b)
	}
	m := histogram(ScopeOwn, ns, name, "", help, labels...)
	m.Scale = int64(time.Second)
	return m
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
