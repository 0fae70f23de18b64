// Package controller decides which broker of a set is master. It is Java's controller on the wire (request codes 1001 to
// 1013 and 904) with a log of its own between the controllers (raftlog).
//
// What the controllers agree on is a State: sets of brokers with ids, master, epochs and sync-state set. It changes by
// Commands alone, in State.Apply, which is a pure function: no clock, no network, no raft. What a decision needs to know
// about the world, who is alive and with how long a log, the leader puts into the command (View).
//
// Invariants:
//   - A set has one master for each master epoch, and epochs grow, also over a clean of the set.
//   - A master is elected from the sync-state set, unless nobody of it is alive and enableElectUncleanMaster is on, or the
//     set has no such set yet (its first election).
//   - A broker that has begun lately is elected only when the others that may have more have said so since (liveTable.unheard).
//   - An id is given to one broker only, for ever.
//
// # When a master is replaced
//
// A master is replaced when its last connection to the leader was closed (kill -9 closes it at once, and so does an orderly
// end: that is its goodbye), or when it has been silent for its lease, the timeout that it sends with each heartbeat. The
// lease counts from its last heartbeat here or from the moment at which this controller began to lead, whichever is later:
// until then another leader may have confirmed it.
//
// Silence alone is safe: a CometMQ master that no controller has confirmed for its lease stops to acknowledge. A closed
// connection is no proof of death: a link that is cut between master and controller closes it too, and then the old master
// may go on until its lease ends, beside the new one. What protects acknowledged messages in that time is the epoch:
//   - The new master is in the sync-state set, so it has all that was acknowledged with allAckInSyncStateSet=true until it
//     left the old one.
//   - A replica that has learned epoch E+1 takes no frames of epoch E and acknowledges none. The new master is such a
//     replica, and it is in the sync-state set of the old one, which cannot shrink: that needs 1001, and the controller
//     refuses the old epoch (2000, 2002). So with allAckInSyncStateSet=true and minInSyncReplicas >= 2 nothing gets
//     acknowledged under E any more.
//   - Without those settings a master acknowledges alone, and what it acknowledges between the election and its own
//     notice of it is lost, as with Java's. Its notice comes by 1008, by its next 1004, or when its lease ends.
//
// # Reads
//
// The leader answers what changes nothing from its own state. One that has lost its majority stops to be the leader within
// half a second, and what it says meanwhile carries old epochs, which brokers refuse. isProcessReadEvent=true lets each read
// go through the log.
package controller
