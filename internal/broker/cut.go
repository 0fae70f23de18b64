package broker

import (
	"errors"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
)

// How far back deliveries go when the end of the log was cut: a copy that was cut is stored again if its original was due, or its half
// message stored, at most so long before the place of the cut. Copies that are still in the log are found there and not made again.
const (
	cutDue  = time.Minute
	cutHalf = 10 * time.Minute // an undecided half message is stored anew at each check, so none that matters is older
)

// forgetCut makes the tables speak of nothing that was cut from the end of the log (storage.Options.TruncateTo), and lets what was delivered
// into that part be delivered again. Without it messages that come to the indexes of those that have gone would be skipped.
//
// It may be done again, and is when the process ends before Store.CutDone.
func (b *Broker) forgetCut() error {
	_, ms, ok := b.store.Cut()
	if !ok {
		return nil
	}
	positions := b.meta.Offsets.Clamp(b.queueEnd)
	levels := 0
	for i := range b.o.DelayLevels {
		q := b.store.Queue(delay.Topic, int32(i))
		to, err := firstDue(b.store, q, ms-cutDue.Milliseconds())
		if err != nil {
			return err
		}
		if b.meta.Delays.Back(int32(i+1), min(to, b.queueEnd(delay.Topic, int32(i)))) {
			levels++
		}
	}
	for _, topic := range []string{meta.TopicHalf, meta.TopicOpHalf} {
		if at, known := b.meta.Offsets.Query(meta.GroupTrans, topic, 0); known {
			to := b.store.IndexAtTime(b.store.Queue(topic, 0), ms-cutHalf.Milliseconds(), false)
			b.meta.Offsets.Commit(meta.GroupTrans, topic, 0, min(at, to))
		}
	}
	b.o.Log.Info("the tables forget what was cut from the log", "positionsBack", positions, "levelsBack", levels)
	return errors.Join(b.meta.Offsets.Sync(), b.meta.Delays.Fold(),
		delay.Cut(b.o.FS, b.o.Dir, b.queueEnd(delay.TimerTopic, 0), ms-cutDue.Milliseconds()))
}

// firstDue returns the index of the first message in the queue of a delay level that is due at ms or later.
func firstDue(s *storage.Store, q *storage.Queue, ms int64) (mq.Index, error) {
	lo, hi, err := q.Bounds()
	if err != nil {
		return 0, err
	}
	for lo < hi {
		mid := (lo + hi) / 2
		var e [1]storage.Entry
		n, _, err := s.Entries(q, mid, e[:])
		if err != nil {
			return 0, err
		}
		if n > 0 && e[0].Offset >= 0 && e[0].Tags < ms {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}
