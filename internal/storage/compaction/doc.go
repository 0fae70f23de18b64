// Package compaction keeps topics with the attribute cleanup.policy=COMPACTION: of each key only the newest message, for as long as the
// topic lives. The files are Java's:
//
//	compaction/compactionLog/<topic>/<queue>/FILE20   records back to back, as in the commit log but with their place in this log;
//	                                                  at the end of a file what is left (4 bytes) and 0xCBD43194
//	compaction/compactionCq/<topic>/<queue>/FILE20    one unit of 46 bytes for each record of the file of the same name:
//	                                                  place 8, size 4, tag hash 8, store time 8, queue index 8, 1 (2), -1 (4), 0 (4).
//	                                                  Behind the last one of a full file there is a unit with place -1.
//	compaction/position-checkpoint                    up to which queue index the keys were compared
//
// Where things are: log.go one queue, file.go a pair of files, recover.go opening, compact.go throwing away what is outdated.
//
// Invariants:
//   - The log of a queue has its messages in the order of their indexes. Who fills it (the storage package) does so from the ordinary
//     queue, so that what is missing at the end after a crash comes again.
//   - A compaction builds new files beside the old ones, makes them durable, writes down what it is about to do, and only then moves
//     them. A crash at any point leaves the old files or leads to the new ones.
//   - Memory: an entry for each different key that has come since the last compaction, up to a limit; then it goes only so far.
package compaction
