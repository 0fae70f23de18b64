// Package delay delivers messages later: those with one of the delay levels and those with a time of their own.
//
// Where things are: levels.go the delay levels as configured, machine.go what delivers them. timer.go what delivers timers:
// timertake.go from the timer topic into wheel and log, timerload.go from there into memory (heap.go), timersave.go checkpoints. copy.go is
// what both kinds of delivery share.
//
// Invariants:
//   - Nothing is delivered before its time, and what is due is delivered at once: one timer waits for the earliest due time, there
//     is no polling.
//   - A message whose delivery cannot be stored is tried again for ever, in order. One that cannot be read, because the log
//     has lost it, is reported and left out.
//   - Progress is kept in Java's files. It never says on a disk that something was delivered which that disk does not have;
//     so after a crash messages may be delivered again, but none is lost.
//
// Behaviour and formats: storage spec 10 and 11, remoting spec 4.12 and 4.13. The caller is the broker package.
package delay
