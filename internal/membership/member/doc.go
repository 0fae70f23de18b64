// Package member is a broker's side of controllers (controller mode): it finds the controllers' leader, gets this broker its
// identity in the set, sends heartbeats, asks who is master, and tells the Engine which role to play.
//
// It does what Java's ReplicasManager does, with the same requests in the same order and the same files, so that brokers of both
// kinds live in one set under controllers of either kind.
//
// Invariants:
//   - Roles come only from answers of a controller to a question of this broker. A notification (code 1008) makes it ask; it
//     decides nothing itself, so that a late, doubled or forged one does no harm.
//   - The newest master epoch wins, an older answer is dropped, and two answers of one epoch that name different masters are
//     both held against the controllers: nothing changes and it is logged.
//   - The Engine is called by one goroutine (but Fence by any), again and again until it has done what was asked for.
//   - A master has the right to acknowledge until a lease ends: controllerHeartBeatTimeoutMills after it SENT the last
//     question that the controllers' leader answered with "you are the master, in your epoch", and not longer after it sent
//     the last heartbeat that this leader took. A controller elects another master for lack of heartbeats not before that
//     time after it GOT the last one, so that the lease has always ended by then, however long answers take and whatever the
//     wall clock does: the lease is counted on the monotonic clock.
//   - brokerIdentity is written, durably, before brokerIdentity-temp is removed: after a crash between any two steps the broker has
//     the identity that the controllers gave it, or can ask for the same one again.
//   - A broker whose log is behind what it had when it was last registered does not register while the controllers count it as in
//     sync: it cannot be elected then. What it had is in a file of its own, next to the identity.
//
// Differs from Java: there a master that lost its controllers goes on for ever; messages that it accepts alone after another master
// was elected are cut off when it comes back. docs/operations/high-availability.md says what each setting can lose.
package member
