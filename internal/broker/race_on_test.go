//go:build race

package broker_test

// raceEnabled: the race detector makes sync.Pool drop things, so allocations cannot be counted.
const raceEnabled = true
