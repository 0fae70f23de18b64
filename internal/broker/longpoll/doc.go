// Package longpoll keeps the requests that wait for a message.
//
// A parked request is one small record in a list of its queue and in a heap by deadline; there is no goroutine and no
// timer for it. The store's dispatcher calls Arrived for each message that becomes readable; whoever is parked on that
// queue at or before it, and whose filter takes its tags hash and properties, is woken. One goroutine watches the deadlines, a small
// fixed set of workers runs the Wake callbacks.
//
// Invariants:
//   - A waiter is in the table or has been handed to the workers, never both; the step from one to the other happens
//     under its shard's lock. So Wake runs exactly once.
//   - Park links the waiter first and looks at the queue's end afterwards, the dispatcher moves the end first and looks
//     for waiters afterwards: one of the two sees the other.
//   - No lock is held while a callback runs.
package longpoll
