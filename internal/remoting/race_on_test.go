//go:build race

package remoting

// raceEnabled: the race detector makes sync.Pool forget buffers at random.
const raceEnabled = true
