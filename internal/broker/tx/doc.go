// Package tx decides half messages: messages that a producer has handed over but that nobody sees before the producer says
// "commit".
//
// A half message is a record of the topic RMQ_SYS_TRANS_HALF_TOPIC. What was decided about it stands in
// RMQ_SYS_TRANS_OP_HALF_TOPIC, as a list of half messages by their index. A committed message is stored once more in its
// own topic. Both topics and the progress in them (offsets of the group CID_RMQ_SYS_TRANS) are Java's, byte by byte, so that
// each side can go on where the other stopped.
//
// Where things are:
//
//	tx.go      Machine: Open, and what a batch of decisions goes through (Enter, Claim, Finish)
//	half.go    a half message in parts, and its copies
//	ops.go     op records: writing, reading, and the progress in them
//	check.go   asking producers about what is undecided for too long
//	window.go  one bit for each half message: decided or not
//
// Invariants:
//   - A committed message and the op record about it are one append, the message first. A crash between them leaves a half
//     message that will be asked about, never one that is lost.
//   - Progress passes a half message only when it is decided, or when a copy of it (further on in the queue) or a
//     record in TRANS_CHECK_MAX_TIME_TOPIC is on disk.
//   - In memory there is one bit for each half message between the progress and the end, and one map entry for each copy;
//     both are bounded, whatever the number of undecided messages is.
package tx
