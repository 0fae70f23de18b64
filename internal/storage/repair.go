package storage

import (
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
)

// Spot is a message that a queue has and the log cannot give: what is there is damaged.
type Spot struct {
	Topic  string
	Queue  int32
	Index  record.Index
	Offset record.Offset
	Size   int // of the record, as the queue says
}

// damaged notes a message that cannot be read, and reports whether it is worth waiting for: somebody tries to get it from
// elsewhere.
func (s *Store) damaged(q *Queue, off record.Offset, size int32, idx record.Index, err error) (wait bool) {
	bad, ok := errors.AsType[*commitlog.CorruptError](err)
	if s.o.OnDamage == nil || !ok || bad.Offset != off {
		return false
	}
	return s.o.OnDamage(Spot{Topic: q.topic, Queue: q.id, Index: idx, Offset: off, Size: int(size)})
}

// errOtherMessage is what Repair refuses.
var errOtherMessage = errors.New("it is another message")

// Repair puts rec, which another replica has at x, where the log of this one is damaged, durably.
func (s *Store) Repair(x *Spot, rec []byte) error {
	var m record.Message
	if len(rec) != x.Size {
		return fmt.Errorf("repair the message at %d: %w: of %d bytes, not %d", x.Offset, errOtherMessage, len(rec), x.Size)
	}
	if _, err := record.Decode(rec, &m, true); err != nil {
		return fmt.Errorf("repair the message at %d: %w", x.Offset, err)
	}
	if m.Offset != x.Offset || string(m.Topic) != x.Topic || m.QueueID != x.Queue || m.Index != x.Index {
		return fmt.Errorf("repair the message at %d: %w: %s/%d index %d at %d", x.Offset, errOtherMessage, m.Topic, m.QueueID, m.Index, m.Offset)
	}
	if err := s.log.Repair(x.Offset, rec); err != nil {
		return err
	}
	s.stats.repaired.Add(1)
	return nil
}
