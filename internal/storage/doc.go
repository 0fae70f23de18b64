// Package storage is the message store of one broker: the commit log, the consume queues, the key index and what keeps
// them together. It knows bytes, offsets and files; topics and groups mean nothing to it.
//
// The way of a message: Batch.Add encodes it, Append gives it its queue position and log offset and writes it, the
// dispatcher (one goroutine, in log order) adds it to its queue and to the key index and tells OnDispatch, Read finds it
// through the queue. Recovery walks the same way from the last mark on.
//
// The directory is Java's, file by file, so that either side can open what the other wrote. Below <root>/cometmq there
// are a few hints of ours that Java ignores; without them opening takes longer and nothing is lost.
//
// Invariants:
//
//   - The lock is taken before anything is read or changed.
//   - A queue unit stands at the index that its record carries. Dispatching a record twice changes nothing.
//   - A mark says that queues and index hold all records before it; it is written after them (see mark.go).
//   - Nothing that is followed by something valid is ever cut off the log.
package storage
