package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cometmq/cometmq/internal/protocol"
)

// Options describe a load.
type Options struct {
	Broker string // address
	// BrokerName is part of the handles of popped messages, default broker-a.
	BrokerName string
	Topic      string
	Topics     int // more than 1: so many topics, Topic-0, Topic-1, ..., with at most ten queues each
	Queues     int
	Group      string
	Size       int // bytes of a body
	Props      string
	Conns      int
	Window     int // requests in flight on each connection
	Batch      int // messages of a send request
	Count      int64
	Duration   time.Duration // used when Count is 0
	Rate       float64       // messages a second, 0 = as many as go
	Shed       bool          // produce with Rate: what finds no room in the windows is given up, not sent late
	Pull       int           // most messages of a pull
	SQL        string        // Consume: a SQL92 expression that chooses messages, "" for all
	JSON       bool          // JSON headers instead of binary ones
	Create     bool          // create the topic first
	Dial       Dialer
}

func (o Options) withDefaults() Options {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.Queues, 8)
	def(&o.Size, 1024)
	def(&o.Conns, 4)
	def(&o.Window, 256)
	def(&o.Batch, 1)
	def(&o.Pull, 32)
	if o.Topics > 1 {
		o.Queues = min(o.Queues, 10)
	}
	if o.Topic == "" {
		o.Topic = "BenchTopic"
	}
	if o.BrokerName == "" {
		o.BrokerName = "broker-a"
	}
	if o.Group == "" {
		o.Group = "bench_group"
	}
	if o.Duration <= 0 {
		o.Duration = 10 * time.Second
	}
	return o
}

func (o Options) serial() protocol.Serial {
	if o.JSON {
		return protocol.JSON
	}
	return protocol.Binary
}

func (o Options) prepare(ctx context.Context) error {
	if !o.Create {
		return nil
	}
	c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return err
	}
	defer c.Close()
	return c.CreateTopic(o.Topic, o.Queues)
}

// Produce sends with Window requests in flight on each connection.
func Produce(ctx context.Context, o Options) (*Report, error) {
	o = o.withDefaults()
	p, r, err := o.load(ctx, func(p *producing, c *Client, id int, body []byte, h *hdrhistogram.Histogram) error {
		return p.connection(ctx, c, id, body, h)
	})
	if r == nil {
		return nil, err
	}
	r.Mode = "produce"
	r.count(p.acked.Load(), p.failed.Load(), time.Duration(p.last.Load()-p.start.UnixNano()))
	r.Shed = p.shed.Load()
	return r, err
}

// load runs work on each connection at once. Without a report nothing ran; with one the error is what the connections met.
func (o Options) load(ctx context.Context, work func(p *producing, c *Client, id int, body []byte, h *hdrhistogram.Histogram) error) (*producing, *Report, error) {
	if err := o.prepare(ctx); err != nil {
		return nil, nil, err
	}
	cs, err := o.dialAll(ctx)
	if err != nil {
		return nil, nil, err
	}
	body := filler(o.Size)
	p := &producing{o: o, start: time.Now()}
	p.end = p.start.Add(o.Duration)
	var wg sync.WaitGroup
	errs := make([]error, o.Conns)
	hists := make([]*hdrhistogram.Histogram, o.Conns)
	for i, c := range cs {
		hists[i] = newHistogram()
		wg.Go(func() {
			defer c.Close()
			errs[i] = work(p, c, i, body, hists[i])
		})
	}
	wg.Wait()
	r := &Report{Size: o.Size, Queues: o.Queues, Conns: o.Conns, Window: o.Window, Batch: o.Batch, Rate: o.Rate}
	r.latency(hists)
	return p, r, errors.Join(errs...)
}

