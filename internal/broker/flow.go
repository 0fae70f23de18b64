package broker

import (
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// waiting bounds what waits: the bytes of messages that wait to be appended, and by the disk's figures how long it would
// take until a message is safe.
//
// Nothing waits in queues before that. A connection that sends faster than its messages are appended is not read any more
// until they are, which costs no message and is not refused. Refused is what would have to wait longer than the operator
// allows, with Java's codes and the prefixes of its remarks, so that producers try another broker; the remark says what is
// behind and by how much.
type waiting struct{ bytes atomic.Int64 }

// gate refuses everything while the broker does not take messages yet or has too much to write. It adds size to what
// waits unless it refuses.
func (b *Broker) gate(now time.Time, size int64) *mq.Error {
	if refusal := b.notYet(now); refusal != nil {
		return refusal
	}
	if refusal := b.tooSlow(now); refusal != nil {
		return refusal
	}
	if n := b.waiting.bytes.Add(size); n > b.o.MaxWaiting+size { // one batch alone is always taken
		b.waiting.bytes.Add(-size)
		return mq.Errorf(mq.KindBusy, "[PC_SYNCHRONIZED]broker busy, start flow control for a while, append queue: %d bytes, limit %d",
			n-size, b.o.MaxWaiting)
	}
	return nil
}

// tooSlow refuses what would wait too long for the disk.
func (b *Broker) tooSlow(now time.Time) *mq.Error {
	if b.o.NoFastFailure {
		return nil
	}
	l := b.store.Load(now)
	if l.Writing > b.o.BusyTimeout {
		return mq.Errorf(mq.KindBusy, "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: %dms, size of queue: %d"+
			", append queue: a write to the commit log takes longer than %s", l.Writing.Milliseconds(), b.waiting.bytes.Load(), b.o.BusyTimeout)
	}
	if !b.o.FlushSync {
		return nil
	}
	const enough = "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: %dms, size of queue: %d, flush lag: "
	switch {
	case l.Syncing > b.o.BusyTimeout:
		return mq.Errorf(mq.KindBusy, enough+"a flush takes longer than %s", l.Syncing.Milliseconds(), l.Unsynced, b.o.BusyTimeout)
	case l.Unsynced > b.o.MaxWaiting:
		return mq.Errorf(mq.KindBusy, enough+"limit %d bytes", l.Syncing.Milliseconds(), l.Unsynced, b.o.MaxWaiting)
	case l.SyncRate > 0 && l.Unsynced > minLag && l.Syncing > b.o.MaxWait/40: // a sudden burst is no backlog yet
		// Half of the limit, since some take twice as long as the mean.
		wait := time.Duration(float64(l.Unsynced) / float64(l.SyncRate) * float64(time.Second))
		if wait > b.o.MaxWait/2 {
			return mq.Errorf(mq.KindBusy, enough+"the disk takes %d bytes/s, limit %s", wait.Milliseconds(), l.Unsynced, l.SyncRate, b.o.MaxWait)
		}
	}
	return nil
}

// minLag is what may always wait for a flush: a thousand sends in flight are a load, not an overload, and a disk that
// stalls for a moment makes its rate look lower than it is.
const minLag = 1 << 20
