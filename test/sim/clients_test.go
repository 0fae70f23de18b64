package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// producer sends numbered messages to one queue. A number is sent once; what is not answered when the connection breaks
// stays unknown.
type producer struct {
	issued int64
	acked  []int64
}

// consumer reads one queue and commits.
type consumer struct {
	at        map[int64]int64 // index -> number that was seen there
	committed int64           // offset that was acknowledged and must still be there
	next      int64           // index to read next
}

func (w *world) dial(ctx context.Context) (*bench.Client, error) {
	return bench.Dial(ctx, w.net.Host(clientHost).Dial, *w.addr.Load(), protocol.Binary)
}

func (w *world) client(addr string) *bench.Client {
	w.Helper()
	c, err := bench.Dial(w.Context(), w.net.Host(clientHost).Dial, addr, protocol.JSON)
	w.must(err)
	return c
}

// followRoutes asks the name server every 30 s as clients do. Without an answer they keep what they have.
func (w *world) followRoutes(ctx context.Context) {
	for w.sleep(ctx, 30*time.Second) {
		if r, err := w.route(); err == nil && len(r.Write) > 0 {
			w.addr.Store(&r.Write[0].Addr)
		}
	}
}

// sleep returns false when ctx has ended.
func (w *world) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (w *world) produce(ctx context.Context, q int) {
	for w.sleep(ctx, 100*time.Millisecond) {
		if c, err := w.dial(ctx); err == nil {
			w.sendAll(ctx, c, q)
			_ = c.Close()
		}
	}
}

// sendAll sends four messages at a time until the connection breaks.
func (w *world) sendAll(ctx context.Context, c *bench.Client, q int) {
	p := &w.producers[q]
	body := make([]byte, 64)
	for ctx.Err() == nil {
		w.mu.Lock()
		first := p.issued
		p.issued += 4
		w.mu.Unlock()
		for n := first; n < first+4; n++ {
			binary.BigEndian.PutUint64(body, uint64(n))
			if c.Start(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
				ProducerGroup: "sim", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: int32(q),
				BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1, Properties: "KEYS\x01k\x02",
			}, body, int32(n)) != nil {
				return
			}
		}
		if c.FlushOut() != nil {
			return
		}
		for range 4 {
			r, n, err := c.Next(10 * time.Second)
			if err != nil {
				return
			}
			if r.Code == protocol.RespSuccess {
				w.mu.Lock()
				p.acked = append(p.acked, int64(n))
				w.mu.Unlock()
			}
		}
		w.sleep(ctx, w.pace)
	}
}

// consume reads queue q by long polling and commits what it has read.
func (w *world) consume(ctx context.Context, q int) {
	for w.sleep(ctx, 100*time.Millisecond) {
		c, err := w.dial(ctx)
		if err != nil {
			continue
		}
		if err := w.consumeAll(ctx, c, q); err != nil && ctx.Err() == nil {
			if _, wrong := errors.AsType[*invariantError](err); wrong {
				w.Errorf("queue %d: %v", q, err)
			}
		}
		_ = c.Close()
	}
}

// invariantError is a broken promise, in contrast to a broken connection.
type invariantError struct{ text string }

func (e *invariantError) Error() string { return e.text }

func broken(format string, args ...any) error { return &invariantError{fmt.Sprintf(format, args...)} }

// consumeAll goes on at the committed offset until the connection breaks.
func (w *world) consumeAll(ctx context.Context, c *bench.Client, q int) error {
	k := &w.consumers[q]
	if err := c.Heartbeat(fmt.Sprintf("sim-consumer-%d", q), group, topic); err != nil {
		return err
	}
	w.mu.Lock()
	least := k.committed
	w.mu.Unlock()
	at, err := w.offset(c, q)
	var code *bench.CodeError
	switch {
	case errors.As(err, &code) && code.Code == protocol.RespQueryNotFound:
		at = 0
	case err != nil:
		return fmt.Errorf("query offset: %w", err)
	}
	w.mu.Lock()
	if k.committed < least {
		least = k.committed // a power cut meanwhile
	}
	w.mu.Unlock()
	if at < least {
		return broken("the committed offset moved back to %d, %d was acknowledged", at, least)
	}
	for ctx.Err() == nil {
		next, err := w.pull(c, q, at)
		if err != nil {
			return fmt.Errorf("pull at %d: %w", at, err)
		}
		if next == at {
			continue
		}
		at = next
		w.mu.Lock()
		cuts := w.cuts
		w.mu.Unlock()
		if err := w.commit(c, q, at); err != nil {
			return fmt.Errorf("commit %d: %w", at, err)
		}
		w.mu.Lock()
		if k.next = at; cuts == w.cuts {
			k.committed = at
		}
		w.mu.Unlock()
	}
	return nil
}

