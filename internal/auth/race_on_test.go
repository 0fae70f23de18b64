//go:build race

package auth

// raceEnabled: allocations are not counted under the race detector, where pools drop things at random.
const raceEnabled = true
