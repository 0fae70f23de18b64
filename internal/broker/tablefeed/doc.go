// Package tablefeed carries what changes in a broker's tables to its slaves: a stream of entries with positions, kept for a
// while, and the questions of slaves that wait for the next ones.
//
// The tables (broker/meta, broker/pop, broker/delay) add entries with Add, in the order in which things change. What an entry
// means is theirs: it is the record that they write into their own journal. A slave asks "I have everything up to position P",
// and is answered as soon as there is more; a slave that is new, or too far behind, gets the full state first.
//
// Where things are:
//
//	feed.go    Feed: the entries that are kept, adding and reading
//	serve.go   questions that wait, slaves that are in step, the full state
//	wire.go    the bytes of a question and of an answer
//
// Invariants:
//   - Every answer names an offset of the log that was read after the entries were: what they speak of is in the log before it.
//     The slave applies them when its log has reached it.
//   - Entries are absolute values: applying them again, in order, from an earlier position on changes nothing.
//   - While no slave asks, Add is one atomic load. With slaves it copies the entry under a mutex that is held for nothing else
//     than that; nobody reads or writes a socket under it.
//
// Protocol: docs/protocol/table-stream.md.
package tablefeed
