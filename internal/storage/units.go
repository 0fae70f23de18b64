package storage

import (
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// Unit is one entry of a queue: where its message is in the log, its size, and the tag field.
type Unit = consumequeue.Unit

// Units reads the entries of a queue at from and after it, as many as are there and dst has room for.
func (s *Store) Units(q *Queue, from record.Index, dst []Unit) (int, error) {
	cq := q.queue()
	for n := 0; ; {
		k, err := cq.Read(from+record.Index(n), dst[n:])
		n += k
		switch {
		case err != nil:
			return n, fmt.Errorf("read queue %d of %s at %d: %w", q.id, q.topic, int64(from)+int64(n), err)
		case k == 0 || n == len(dst):
			return n, nil
		}
	}
}
