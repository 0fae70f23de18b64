// Package journalfile has what the journals of a broker share: how the files are named and begin, the checksum of a frame and the
// reading of records. What a frame looks like and what the records say is the business of whoever has a journal (broker/meta,
// broker/pop).
//
// Format: docs/formats/cometmq-folder.md and docs/formats/pop.md. All integers outside of records are big-endian.
package journalfile
