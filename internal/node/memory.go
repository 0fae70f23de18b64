package node

// hotBytes is how much of the end of the log counts as in memory: percent of the machine's memory, 0 (the broker's own
// default) when that is not known.
func hotBytes(memory int64, percent int) int64 {
	if memory > 0 && percent == 0 {
		return 1 // nothing does
	}
	return memory / 100 * int64(percent)
}
