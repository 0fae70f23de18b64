package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// cursor is one queue that is read, with one pull in flight as the official clients have.
type cursor struct {
	queue  int
	at, to int64
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
	cs := make([]*cursor, o.Queues)
	for q := range cs {
		lo, hi, err := c0.Bounds(o.Topic, q)
		if err != nil {
			return nil, err
		}
		cs[q] = &cursor{queue: q, at: lo, to: hi}
		total += hi - lo
	}
	if total == 0 {
		return nil, fmt.Errorf("topic %s is empty", o.Topic)
	}
	conns := min(o.Conns, o.Queues)
	hists := make([]*hdrhistogram.Histogram, conns)
	errs := make([]error, conns)
	var got, bytes, last atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for i := range conns {
		var mine []*cursor
		for q := i; q < len(cs); q += conns {
			mine = append(mine, cs[q])
		}
		hists[i] = newHistogram()
		wg.Go(func() {
			errs[i] = o.drain(ctx, mine, hists[i], func(n, b int64) {
				got.Add(n)
				bytes.Add(b)
				last.Store(time.Now().UnixNano())
			})
		})
	}
	wg.Wait()
	r := &Report{Mode: "consume", Size: o.Size, Queues: o.Queues, Conns: conns}
	r.count(got.Load(), 0, time.Duration(last.Load()-start.UnixNano()))
	r.MBPerSec = float64(bytes.Load()) / 1e6 / max(r.Seconds, 1e-9)
	r.latency(hists)
	return r, errors.Join(errs...)
}

func (o Options) drain(ctx context.Context, cs []*cursor, h *hdrhistogram.Histogram, seen func(n, bytes int64)) error {
	c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return err
	}
	defer c.Close()
	inFlight := map[int32]*cursor{}
	sentAt := map[int32]time.Time{}
	ready := cs
	var out []byte
	for {
		out = out[:0]
		now := time.Now()
		for _, w := range ready {
			if w.at >= w.to {
				continue
			}
			c.opaque++
			out = c.begin(out, protocol.ReqPullMessage, c.opaque, pullHeader(o.Topic, o.Group, w.queue, w.at, o.Pull, 0), 0)
			inFlight[c.opaque], sentAt[c.opaque] = w, now
		}
		if len(inFlight) == 0 {
			return nil
		}
		if err := c.write(out); err != nil {
			return err
		}
		r, err := c.read()
		if err != nil {
			return err
		}
		w := inFlight[r.opaque]
		_ = h.RecordValue(time.Since(sentAt[r.opaque]).Microseconds())
		delete(inFlight, r.opaque)
		delete(sentAt, r.opaque)
		n, next, err := pulled(r, w.at, nil)
		if err != nil {
			return err
		}
		w.at = next
		seen(n, int64(len(r.Body)))
		ready = []*cursor{w}
	}
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
