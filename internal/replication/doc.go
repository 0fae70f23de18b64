// Package replication copies the log of a master to its slaves, byte for byte: Java's DefaultHA protocol, both sides.
//
// Where things are:
//
//	frame.go     what is on the wire
//	master.go    Master: accepts slaves, counts what they have, moves the store's replicated mark
//	sender.go    one slave as its master sees it
//	slave.go     Slave: keeps a connection to the master
//	receiver.go  from frames into the store
//
// A slave dials and says how far its log goes (8 bytes, again whenever it has more); the master answers with frames of
// offset, length and bytes of its log (12 bytes before the body). Nothing else is on the wire: no name, no checksum, no
// version. So both sides check what can be checked:
//
//   - A slave stores whole records only, each of which says where it is and has a right checksum. Its log never ends inside
//     a record, whatever it received. It reports what it has stored, with SYNC_FLUSH what it has on disk.
//   - A master sends with SYNC_FLUSH only what it has on disk itself, so a power cut never leaves its slaves ahead of it. It
//     closes the connection of a slave whose log is longer than its own (Java waits until it has passed the slave, then sends
//     on from the middle of a record), and of one that reports more than it was sent.
//   - Who speaks the protocol of the controller mode (AutoSwitchHA), which begins differently on the same port, is told apart
//     by the first bytes and refused.
//
// Differs from Java: a slave reports as soon as it is connected; Java's waits for up to 5 s.
package replication
