// Package pop is the state of consumers that pop: which messages are handed out, to be acknowledged within a time, by
// which handle. There is one Shard for each group, topic and queue; it knows indexes and times, never messages: reading
// and answering is the broker's.
//
// Where things are:
//
//	engine.go   Options, Open, Run, Close, finding shards
//	shard.go    one queue of one group: hand out, acknowledge, change, take back; window.go, due.go what it is made of
//	order.go    the same for ordered groups: one batch at a time; orderjson.go Java's file about it
//	clock.go    wakes shards when messages become visible again
//	journal.go  the file that survives a kill; replay.go reading it and making it short
//	debts.go    what a Java broker had handed out before: its revive topic
//
// Invariants:
//   - The committed position of a group (the floor) never passes a message that is not acknowledged, was not moved to the
//     retry topic and is wanted. So losing the journal can hand messages out twice, never lose one.
//   - A message is handed out to one handle at a time. Its handle is good until it is handed out again, also after its
//     invisible time and over kill -9 and restart: handing out and acknowledging is in the journal before it is answered.
//   - A position that somebody else commits (an operator's reset, a Java broker that ran meanwhile) is always followed.
//   - Nothing here allocates per message once a queue is in use.
//
// The behaviour towards clients is that of the Java broker (gRPC spec 9), the design that of section 10 of it: a message
// that was not acknowledged is handed out again from where it is stored instead of being copied to a retry topic.
package pop
