// Package timerlog keeps, on disk and in Java's formats, which timers are due in which second: the timer wheel, the timer log and
// their checkpoint (storage spec 11).
//
// The wheel is an array of slots, one for each second (timerPrecisionMs) of two weeks. A slot names the newest of its units in the
// log, and each unit the one before it. A unit names a message in the commit log. So adding a timer is one append and one slot, and
// nothing is kept in memory for it.
//
//	<root>/timerwheel         wheel.go
//	<root>/timerlog/FILE20    log.go, unit.go
//	<root>/config/timercheck  check.go
//
// Invariants:
//   - A slot on disk refers only to units that are on disk; the caller syncs the log before it writes the wheel, and both before the
//     checkpoint.
//   - Positions in the log never repeat, and a unit refers backwards only: a damaged file cannot make a walk endless.
//   - Files are made when the first timer comes. A broker without timers has none.
//
// A set of files is for one goroutine, except for Log.Sync and Pages.Write, which may run beside the others. The caller is
// internal/broker/delay.
package timerlog
