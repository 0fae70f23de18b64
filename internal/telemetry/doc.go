// Package telemetry says which metrics there are, and how they get from what is counted to whoever reads them.
//
// Counters are atomic fields of the objects that they count (Histogram is such a field, too); the path of a message never sees this
// package's tables. When somebody asks, a Source walks its objects and tells a Sink what they say: one call for each series. What is
// not walked over is not on the page, so series of deleted topics and groups vanish with them.
//
// Names and labels of the metrics with scope ScopeBroker and ScopeController are those of RocketMQ 5's OpenTelemetry meters as their
// Prometheus exporter writes them; those of ScopeExporter are rocketmq-exporter's; those of ScopeOwn begin with cometmq_.
//
// Invariant: the number of series of one metric is bounded by Sink's limit. What is above it is counted, not told.
//
// The subpackage prom is the page, otlp sends to a collector or the log; they need libraries.
package telemetry
