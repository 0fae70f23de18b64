// Package replication copies the log of a master to its slaves, byte for byte, by both of Java's protocols: DefaultHA of brokers
// with a role of their own, and AutoSwitchHA of brokers whose roles a controller gives.
//
// Where things are:
//
//	server.go        accepts slaves                                    both protocols
//	sender.go        one slave as its master sees it                   both
//	slave.go         keeps a connection to the master                  both
//	receiver.go      from frames into the store                        both
//	frame.go         what is on the wire                               DefaultHA
//	master.go, copies.go  Master: counts what the slaves have          DefaultHA
//	switchwire.go    what is on the wire                               AutoSwitchHA
//	switchmaster.go  SwitchMaster: labels what it sends with epochs    AutoSwitchHA
//	sets.go          the sync-state set, the confirmed offset          AutoSwitchHA
//	switchslave.go   SwitchSlave: finds what the logs have in common   AutoSwitchHA
//	epochs.go        the file of epochs                                AutoSwitchHA
//
// With DefaultHA a slave dials and says how far its log goes (8 bytes, again whenever it has more); the master answers with
// frames of offset, length and bytes of its log (12 bytes before the body). Nothing else is on the wire: no name, no checksum, no
// version. AutoSwitchHA begins with a handshake, in which the master tells its epochs, and each frame says its epoch and what is
// confirmed. Both sides check what can be checked:
//
//   - A slave stores whole records only, each of which says where it is and has a right checksum. Its log never ends inside
//     a record, whatever it received. It reports what it has stored, with SYNC_FLUSH what it has on disk.
//   - A master sends with SYNC_FLUSH only what it has on disk itself, so a power cut never leaves its slaves ahead of it. It
//     closes the connection of a slave whose log is longer than its own (Java waits until it has passed the slave, then sends
//     on from the middle of a record), and of one that reports more than it was sent.
//   - Who speaks the other protocol on the same port is told apart by the first bytes and refused.
//   - A slave in controller mode writes down an epoch before the first byte of it. It changes nothing of its log that its master
//     does not have: it ends with a TruncateError or a DivergedError, and its owner decides.
//   - A master in controller mode counts a message as replicated when everybody has it who is in the sync-state set, or may be
//     in it as far as it knows; see sets.go. After Fence it counts nothing any more.
//
// Differs from Java: a slave reports as soon as it is connected; Java's waits for up to 5 s.
//
// Differs from Java: an epoch in which nothing was written gives way to the next one; Java's master does not write the new one
// down and labels its messages with the old one, so that a slave's rest of the old one is taken for the same.
package replication
