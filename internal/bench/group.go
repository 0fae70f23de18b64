package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cometmq/cometmq/internal/protocol"
)

// Verify sends count numbered messages, consumes them through a group with committed offsets and checks that each is there
// once, in order within its queue, with the body that was sent. It is what `cometmq demo` shows.
type Verify struct {
	Produced *Report `json:"produced"`
	Consumed *Report `json:"consumed"`
	Messages int64   `json:"messages"`
	Missing  int64   `json:"missing"`
	Inverted int64   `json:"inverted"`
	Damaged  int64   `json:"damaged"`
}

// OK reports that nothing is missing, out of order or damaged.
func (v *Verify) OK() bool { return v.Missing == 0 && v.Inverted == 0 && v.Damaged == 0 }

// numbered is the body of message n of a queue: its number, and bytes that follow from it.
func numbered(dst []byte, n uint64) {
	binary.BigEndian.PutUint64(dst, n)
	for i := 8; i < len(dst); i++ {
		dst[i] = byte('a' + (n+uint64(i))%26)
	}
}

// RunVerify runs the whole round trip against o.Broker.
func RunVerify(ctx context.Context, o Options) (*Verify, error) {
	o = o.withDefaults()
	o.Size = max(o.Size, 8)
	if err := o.prepare(ctx); err != nil {
		return nil, err
	}
	c, err := Dial(ctx, o.Dial, o.Broker, o.serial())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	v := &Verify{Messages: o.Count}
	if v.Produced, err = o.sendNumbered(c); err != nil {
		return v, err
	}
	v.Consumed, err = o.consumeGroup(c, v)
	return v, err
}

func (o Options) sendNumbered(c *Client) (*Report, error) {
	ts := make([]*template, o.Queues)
	for q := range ts {
		ts[q] = newTemplate(c, o.Topic, o.Group, o.Props, q, make([]byte, o.Size), 1)
	}
	h := newHistogram()
	start := time.Now()
	sentAt := make([]time.Time, o.Window)
	var out []byte
	var sent, answered int64
	var ok int64
	for answered < o.Count {
		out = out[:0]
		for sent < o.Count && sent-answered < int64(o.Window) {
			var at int
			out, at = ts[sent%int64(o.Queues)].appendTo(out, int32(sent), time.Now().UnixMilli())
			numbered(out[at:], uint64(sent/int64(o.Queues)))
			sentAt[sent%int64(o.Window)] = time.Now()
			sent++
		}
		if len(out) > 0 {
			if err := c.write(out); err != nil {
				return nil, err
			}
		}
		for {
			r, err := c.read()
			if err != nil {
				return nil, err
			}
			if err := r.Err(); err != nil {
				return nil, fmt.Errorf("send: %w", err)
			}
			n := int64(ts[0].number(r))
			_ = h.RecordValue(time.Since(sentAt[n%int64(o.Window)]).Microseconds())
			ok++
			answered++
			if !c.pending() {
				break
			}
		}
	}
	r := &Report{Mode: "produce", Size: o.Size, Queues: o.Queues, Conns: 1, Window: o.Window}
	r.count(ok, 0, time.Since(start))
	r.latency([]*hdrhistogram.Histogram{h})
	return r, nil
}

// Heartbeat registers the connection as the only consumer of a group.
func (c *Client) Heartbeat(clientID, group, topic string) error {
	body := protocol.HeartbeatData{
		ClientID: clientID,
		Consumers: []protocol.ConsumerData{{
			GroupName: group, ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING",
			ConsumeFromWhere:    "CONSUME_FROM_FIRST_OFFSET",
			SubscriptionDataSet: []protocol.SubscriptionData{{Topic: topic, SubString: "*", ExpressionType: "TAG", SubVersion: 1}},
		}},
	}
	r, err := c.Call(protocol.ReqHeartBeat, nil, body.AppendTo(nil, false))
	if err != nil {
		return err
	}
	return r.Err()
}

