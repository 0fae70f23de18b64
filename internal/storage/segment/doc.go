// Package segment keeps a long byte sequence in files of one fixed size and its recently used parts in memory.
//
// A file is named by the position of its first byte, 20 digits, as Java names commit log files; the files of a set
// are contiguous. New files are preallocated in a sub-folder that Java skips and renamed into place, mostly before they
// are needed, so a file with a final name always has its full length and a crash leaves no gap between files.
//
// Nothing is mapped. Bytes live in a cache of fixed blocks: the hot ones, filled by the one appender as it writes, and
// the cold ones, read from the file a whole block at a time and kept in least-recently-used order. Invariants:
//
//   - A block in the hot ring has been written to its file before it can leave the ring.
//   - A reader pins a block while it looks at it; a pinned block's memory is never reused.
//   - A reader pins a file while it reads from it; a removed file is closed when the last reader is done.
//
// The commit log is the only user. It publishes how far the sequence is readable; this package trusts it.
package segment
