// Package otlp gives the figures of sources, at an interval, to an OpenTelemetry collector (Push) or to the log (Lines), as Java's
// exporters OTLP_GRPC and LOG do: bare names of the instruments with their unit, Java's labels, cumulative or delta.
//
// It makes the messages of the protocol itself: sources are walked over when somebody asks, so that the instruments, readers and views
// of OpenTelemetry's SDK would be a second place where figures lie (docs/adr/0012-metrics-push.md).
//
// Invariants:
//   - What a delta covers begins where the last one that was taken ended. What could not be sent is part of the next one, so that a
//     collector that was away misses nothing.
//   - A series that begins anew (it is smaller than it was: a topic that was made again) begins with another start time.
//   - A process to which nobody gave an Exporter has no goroutine and no connection of this package.
package otlp
