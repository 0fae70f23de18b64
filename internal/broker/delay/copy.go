package delay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// maxQueue bounds the queue that a stored message may name.
const maxQueue = 1 << 16

// halfTopic takes no delivery: such a message would come back as an undecided one.
const halfTopic = "RMQ_SYS_TRANS_HALF_TOPIC"

var errHalf = errors.New("the real topic is that of half messages")

// target returns where a kept message was sent to.
func target(p record.Props) (topic string, queue int32, err error) {
	name, ok := p.Get(record.PropRealTopic)
	switch {
	case !ok || len(name) > record.MaxTopicV1*2:
		return "", 0, fmt.Errorf("property %s is missing or too long", record.PropRealTopic)
	case string(name) == halfTopic:
		return "", 0, errHalf
	}
	text, _ := p.Get(record.PropRealQueueID)
	q, err := strconv.ParseInt(bytesview.String(text), 10, 32)
	if err != nil || q < 0 || q >= maxQueue {
		return "", 0, fmt.Errorf("property %s = %q is not the number of a queue", record.PropRealQueueID, text)
	}
	return bytesview.String(name), int32(q), nil
}

// addCopy adds m, a kept message, to the batch as it is delivered: the same bytes under its real topic and queue.
func addCopy(store *storage.Store, b *storage.Batch, m *record.Message) (*storage.Queue, error) {
	topic, queue, err := target(m.Props)
	if err != nil {
		return nil, err
	}
	q := store.Queue(topic, queue)
	m.Topic, m.Magic, m.PreparedOffset = bytesview.Bytes(q.Topic()), 0, 0
	_, err = b.Add(q, m)
	return q, err
}

// Pauses between attempts to store.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// Append stores a batch and returns the end of the log behind it, 0 when it is stored somewhere else.
type Append func(ctx context.Context, b *storage.Batch) (mq.Offset, error)

// toStore is the usual Append.
func toStore(store *storage.Store) Append {
	return func(_ context.Context, b *storage.Batch) (mq.Offset, error) {
		if err := store.Append(b); err != nil {
			return 0, err
		}
		return b.End(), nil
	}
}

// appendAll stores b and does not give up before ctx ends. After a failure some of b may be stored; it is stored again then.
func appendAll(ctx context.Context, put Append, b *storage.Batch, log *slog.Logger, failures func()) (end mq.Offset, ok bool) {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		end, err := put(ctx, b)
		if err == nil {
			return end, true
		}
		if ctx.Err() != nil {
			return 0, false
		}
		failures()
		if pause == firstRetry || pause == lastRetry {
			log.Error("delayed messages cannot be delivered, trying again", "messages", b.Len(), "err", err)
		}
		if !sleep(ctx, pause+rand.N(pause/4)) {
			return 0, false
		}
	}
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
