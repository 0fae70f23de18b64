package grpcapi

import "github.com/cometmq/cometmq/internal/record"

// bucket is Guava's Hashing.consistentHash of a key's Java hash: which of n queues the messages of a group go to. It must be Java's, or the
// order within a group is lost when a cluster is moved.
func bucket(key string, n int32) int32 {
	state := uint64(int64(record.HashCode(key)))
	at := int32(0)
	for {
		state = state*2862933555777941757 + 1
		next := int64(float64(at+1) / (float64(int32(state>>33)+1) / 0x1p31))
		if next < 0 || next >= int64(n) {
			return at
		}
		at = int32(next)
	}
}
