package node

// hotBytes is how much of the end of the log counts as in memory: percent of the machine's memory, 0 (the broker's own
// default) when that is not known.
func hotBytes(memory int64, percent int) int64 { return memory / 100 * int64(percent) }
