package storage

import "time"

// Manual does what Run does, step by step and only when it is told to. It is for simulations: with it a run of a seed is
// the same each time. It must not be used beside Run.
type Manual struct{ s *Store }

// Manual returns the background work of s.
func (s *Store) Manual() Manual { return Manual{s} }

// Dispatch brings queues and index up to what may be visible.
func (m Manual) Dispatch() error { return m.s.dispatchAll() }

// Light writes what waits in memory and a mark that outlives the process.
func (m Manual) Light() error { return m.s.light() }

// Thorough makes log, queues and index durable and writes a mark that outlives a power cut.
func (m Manual) Thorough() error { return m.s.thorough() }

// Clean does one round of retention.
func (m Manual) Clean(now time.Time) error { return m.s.clean(now) }

// Prepare makes the next log file in advance.
func (m Manual) Prepare() error { return m.s.log.Prepare() }
