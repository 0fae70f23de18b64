// Package lite knows which clients have subscribed to which lite topics and who has news in them.
//
// A lite topic is one of very many small topics below a parent topic. Its messages are those of the parent that name it, and it is
// read as a light queue (Java's LMQ) of its own. A client tells the broker its lite topics; whenever one of them gets a message, one
// client of each subscribing group gets an event, and its next pop reads the lite topics that it has events of. So a pop costs
// what is new, however many lite topics the client has.
//
// Where things are:
//
//	names.go   how light queues of lite topics are called, which broker a lite topic belongs to
//	lite.go    Table: subscriptions
//	events.go  events: who gets them, what happens to those of clients that do not ask, or that have too many
//
// Invariants:
//   - A message in a lite topic with a subscriber leads to an event of one client of each group, or a full dispatch is due, in which
//     the client's lite topics are compared with the group's positions. An event that is lost costs time, never a message.
//   - Nothing here calls out under the lock: what is to be done, waking clients, telling those that lost a lite topic, setting
//     positions, is returned as Effects.
package lite
