// Package consumequeue keeps, for each queue of each topic, where its messages are in the commit log.
//
// A queue is a row of 20-byte units (Java's SimpleCQ), cut into files of one size:
//
//	<dir>/<topic>/<queue id>/<FILE20>      FILE20 = logical byte position of the file's first unit, 20 digits
//
//	offset  size  field (big-endian)
//	     0     8  position of the record in the commit log
//	     8     4  size of the record
//	    12     8  tag hash, or the delivery time of a delayed message
//
// Unit k of a queue is at logical byte 20*k. A unit is valid when its size is above zero and its position is not
// negative; free space is zero. Units in front of the first message of a queue that did not begin at index 0 are
// blank: position 0, size 0x7fffffff, tags 0.
//
// The queues of a topic with a folder below batchconsumequeue are batch queues (Java's BatchCQ). A record there holds one or
// more messages, and its 46-byte unit says which:
//
//	offset  size  field
//	     0    20  as above
//	    20     8  store time of the record, ms
//	    28     8  index of its first message
//	    36     2  number of messages
//	    38     4  -1 (Java: where the message went when the log was compacted)
//	    42     4  0
//
// There the place of a unit says nothing about its index: places are found by binary search, and a gap between indexes takes
// no place. Everything else is the same for both kinds, see kind in unit.go.
//
// The one dispatcher of a store appends; readers, one flusher and one cleaner run beside it. Units collect in a small
// tail in memory for each queue and go to the file when the tail is full, on Flush, or when too much is waiting.
// A file is made when the first unit is written to it, at its full length but sparse, because Java wants the exact
// length. Open files are kept in a bounded cache, so that tens of thousands of queues are cheap.
//
// Invariants:
//   - The position of a unit of a simple queue is the queue index of its record: appending twice changes nothing, a gap is filled
//     with blank units and counted, nothing is ever written at another place.
//   - Nothing is scanned at start. A queue looks at its files on first use and finds its end by binary search.
//   - Units at or above the trust mark (Set.SetTrust) are dropped and overwritten with zeros on that first use;
//     the store dispatches the log from the mark again.
package consumequeue
