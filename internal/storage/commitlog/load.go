package commitlog

import (
	"sync/atomic"
	"time"
)

// load measures how busy the disk is, for those who decide whether more is taken.
type load struct {
	writing atomic.Int64 // when the write under way began, ns; 0 = none
	syncing atomic.Int64 // when the sync under way began, ns; 0 = none

	// A sync is taken for a latency, which the small ones show, and a time that grows with its bytes, which the large ones
	// show. Older ones count less. All but rate belong to who has the sync token.
	latency, bytes, seconds float64
	rate                    atomic.Int64 // bytes a second, 0 = not known
}

const (
	smallSync = 16 << 10 // bytes
	largeSync = 64 << 10
	syncDecay = 0.8 // what counts of the syncs before
)

// synced notes the end of a sync.
func (m *load) synced(bytes int64, took time.Duration) {
	m.syncing.Store(0)
	switch d := took.Seconds(); {
	case d <= 0:
	case bytes < smallSync && m.latency == 0:
		m.latency = d
	case bytes < smallSync:
		m.latency = m.latency*syncDecay + d*(1-syncDecay)
	case bytes >= largeSync:
		m.bytes = m.bytes*syncDecay + float64(bytes)
		m.seconds = m.seconds*syncDecay + max(d-m.latency, d/4)
		m.rate.Store(int64(m.bytes / m.seconds))
	}
}

// Load is how busy the disk is.
type Load struct {
	Unsynced int64         // bytes that are appended and not durable
	SyncRate int64         // bytes a second that the disk makes durable, 0 = not known
	Writing  time.Duration // age of the write under way, 0 = none
	Syncing  time.Duration // age of the sync under way, 0 = none
}

// Load returns the figures of now.
func (l *Log) Load(now time.Time) Load {
	m := &l.load
	at := now.UnixNano()
	return Load{
		Unsynced: max(l.appended.Load()-l.flushed.Load(), 0), SyncRate: m.rate.Load(),
		Writing: since(m.writing.Load(), at), Syncing: since(m.syncing.Load(), at),
	}
}

func since(begin, now int64) time.Duration {
	if begin == 0 {
		return 0
	}
	return max(time.Duration(now-begin), 0)
}
