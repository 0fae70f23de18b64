// Package mq is the core contract of CometMQ: what a message queue does, without any wire or disk type.
//
// Two things implement it: the broker in this process (internal/broker) and a remote cluster
// (internal/cluster). Every protocol is a door (internal/api/...) that translates to it. A door never
// sees a core's types and a core never sees a door's.
//
// Invariants:
//   - Strings and byte slices inside a request are borrowed: they are valid until the call returns and
//     often alias a network buffer. Whoever keeps one clones it (strings.Clone, bytes.Clone).
//   - Errors are *Error with a Kind; each door maps kinds to its own codes in one table.
//   - Offset is a byte position in the commit log, Index is a position in a queue; they never mix.
package mq
