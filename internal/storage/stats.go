package storage

import (
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// complainEvery is how often damage found by reads is logged.
const complainEvery = time.Second

type counters struct {
	damaged   atomic.Int64
	repaired  atomic.Int64
	complains atomic.Int64 // ns of the last one
}

// mayComplain reports whether it is time for another line in the log.
func (c *counters) mayComplain(now time.Time) bool {
	last := c.complains.Load()
	return now.UnixNano()-last >= int64(complainEvery) && c.complains.CompareAndSwap(last, now.UnixNano())
}

// Stats is a snapshot of the store's figures.
type Stats struct {
	MinOffset, Appended, Flushed, Dispatched, Replicated record.Offset
	LastStoreTime                                        int64 // ms
	LogFiles                                             int
	Queues                                               int   // handles
	OpenQueueFiles                                       int   // in the cache
	DirtyQueueBytes                                      int64 // entries that are in no file yet
	BlankUnits                                           int64 // written into gaps
	Damaged                                              int64 // records and queue entries that reads left out
	Repaired                                             int64 // damaged records that were taken from another replica
	Holes                                                int64 // damaged places in the log
	DiskUsed                                             int   // percent, -1 unknown
}

// Stats returns the figures of now.
func (s *Store) Stats() Stats {
	cq := s.cqs.Stats()
	_, holes := s.log.Holes()
	st := Stats{
		MinOffset: s.log.Min(), Appended: s.log.Appended(), Flushed: s.log.Flushed(), Dispatched: s.Dispatched(),
		Replicated: s.log.Replicated(), LastStoreTime: s.log.LastStoreTime(), LogFiles: len(s.log.Files()),
		Queues: cq.Queues, OpenQueueFiles: cq.OpenFiles, DirtyQueueBytes: cq.Dirty, BlankUnits: cq.Blanks,
		Damaged: s.stats.damaged.Load(), Repaired: s.stats.repaired.Load(), Holes: holes, DiskUsed: -1,
	}
	if p, err := used(s.fs, s.o.CommitLogDir); err == nil {
		st.DiskUsed = p
	}
	return st
}

// Corruption is what is known about damage since the store was opened.
type Corruption struct {
	Holes   []Hole // the first ones
	Count   int64  // all holes
	Damaged int64  // records and queue entries that reads left out
}

// Corruptions returns the damage found since the store was opened.
func (s *Store) Corruptions() Corruption {
	list, n := s.log.Holes()
	return Corruption{Holes: list, Count: n, Damaged: s.stats.damaged.Load()}
}
