package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// Transact sends half messages and commits each as soon as it is stored, with Window transactions in flight on each
// connection. A message counts when its commit is answered; its latency is that of both requests.
func Transact(ctx context.Context, o Options) (*Report, error) {
	o = o.withDefaults()
	o.Batch = 1
	p, r, err := o.load(ctx, (*producing).transact)
	if r == nil {
		return nil, err
	}
	r.Mode, r.Batch = "transaction", 0
	r.count(p.acked.Load(), p.failed.Load(), time.Since(p.start))
	return r, err
}

// commitOpaque is added to the number of a transaction for its commit.
const commitOpaque = 1 << 24

// transactor is the transactions of one connection: one goroutine that reads what has come, answers each half message with
// its commit, fills up the window and writes all of that at once.
type transactor struct {
	p     *producing
	c     *Client
	ts    []*template
	k     int
	begun []time.Time // by number
	free  []int32
	out   []byte
	h     *hdrhistogram.Histogram
}

func (p *producing) transact(c *Client, id int, body []byte, h *hdrhistogram.Histogram) error {
	t := &transactor{p: p, c: c, k: id, h: h, begun: make([]time.Time, p.o.Window)}
	props := "TRAN_MSG\x01true\x02PGROUP\x01" + p.o.Group + "\x02" + p.o.Props
	for q := range p.o.Queues {
		t.ts = append(t.ts, newHalfTemplate(c, p.o.Topic, p.o.Group, props, q, body))
	}
	for i := range p.o.Window {
		t.free = append(t.free, int32(i))
	}
	for more := true; ; {
		wait := time.Duration(0)
		if more {
			more, wait = t.begin()
		}
		if err := c.write(t.out); err != nil {
			return err
		}
		t.out = t.out[:0]
		if len(t.free) == p.o.Window {
			if !more {
				return nil
			}
			<-time.After(wait) // nothing is in flight, the rate is kept
			continue
		}
		if err := t.answers(); err != nil {
			return err
		}
	}
}

// begin sends half messages until the window is full. wait: how long to rest when the rate does not allow any.
func (t *transactor) begin() (more bool, wait time.Duration) {
	now := time.Now()
	n, more := t.p.take(len(t.free), now)
	if len(t.free) == 0 {
		return true, 0
	}
	if !more {
		return false, 0
	}
	for range n {
		i := t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
		t.begun[i] = now
		t.k++
		t.out, _ = t.ts[t.k%len(t.ts)].appendTo(t.out, i, now.UnixMilli())
	}
	return true, 100 * time.Microsecond
}

// answers reads what has come, at least one answer.
func (t *transactor) answers() error {
	for {
		r, err := t.c.read()
		if err != nil {
			return err
		}
		i, committed := r.opaque, false
		if i >= commitOpaque && i < commitOpaque+int32(len(t.begun)) {
			i, committed = i-commitOpaque, true
		} else {
			i = t.ts[0].number(r)
		}
		if i < 0 || int(i) >= len(t.begun) {
			return fmt.Errorf("answer to an unknown request %d", r.opaque)
		}
		switch {
		case r.Code != protocol.RespSuccess:
			t.p.failed.Add(1)
			t.free = append(t.free, i)
		case committed:
			_ = t.h.RecordValue(time.Since(t.begun[i]).Microseconds())
			t.p.acked.Add(1)
			t.free = append(t.free, i)
		default:
			if err := t.commit(i, r); err != nil {
				return err
			}
		}
		if !t.c.pending() {
			return nil
		}
	}
}

// commit queues the commit of the half message that r has acknowledged.
func (t *transactor) commit(i int32, r *Reply) error {
	index, err := r.Int("queueOffset")
	if err != nil {
		return err
	}
	id, _ := r.Fields.Get("msgId")
	_, off, err := record.ParseOffsetID(string(id))
	if err != nil {
		return err
	}
	h := protocol.EndTransactionRequestHeader{
		Topic: t.p.o.Topic, ProducerGroup: t.p.o.Group, TranStateTableOffset: index, CommitLogOffset: int64(off),
		CommitOrRollback: record.SysFlagCommit, MsgID: "bench",
	}
	t.out = t.c.begin(t.out, protocol.ReqEndTransaction, commitOpaque+i, &h, 0)
	return nil
}
