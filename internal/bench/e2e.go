package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// EndToEnd sends at a fixed rate to waiting consumers and measures from the moment a message was due to its arrival.
func EndToEnd(ctx context.Context, o Options) (*Report, error) {
	o = o.withDefaults()
	o.Size, o.Batch = max(o.Size, 16), 1
	if o.Rate <= 0 {
		o.Rate = 1000
	}
	if err := o.prepare(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c0, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return nil, err
	}
	defer c0.Close()
	h := newHistogram()
	var mu sync.Mutex
	var got atomic.Int64
	total := int64(o.Rate * o.Duration.Seconds())
	all := make(chan struct{})
	warm := time.Now().Add(2 * time.Second).UnixNano()
	var wg sync.WaitGroup
	errs := make([]error, o.Queues)
	for q := range o.Queues {
		_, hi, err := c0.Bounds(o.Topic, q)
		if err != nil {
			cancel()
			wg.Wait()
			return nil, err
		}
		wg.Go(func() {
			err := o.follow(ctx, q, hi, func(due int64) {
				now := time.Now().UnixNano()
				if due > warm {
					mu.Lock()
					_ = h.RecordValue((now - due) / 1000)
					mu.Unlock()
				}
				if got.Add(1) == total {
					close(all)
				}
			})
			if !errors.Is(err, context.Canceled) { // how it ends when all is well
				errs[q] = err
			}
		})
	}
	start := time.Now()
	sendErr := o.sendStamped(ctx, start, total)
	select {
	case <-all:
	case <-time.After(10 * time.Second):
		sendErr = errors.Join(sendErr, errors.New("not everything that was sent arrived within 10 s"))
	case <-ctx.Done():
	}
	d := time.Since(start)
	cancel()
	wg.Wait()
	r := &Report{Mode: "e2e", Size: o.Size, Queues: o.Queues, Conns: 1, Rate: o.Rate}
	r.count(got.Load(), total-got.Load(), d)
	r.latency([]*hdrhistogram.Histogram{h})
	return r, errors.Join(sendErr, errors.Join(errs...))
}

// pullWait is how long the broker may hold an empty pull back.
const pullWait = 5 * time.Second

// follow long-polls one queue from at on and hands the stamp at the start of each body to seen.
func (o Options) follow(ctx context.Context, queue int, at int64, seen func(due int64)) error {
	c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		r, err := c.Call(11, pullHeader(o.Topic, o.Group, queue, at, o.Pull, pullWait), nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		_, next, err := pulled(r, at, func(_ int64, rec []byte) error {
			body, bad := Body(rec)
			if bad == nil && len(body) >= 8 {
				seen(int64(binary.BigEndian.Uint64(body)))
			}
			return bad
		})
		if err != nil {
			return err
		}
		at = next
	}
}

// sendStamped sends total messages at the rate, each body starting with the time at which it was due.
func (o Options) sendStamped(ctx context.Context, start time.Time, total int64) error {
	c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return err
	}
	defer c.Close()
	rc := c.receiver()
	var wg sync.WaitGroup
	var recvErr error
	wg.Go(func() {
		for range total {
			r, bad := rc.read()
			if bad == nil {
				bad = r.Err()
			}
			if bad != nil {
				recvErr = bad
				return
			}
		}
	})
	ts := make([]*template, o.Queues)
	for q := range ts {
		ts[q] = newTemplate(c, o.Topic, o.Group, o.Props, q, filler(o.Size), 1)
	}
	per := float64(time.Second) / o.Rate
	tick := newPace()
	defer tick.stop()
	var out []byte
	for n := int64(0); n < total && ctx.Err() == nil; tick.wait() {
		due := min(int64(float64(time.Since(start))/per)+1, total) // the first one at once
		if due <= n {
			continue
		}
		out = out[:0]
		for ; n < due; n++ {
			var at int
			out, at = ts[int(n)%len(ts)].appendTo(out, int32(n+1), time.Now().UnixMilli())
			binary.BigEndian.PutUint64(out[at:], uint64(start.UnixNano()+int64(float64(n)*per)))
		}
		if err = c.write(out); err != nil {
			break
		}
	}
	if err != nil {
		_ = c.conn.SetDeadline(time.Now()) // nobody will answer what was not sent
	}
	wg.Wait()
	return errors.Join(err, recvErr)
}
