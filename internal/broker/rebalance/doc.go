// Package rebalance decides which consumer of a group gets which queue, and keeps the queue locks of orderly consumers.
//
// Allocate is a pure function: every broker of a topic must compute the same answer from the same lists. Locks is the
// table behind LOCK_BATCH_MQ: a lock belongs to a client id, lives for a minute and is renewed by asking again; it does
// not survive a restart, clients simply ask again.
package rebalance
