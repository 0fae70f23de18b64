// Package crash proves what is promised about accidents: the real binary killed at random under load, power cuts on a
// simulated disk, and torn, zeroed or flipped bytes in every file of a store. `make crash` runs it; its counts go to
// docs/crash-table.md with `make crash-table`.
package crash
