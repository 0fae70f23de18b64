// Package clients is the register of who is connected: which connections produce and consume for which groups, and what
// each consumer group subscribes to (Java's ProducerManager and ConsumerManager).
//
// Invariants:
//   - A member of a group is a connection, not a client id: a client that connects again is a new member, and the end of
//     the old connection removes the old one. Members lists each client id once.
//   - A group's subscriptions are those of its last full heartbeat; members that disagree flip them to and fro, as in
//     Java.
//   - Members are told about changes outside the lock, through Peer, which must not block.
//
// A consumer group lives from its first heartbeat to the end of its last connection. Strings in requests are borrowed
// and are cloned when kept.
package clients
