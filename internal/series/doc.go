// Package series keeps what the dashboard's charts show: a fixed set of figures (Catalogue), sampled every Interval, thinned out as they
// grow old, in one small file beside the store. Where a Prometheus is configured it asks that instead.
//
//	Source -> Batch -> Collector -> Store.Record -> (each minute) Store.Flush -> file -> Store.Query
//	                                                                 Prometheus.Query
//
// Who asks names a logical series, such as topic.in.tps, and never a query language.
//
// Invariants:
//   - A sample belongs to the moment of the tick, not to the moment when the source answered: all series share one grid of time.
//   - One transaction a minute. A process that is killed loses what it sampled since the last one, about a minute.
//   - There are never more than Options.Limit series; those written longest ago go first, and Stats counts them.
//   - Nothing here can stop the broker: a damaged file is moved aside (kvfile), a full disk costs figures.
//
// docs/formats/series.md describes the file.
package series
