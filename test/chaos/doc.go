// Package chaos puts whole deployments through accidents: real processes on loopback, ours or Java's, with a relay on each
// line between them, faults by signals and by the relay, loads whose history is judged. `make chaos` runs a short version of
// some rows against ours; `make loss-table` runs all rows against both and writes docs/loss-table.md from what it saw.
//
//	rows_*_test.go   the rows, by deployment
//	chaos_test.go    runs the rows that were asked for
//	table_test.go    figures, kept in a file, and the document
//	world_test.go    processes and lines of one deployment
//	disk_*.go        a file system of its own that fills up, stalls or loses power (Linux, root)
//	clock_test.go    a binary with another clock
//	testdata/shim.c  the same, and other addresses, for a JVM
package chaos