func (o Options) consumeGroup(c *Client, v *Verify) (*Report, error) {
	if err := c.Heartbeat(fmt.Sprintf("verify@%d", time.Now().UnixNano()), o.Group, o.Topic); err != nil {
		return nil, fmt.Errorf("heartbeat: %w", err)
	}
	h := newHistogram()
	start := time.Now()
	var got int64
	for q := range o.Queues {
		want := uint64((o.Count - int64(q) + int64(o.Queues) - 1) / int64(o.Queues))
		at, n, err := o.checkQueue(c, q, newChecker(v, o.Size, want), h)
		if err != nil {
			return nil, err
		}
		got += n
		if err := o.commit(c, q, at); err != nil {
			return nil, err
		}
	}
	r := &Report{Mode: "consume", Size: o.Size, Queues: o.Queues, Conns: 1}
	r.count(got, 0, time.Since(start))
	r.latency([]*hdrhistogram.Histogram{h})
	return r, nil
}

// checkQueue pulls a queue to its end, and on until all numbers have come or nothing comes any more. It returns where it
// ended and how many messages it saw.
func (o Options) checkQueue(c *Client, queue int, k *checker, h *hdrhistogram.Histogram) (at, got int64, err error) {
	at, hi, err := c.Bounds(o.Topic, queue)
	if err != nil {
		return 0, 0, err
	}
	for idle := 0; (k.next < k.want || at < hi) && idle < 3; {
		t := time.Now()
		r, err := c.Call(protocol.ReqPullMessage, pullHeader(o.Topic, o.Group, queue, at, o.Pull, time.Second), nil)
		if err != nil {
			return at, got, fmt.Errorf("pull: %w", err)
		}
		n, next, err := pulled(r, at, func(_ int64, rec []byte) error {
			k.record(rec)
			return nil
		})
		if err != nil {
			return at, got, err
		}
		_ = h.RecordValue(time.Since(t).Microseconds())
		got += n
		at = next
		if idle++; n > 0 {
			idle = 0
		}
	}
	k.finish()
	return at, got, nil
}

// checker counts what is wrong with the messages of one queue.
type checker struct {
	v    *Verify
	want uint64 // numbers 0 to want-1 were sent
	next uint64
	body []byte // what should stand there
}

func newChecker(v *Verify, size int, want uint64) *checker {
	return &checker{v: v, want: want, body: make([]byte, size)}
}

// record looks at the next stored record of the queue.
func (k *checker) record(rec []byte) {
	b, err := Body(rec)
	if err != nil {
		k.v.Damaged++
		return
	}
	k.message(b)
}

// message looks at the body of the next message of the queue.
func (k *checker) message(b []byte) {
	if len(b) != len(k.body) {
		k.v.Damaged++
		return
	}
	n := binary.BigEndian.Uint64(b)
	numbered(k.body, n)
	switch {
	case n >= k.want || !bytes.Equal(k.body, b):
		k.v.Damaged++
	case n < k.next:
		k.v.Inverted++
	default:
		k.v.Missing += int64(n - k.next)
		k.next = n + 1
	}
}

// finish counts what has not come.
func (k *checker) finish() {
	k.v.Missing += int64(k.want - k.next)
	k.next = k.want
}

// commit stores the group's position and reads it back.
func (o Options) commit(c *Client, queue int, at int64) error {
	r, err := c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: o.Group, Topic: o.Topic, QueueID: int32(queue), CommitOffset: at,
	}, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	r, err = c.Call(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
		ConsumerGroup: o.Group, Topic: o.Topic, QueueID: int32(queue),
	}, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return fmt.Errorf("read the commit back: %w", err)
	}
	back, err := r.Int("offset")
	if err != nil {
		return err
	}
	if back != at {
		return fmt.Errorf("queue %d: committed %d, read back %d", queue, at, back)
	}
	return nil
}
