//go:build !cometmq_debug

package bufpool

func poison([]byte) {}
