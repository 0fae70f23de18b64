// Package cluster is the operator's contract (mq.Cluster) over the wire: name servers, brokers and controllers, CometMQ's or Java's,
// by address, each with one connection that all calls share.
//
// Invariants:
//   - Every call has a deadline: that of its context, and Options.Timeout at most. None is repeated by itself: whoever repeats
//     a change knows that it is one.
//   - Every error is an *mq.CallError, which names the address, the step and the time. What the server answered is an *mq.Error in it.
//   - What a server sends is checked: lengths and JSON by protocol, positions and records by whoever decodes them.
package cluster