// pull reads some messages from at on and returns where to go on.
func (w *world) pull(c *bench.Client, q int, at int64) (int64, error) {
	const suspend, subscription = 2, 4
	err := c.Start(protocol.ReqPullMessage, &protocol.PullMessageRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: int32(q), QueueOffset: at, MaxMsgNums: 32, SysFlag: suspend | subscription,
		Subscription: "*", ExpressionType: "TAG", SuspendTimeoutMillis: 15_000, RequestSource: -1,
	}, nil, 1)
	if err == nil {
		err = c.FlushOut()
	}
	if err != nil {
		return at, err
	}
	r, _, err := c.Next(40 * time.Second)
	if err != nil {
		return at, err
	}
	switch r.Code {
	case protocol.RespSuccess:
	case protocol.RespPullNotFound, protocol.RespPullRetryImmediately, protocol.RespPullOffsetMoved:
		next, err := r.Int("nextBeginOffset")
		if err == nil && next < at {
			err = broken("a pull at %d was sent back to %d (code %d %s)", at, next, r.Code, r.Remark)
		}
		return next, err
	default:
		return at, r.Err()
	}
	for p := r.Body; len(p) > 0; {
		var m record.Message
		n, err := record.Decode(p, &m, true)
		if err != nil {
			return at, broken("a pull at %d has bad bytes: %v", at, err)
		}
		if err := w.saw(q, int64(m.Index), int64(binary.BigEndian.Uint64(m.Body))); err != nil {
			return at, err
		}
		p = p[n:]
	}
	return r.Int("nextBeginOffset")
}

// saw notes that the consumer of q got a number at an index.
func (w *world) saw(q int, index, number int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := &w.consumers[q]
	if had, ok := k.at[index]; ok && had != number {
		return broken("index %d holds message %d, a consumer saw %d there", index, number, had)
	}
	if number < 0 || number >= w.producers[q].issued {
		return broken("message %d at index %d was never sent", number, index)
	}
	k.at[index] = number
	return nil
}

func (w *world) commit(c *bench.Client, q int, at int64) error {
	r, err := c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: int32(q), CommitOffset: at,
	}, nil)
	if err != nil {
		return err
	}
	return r.Err()
}

func (w *world) offset(c *bench.Client, q int) (int64, error) {
	r, err := c.Call(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: int32(q),
	}, nil)
	if err != nil {
		return 0, err
	}
	if err := r.Err(); err != nil {
		return 0, err
	}
	return r.Int("offset")
}

// verify reads all queues from their begin and compares them with what was promised.
func (w *world) verify() {
	w.Helper()
	c := w.client(brokerAddr)
	for q := range queues {
		w.verifyQueue(c, q)
	}
	w.must(c.Close())
}

func (w *world) verifyQueue(c *bench.Client, q int) {
	w.Helper()
	p, k := &w.producers[q], &w.consumers[q]
	answered := map[int64]bool{}
	for _, n := range p.acked {
		answered[n] = true
	}
	begin, end, err := c.Bounds(topic, q)
	w.must(err)
	seen := map[int64]bool{}
	last := int64(-1)
	w.must(c.ReadAll(topic, q, func(index int64, rec []byte) error {
		var m record.Message
		if _, err := record.Decode(rec, &m, true); err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint64(m.Body))
		switch {
		case seen[n]:
			w.Errorf("queue %d: message %d is there twice", q, n)
		case n < last && answered[n]:
			w.Errorf("queue %d: message %d after %d", q, n, last)
		}
		if err := w.saw(q, index, n); err != nil {
			w.Errorf("queue %d: %v", q, err)
		}
		seen[n] = true
		if answered[n] { // what a broken connection held back may arrive behind what came over the next one
			last = max(last, n)
		}
		return nil
	}))
	for index, n := range k.at {
		seen[n] = seen[n] || index < begin // deleted by age, after it was seen
		if index >= begin && index < end && !seen[n] {
			w.Errorf("queue %d: message %d at index %d was seen by a consumer and is gone", q, n, index)
		}
	}
	for _, n := range p.acked {
		if !seen[n] {
			w.Errorf("queue %d: message %d was acknowledged and is lost (queue is %d..%d)", q, n, begin, end)
		}
	}
	if at, err := w.offset(c, q); k.committed > 0 && (err != nil || at < k.committed) {
		w.Errorf("queue %d: offset %d %v, %d was acknowledged", q, at, err, k.committed)
	}
}
