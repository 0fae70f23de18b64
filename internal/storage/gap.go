package storage

import "github.com/cometmq/cometmq/internal/record"

// Gap returns the first place behind what was durable when the store was opened where the log holds no sound record although later ones
// follow: what a power cut has taken. A log of one's own keeps what is behind it (Options.Copy); a store that becomes a copy again had
// better be cut there, so that its master sends what is missing.
func (s *Store) Gap() (record.Offset, bool) {
	first, ok := record.Offset(0), false
	holes, _ := s.log.Holes()
	for i := range holes {
		if at := holes[i].From; at >= s.intact && (!ok || at < first) {
			first, ok = at, true
		}
	}
	return first, ok
}