// dialAll opens the connections, all or none.
func (o Options) dialAll(ctx context.Context) ([]*Client, error) {
	cs := make([]*Client, 0, o.Conns)
	for range o.Conns {
		c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
		if err != nil {
			for _, c := range cs {
				_ = c.Close()
			}
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

type producing struct {
	o             Options
	start, end    time.Time
	issued        atomic.Int64
	acked, failed atomic.Int64
	shed          atomic.Int64
	last          atomic.Int64
}

// take claims up to n requests to send now: all that the count leaves, or what the rate has made due.
func (p *producing) take(n int, now time.Time) (int, bool) {
	o := &p.o
	if o.Count == 0 && now.After(p.end) {
		return 0, false
	}
	for {
		done := p.issued.Load()
		k := int64(n * o.Batch)
		if o.Count > 0 {
			if done >= o.Count {
				return 0, false
			}
			k = min(k, o.Count-done)
		}
		if o.Rate > 0 {
			due := int64(now.Sub(p.start).Seconds() * o.Rate)
			if o.Shed && due-done > k {
				if p.issued.CompareAndSwap(done, due-k) {
					p.shed.Add(due - k - done)
				}
				continue
			}
			if k = min(k, due-done); k <= 0 {
				return 0, true
			}
		}
		reqs := max(1, k/int64(o.Batch))
		if p.issued.CompareAndSwap(done, done+reqs*int64(o.Batch)) {
			return int(reqs), true
		}
	}
}

// starts remembers when the requests in flight were due; its size bounds the window.
const starts = 1 << 16

// connection runs a sender in this goroutine and a receiver beside it.
func (p *producing) connection(ctx context.Context, c *Client, id int, body []byte, h *hdrhistogram.Histogram) error {
	ctx, cancel := context.WithCancel(ctx) // the receiver ends the sender, too
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Now()) })
	defer stop()
	due := make([]atomic.Int64, starts)
	room := make(chan struct{}, 1)
	var sent, answered atomic.Int64
	var closing atomic.Bool
	ts := newTemplates(c, &p.o, body)
	rc := c.receiver()
	var wg sync.WaitGroup
	var recvErr error
	wg.Go(func() {
		for !closing.Load() || answered.Load() < sent.Load() {
			r, err := rc.read()
			if err != nil {
				if !closing.Load() || answered.Load() < sent.Load() {
					recvErr = err
					cancel()
				}
				return
			}
			now := time.Now().UnixNano()
			took := (now - due[ts[0].number(r)%starts].Load()) / 1000
			if r.Code == protocol.RespSuccess {
				p.acked.Add(int64(p.o.Batch))
				_ = h.RecordValue(took)
			} else {
				p.failed.Add(int64(p.o.Batch))
				if !p.o.Shed { // how fast a refusal comes says nothing about what was accepted
					_ = h.RecordValue(took)
				}
			}
			p.last.Store(now)
			answered.Add(1)
			select {
			case room <- struct{}{}:
			default:
			}
		}
	})
	err := p.send(ctx, c, id, ts, due, room, &sent, &answered)
	closing.Store(true)
	if answered.Load() == sent.Load() {
		_ = c.conn.SetReadDeadline(time.Now())
	} else {
		_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	wg.Wait()
	return errors.Join(err, recvErr)
}

// sendBurst is how many requests go out with one write at most.
const sendBurst = 64

func (p *producing) send(ctx context.Context, c *Client, id int, ts []*template, due []atomic.Int64, room <-chan struct{}, sent, answered *atomic.Int64) error {
	var out []byte
	var op int32
	k := id
	pace := time.NewTimer(0)
	defer pace.Stop()
	for ctx.Err() == nil {
		free := p.o.Window - int(sent.Load()-answered.Load())
		if free < max(1, p.o.Window/4) {
			select {
			case <-room:
			case <-ctx.Done():
			}
			continue
		}
		now := time.Now()
		n, more := p.take(min(free, sendBurst), now)
		if !more {
			return nil
		}
		if n == 0 {
			pace.Reset(100 * time.Microsecond)
			select {
			case <-pace.C:
			case <-ctx.Done():
			}
			continue
		}
		out = out[:0]
		for range n {
			op++
			at := now.UnixNano()
			if p.o.Rate > 0 { // open loop: late sends count from when they were due
				at = p.start.UnixNano() + int64(float64(p.issued.Load())/p.o.Rate*1e9)
				at = min(at, now.UnixNano())
			}
			due[op%starts].Store(at)
			k++
			var bodyAt int
			t := ts[k%len(ts)]
			out, bodyAt = t.appendTo(out, op, now.UnixMilli())
			if p.o.Topics > 1 {
				t.setQueue(out, bodyAt, k/len(ts)%p.o.Queues)
			}
		}
		sent.Add(int64(n))
		if err := c.write(out); err != nil {
			return err
		}
	}
	return nil
}
