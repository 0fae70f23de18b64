// Package keyindex finds records in the commit log by a key: the unique key of a message and the words of KEYS.
//
// It is Java's index, byte for byte. A file <dir>/yyyyMMddHHmmssSSS (local time of its creation) has three parts, all
// numbers big-endian:
//
//	0            40 bytes      header:  i64 begin time, i64 end time, i64 begin position, i64 end position,
//	                                    i32 slots in use, i32 number of the next entry (0 reads as 1)
//	40           4 * slots     slot:    i32 number of the newest entry with that hash, 0 = none
//	40+4*slots   20 * capacity entry:   i32 hash, i64 position in the log, i32 seconds since the begin time,
//	                                    i32 number of the next older entry of the slot
//
// hash is |String.hashCode| of topic + "#" + key, with |MIN_VALUE| = 0; slot is hash mod slots. Entry 0 is never used.
// A file that is full is followed by a new one, which begins with the end time and position of the full one.
//
// A put must not cost a random access to a 420 MB file, and there is no mmap here. Puts collect in a batch in memory:
// entries in the form of the file, and a small hash table that queries use.
// Flush sorts the entries by slot and merges a batch with one pass over the slots: it reads the slots to end
// the chains of the batch in those of the file, appends the entries with one write, writes the slots, then the header.
// Queries look at the batches first, then at the files.
//
// Invariants:
//   - Positions never go down from one entry to the next.
//   - A slot is written after the entries that it leads to, so that a process can be killed at any point.
//   - What was put for records below SafeUpTo is in the files.
//   - After a power cut Recover drops the entries above what was synced and mends the slots; dispatching the log
//     again puts them back, and what is there already is not put twice.
package keyindex
