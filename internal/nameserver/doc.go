// Package nameserver is the name server: it knows which broker has which topic and tells clients.
//
// The route table (type routes) is a pure state machine: no clock, no socket, no lock inside; every method takes what
// it needs and the time. Server puts one lock around it, answers the request codes of the remoting protocol (one file
// for a code or a family of codes, number first) and scans for silent brokers. All state is in memory and comes back
// with the next registration of each broker; only the key-value table is on disk, in Java's kvConfig.json.
//
// Invariants:
//   - A topic's queue entry always belongs to a group in the table, and a group in the table has at least one address.
//   - A broker is gone when it says so, when its connection closes, or when it was silent for its timeout; what it
//     brought into the table goes with it, before the request that removed it is answered.
//   - The bytes of a route answer may be cached, but never outlive a change of anything they were made from.
//
// It behaves as Apache RocketMQ 5.5.0's name server; each difference is marked with "Differs from Java".
package nameserver
