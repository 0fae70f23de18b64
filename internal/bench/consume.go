package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// cursor is one queue that is read, with one pull in flight as the official clients have.
type cursor struct {
	at, to int64
	head   *protocol.PullMessageRequestHeader
	sent   time.Time // of the pull in flight
}

// drained is what one connection has read.
type drained struct {
	n, bytes int64
	last     time.Time
	h        *hdrhistogram.Histogram
	err      error
}

// Consume pulls every queue from its start to where it ended when the run began.
func Consume(ctx context.Context, o Options) (*Report, error) {
	o = o.withDefaults()
	c0, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return nil, err
	}
	defer c0.Close()
	var total int64
	conns := min(o.Conns, o.Queues)
	cs := make([][]*cursor, conns)
	for q := range o.Queues {
		lo, hi, err := c0.Bounds(o.Topic, q)
		if err != nil {
			return nil, err
		}
		head := pullHeader(o.Topic, o.Group, q, lo, o.Pull, 0)
		if o.SQL != "" {
			head.ExpressionType, head.Subscription = "SQL92", o.SQL
		}
		cs[q%conns] = append(cs[q%conns], &cursor{at: lo, to: hi, head: head})
		total += hi - lo
	}
	if total == 0 {
		return nil, fmt.Errorf("topic %s is empty", o.Topic)
	}
	ds := make([]drained, conns)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range ds {
		ds[i].h = newHistogram()
		wg.Go(func() { ds[i].err = o.drain(ctx, cs[i], &ds[i]) })
	}
	wg.Wait()
	var all drained
	hists := make([]*hdrhistogram.Histogram, conns)
	for i, d := range ds {
		all.n, all.bytes, all.err, hists[i] = all.n+d.n, all.bytes+d.bytes, errors.Join(all.err, d.err), d.h
		if d.last.After(all.last) {
			all.last = d.last
		}
	}
	r := &Report{Mode: "consume", Size: o.Size, Queues: o.Queues, Conns: conns}
	r.count(all.n, 0, all.last.Sub(start))
	r.MBPerSec = float64(all.bytes) / 1e6 / max(r.Seconds, 1e-9)
	r.latency(hists)
	return r, all.err
}

// drain reads the queues of one connection. The answers that have come together are followed by one write.
func (o Options) drain(ctx context.Context, cs []*cursor, d *drained) error {
	c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return err
	}
	defer c.Close()
	var out []byte
	inFlight := 0
	ask := func(id int, now time.Time) {
		w := cs[id]
		if w.at >= w.to {
			return
		}
		w.sent, w.head.QueueOffset = now, w.at
		out = c.begin(out, protocol.ReqPullMessage, int32(id), w.head, 0)
		inFlight++
	}
	now := time.Now()
	for id := range cs {
		ask(id, now)
	}
	for inFlight > 0 {
		if len(out) > 0 {
			if err := c.write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		for more := true; more; more = c.pending() {
			r, err := c.read()
			if err != nil {
				return err
			}
			if r.opaque < 0 || int(r.opaque) >= len(cs) {
				return fmt.Errorf("an answer to request %d, which nobody sent", r.opaque)
			}
			now = time.Now()
			w := cs[r.opaque]
			inFlight--
			_ = d.h.RecordValue(now.Sub(w.sent).Microseconds())
			n, next, err := pulled(r, w.at, nil)
			if err != nil {
				return err
			}
			if o.SQL != "" { // the broker has looked further than the last message that it gives
				if next, err = r.Int("nextBeginOffset"); err != nil {
					return err
				}
			}
			w.at = next
			d.n += n
			d.bytes += int64(len(r.Body))
			d.last = now
			ask(int(r.opaque), now)
		}
	}
	return nil
}

// suspend asks the broker to hold an empty pull back.
const (
	flagSuspend      = 2
	flagSubscription = 4
)

func pullHeader(topic, group string, queue int, at int64, most int, wait time.Duration) *protocol.PullMessageRequestHeader {
	h := &protocol.PullMessageRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: int32(queue), QueueOffset: at, MaxMsgNums: int32(most),
		SysFlag: flagSubscription, Subscription: "*", ExpressionType: "TAG", RequestSource: -1,
	}
	if wait > 0 {
		h.SysFlag |= flagSuspend
		h.SuspendTimeoutMillis = wait.Milliseconds()
	}
	return h
}

// pulled takes a pull's answer apart: how many messages, and where to go on. visit sees each record when given.
func pulled(r *Reply, at int64, visit func(index int64, rec []byte) error) (n, next int64, err error) {
	switch r.Code {
	case protocol.RespSuccess:
	case protocol.RespPullNotFound, protocol.RespPullRetryImmediately, protocol.RespPullOffsetMoved:
		next, err = r.Int("nextBeginOffset")
		return 0, next, err
	default:
		return 0, at, r.Err()
	}
	next = at
	for b := r.Body; len(b) > 0; n++ {
		if len(b) < 28 {
			return n, next, errors.New("the body of a pull is cut")
		}
		size := int(binary.BigEndian.Uint32(b))
		if size < 28 || size > len(b) {
			return n, next, errors.New("a record of a pull has a wrong length")
		}
		index := int64(binary.BigEndian.Uint64(b[20:]))
		next = index + 1
		if visit != nil {
			if err := visit(index, b[:size]); err != nil {
				return n, next, err
			}
		}
		b = b[size:]
	}
	return n, next, nil
}

// Body returns the body of a stored record.
func Body(rec []byte) ([]byte, error) {
	var m record.Message
	if _, err := record.Decode(rec, &m, true); err != nil {
		return nil, err
	}
	return m.Body, nil
}
