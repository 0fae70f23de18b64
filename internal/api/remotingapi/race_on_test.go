//go:build race

package remotingapi

// raceEnabled: the race detector allocates.
const raceEnabled = true
