// Package broker is the message broker in this process: it implements mq.Service and mq.Admin on a storage.Store.
//
// Where things are:
//
//	broker.go   Options, Open, Run, Close
//	send.go     Send: admission and storing; props.go the properties the broker adds; create.go topics made by a send
//	pull.go     Pull and its refusals; pull.go long polling
//	offsets.go  committed positions; query.go searches by time, key and offset
//	members.go  heartbeats, locks, assignment
//	topics.go, groups.go   what operators change
//	runtime.go  per topic, queue and group state of the hot path; counters.go, info.go figures
//	names.go    legal names and Java's texts about them; refusals.go errors that several files use
//	divert.go   messages that are kept until something happens; delays.go delay levels
//	delay/      delivers them when they are due
//	clients/    who is connected; longpoll/ parked requests; rebalance/ allocation and queue locks;
//	meta/       topics, groups and offsets as tables on disk
//
// Invariants:
//   - Everything that arrived together is appended together, in order, with one write; a message that is refused does
//     not hold up the others.
//   - Once a topic is in use nothing on the send and pull path allocates or takes an exclusive lock of ours.
//   - A topic made by a send is on disk and announced to the name servers before the send is answered.
//   - Codes and remarks are Java's (remoting spec 4.4 to 4.10) because clients act on the codes and people search for
//     the texts.
package broker
