package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

const (
	popInvisible = 60_000 // ms
	popWait      = 500    // ms that a pop waits for messages
	popsInFlight = 16     // on each connection, at most
	ackOpaque    = 1 << 20
)

// Pop pops messages of all queues and acknowledges each by itself, with several pops of up to Pull messages in flight on each
// connection, until nothing is left or the time is over. A message counts when its acknowledgement is answered; the latency is
// that from asking for it until then. Headers are JSON: Java cannot read the codes of pops in binary ones.
func Pop(ctx context.Context, o Options) (*Report, error) {
	o.JSON = true
	o = o.withDefaults()
	o.Window, o.Pull = min(o.Window, popsInFlight), min(o.Pull, 32)
	cs, err := o.dialAll(ctx)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	ps := make([]*popping, o.Conns)
	errs := make([]error, o.Conns)
	start := time.Now()
	for i, c := range cs {
		ps[i] = &popping{o: o, c: c, h: newHistogram(), end: start.Add(o.Duration), pops: make([]popFlight, o.Window)}
		wg.Go(func() {
			defer c.Close()
			errs[i] = ps[i].run()
		})
	}
	wg.Wait()
	var acked, failed int64
	last := start
	hists := make([]*hdrhistogram.Histogram, o.Conns)
	for i, p := range ps {
		acked, failed, hists[i] = acked+p.acked, failed+p.failed, p.h
		if p.last.After(last) {
			last = p.last
		}
	}
	r := &Report{Mode: "pop", Size: o.Size, Queues: o.Queues, Conns: o.Conns, Window: o.Window}
	r.count(acked, failed, last.Sub(start))
	r.latency(hists)
	return r, errors.Join(errs...)
}

// popFlight is one pop and the acknowledgements of what it got.
type popFlight struct {
	sent time.Time
	open int // answers that are due
}

// popping is one connection: it reads what has come, answers each message with its acknowledgement, and writes all of that at once.
type popping struct {
	o             Options
	c             *Client
	h             *hdrhistogram.Histogram
	end           time.Time
	pops          []popFlight
	out           []byte
	handle        []byte
	starts        []string // by queue
	open          int      // pops in flight
	empty         int      // pops in a row that found nothing
	acked, failed int64
	last          time.Time
}

func (p *popping) run() error {
	for i := range p.pops {
		p.pop(i)
	}
	for p.open > 0 {
		if err := p.c.write(p.out); err != nil {
			return err
		}
		p.out = p.out[:0]
		for {
			r, err := p.c.read()
			if err == nil {
				err = p.answer(r)
			}
			if err != nil {
				return err
			}
			if !p.c.pending() {
				break
			}
		}
	}
	return nil
}

// pop asks for messages in place i, unless the time is over or nothing is left.
func (p *popping) pop(i int) {
	now := time.Now()
	if now.After(p.end) || p.empty >= len(p.pops) {
		return
	}
	h := protocol.PopMessageRequestHeader{
		ConsumerGroup: p.o.Group, Topic: p.o.Topic, QueueID: -1, MaxMsgNums: int32(p.o.Pull), InvisibleTime: popInvisible,
		PollTime: popWait, BornTime: now.UnixMilli(), ExpressionType: "TAG", Expression: "*",
	}
	p.out = p.c.begin(p.out, protocol.ReqPopMessage, int32(i), &h, 0)
	p.pops[i] = popFlight{sent: now, open: 1}
	p.open++
}

func (p *popping) answer(r *Reply) error {
	i := int(r.opaque % ackOpaque)
	if i >= len(p.pops) {
		return fmt.Errorf("answer to an unknown request %d", r.opaque)
	}
	f := &p.pops[i]
	f.open--
	switch {
	case r.opaque >= ackOpaque && r.Code == protocol.RespSuccess:
		now := time.Now()
		_ = p.h.RecordValue(now.Sub(f.sent).Microseconds())
		p.acked++
		p.last = now
	case r.opaque >= ackOpaque:
		p.failed++
	case r.Code == protocol.RespSuccess:
		p.empty = 0
		if err := p.ackAll(i, r); err != nil {
			return err
		}
	case r.Code == protocol.RespPollingTimeout, r.Code == protocol.RespPollingFull:
		p.empty++
	default:
		return r.Err()
	}
	if f.open == 0 {
		p.open--
		p.pop(i)
	}
	return nil
}

// ackAll acknowledges what a pop got.
func (p *popping) ackAll(i int, r *Reply) error {
	get := func(key string) string {
		v, _ := r.Fields.Get(key)
		return bytesview.String(v)
	}
	popTime, invisible, revive := get("popTime"), get("invisibleTime"), get("reviveQid")
	for s := range strings.SplitSeq(get("startOffsetInfo"), ";") {
		var flag, queue, start string
		var ok bool
		if flag, s, ok = strings.Cut(s, " "); !ok || flag != "0" {
			continue
		}
		if queue, start, ok = strings.Cut(s, " "); !ok {
			continue
		}
		for q := number(queue); q >= int64(len(p.starts)); {
			p.starts = append(p.starts, "")
		}
		p.starts[number(queue)] = start
	}
	var m record.Message
	for rest := r.Body; len(rest) > 0; {
		n, err := record.Decode(rest, &m, false)
		if err != nil {
			return err
		}
		rest = rest[n:]
		h := protocol.AckMessageRequestHeader{ConsumerGroup: p.o.Group, Topic: p.o.Topic, QueueID: m.QueueID, Offset: int64(m.Index)}
		if ck, ok := m.Props.Get(record.PropPopCheckpoint); ok {
			h.ExtraInfo = bytesview.String(ck)
			if f := strings.Fields(h.ExtraInfo); len(f) > 4 && f[4] != "0" {
				h.Topic = "%RETRY%" + p.o.Group + map[string]string{"1": "_", "2": "+"}[f[4]] + p.o.Topic
			}
		} else {
			if int(m.QueueID) >= len(p.starts) || m.QueueID < 0 {
				return fmt.Errorf("queue %d has no start", m.QueueID)
			}
			p.handle = fmt.Appendf(p.handle[:0], "%s %s %s %s 0 %s %d %d", p.starts[m.QueueID], popTime, invisible, revive, p.o.BrokerName, m.QueueID, m.Index)
			h.ExtraInfo = bytesview.String(p.handle)
		}
		p.out = p.c.begin(p.out, protocol.ReqAckMessage, int32(ackOpaque+i), &h, 0)
		p.pops[i].open++
	}
	return nil
}

// number reads a small number, 0 when it is none.
func number(s string) (n int64) {
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<16 {
			return 0
		}
		n = 10*n + int64(c-'0')
	}
	return n
}
