//go:build invariants

package bufpool

// poison overwrites a released buffer, so that a use after Release shows up as nonsense.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
