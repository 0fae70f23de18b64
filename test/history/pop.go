package history

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// popPast is the time between what the broker and what a consumer take for the end of a lease.
const popPast = 500 * time.Millisecond

// popID names a message: the sender and its number.
type popID struct {
	queue  int32
	number int64
}

// popState is what the consumers know of a message.
type popState struct {
	got   int
	acked time.Time // when the acknowledgement was answered
	until time.Time // somebody holds it until then
	lost  bool      // an acknowledgement was not answered, or after the lease: it may be either
}

// popHeld is a message that is acknowledged later, mostly over a kill.
type popHeld struct {
	id    popID
	ack   protocol.AckMessageRequestHeader
	since time.Time
	until time.Time // the lease is good until then, at least
}

// Pop pops and acknowledges and checks each delivery against what was promised.
type Pop struct {
	Topic, Group, Broker string
	Lease                time.Duration
	Target               Target

	mu sync.Mutex // guards the rest
	m  map[popID]*popState
	v  PopVerdict
}

// PopVerdict is what a load of pops says at the end.
type PopVerdict struct {
	Feature
	Held    int64  // given out although somebody held them
	Late    int64  // acknowledged with a handle of two seconds ago, mostly over an accident
	Refused int64  // acknowledgements that were answered with an error
	Problem string // the first
}

func (l *Pop) note(format string, args ...any) {
	if l.v.Problem == "" {
		l.v.Problem = fmt.Sprintf(format, args...)
	}
}

// Run is one consumer. It keeps what it holds over broken connections.
func (l *Pop) Run(ctx context.Context) {
	var held []popHeld
	for ctx.Err() == nil {
		if addr, err := l.Target(ctx); err == nil {
			if c, err := bench.Dial(ctx, nil, addr, protocol.JSON); err == nil {
				held = l.session(ctx, c, held)
				c.Close()
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (l *Pop) session(ctx context.Context, c *bench.Client, held []popHeld) []popHeld {
	for ctx.Err() == nil {
		now := time.Now()
		for len(held) > 0 && (now.Sub(held[0].since) > 2*time.Second) {
			if !l.ack(c, &held[0], true) {
				return held[1:]
			}
			held = held[1:]
		}
		list, ok := l.pop(c)
		if !ok {
			return held
		}
		for i := range list {
			if list[i].id.number%16 == 3 && len(held) < 500 {
				held = append(held, list[i])
				continue
			}
			if !l.ack(c, &list[i], false) {
				return held // the rest comes again when its time is over
			}
		}
	}
	return held
}

// pop takes messages and checks that they may come.
func (l *Pop) pop(c *bench.Client) ([]popHeld, bool) {
	asked := time.Now()
	r, err := c.Call(protocol.ReqPopMessage, &protocol.PopMessageRequestHeader{
		ConsumerGroup: l.Group, Topic: l.Topic, QueueID: -1, MaxMsgNums: 32, InvisibleTime: l.Lease.Milliseconds(), PollTime: 200,
		BornTime: asked.UnixMilli(), ExpressionType: "TAG", Expression: "*",
	}, nil)
	if err != nil {
		return nil, false
	}
	if r.Code != protocol.RespSuccess {
		return nil, r.Code == protocol.RespPollingTimeout || r.Code == protocol.RespTopicNotExist
	}
	field := func(key string) string { v, _ := r.Fields.Get(key); return string(v) }
	starts := map[string]string{}
	for s := range strings.SplitSeq(field("startOffsetInfo"), ";") {
		if f := strings.Fields(s); len(f) == 3 {
			starts[f[1]] = f[2]
		}
	}
	until := asked.Add(l.Lease)
	var out []popHeld
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := r.Body; len(rest) > 0; {
		var m record.Message
		n, err := record.Decode(rest, &m, true)
		if err != nil {
			l.note("%v", err)
			return nil, false
		}
		rest = rest[n:]
		h := popHeld{since: time.Now(), until: until, ack: protocol.AckMessageRequestHeader{
			ConsumerGroup: l.Group, Topic: l.Topic, QueueID: m.QueueID, Offset: int64(m.Index),
		}}
		h.id = popID{int32(m.Body[8]), int64(binary.BigEndian.Uint64(m.Body))}
		if ck, ok := m.Props.Get("POP_CK"); ok {
			h.ack.ExtraInfo = string(ck)
			if strings.Fields(h.ack.ExtraInfo)[4] == "1" {
				h.ack.Topic = "%RETRY%" + l.Group + "_" + l.Topic
			}
		} else {
			h.ack.ExtraInfo = fmt.Sprintf("%s %s %s %s 0 %s %d %d", starts[fmt.Sprint(m.QueueID)], field("popTime"), field("invisibleTime"),
				field("reviveQid"), l.Broker, m.QueueID, m.Index)
		}
		if l.m == nil {
			l.m = map[popID]*popState{}
		}
		st := l.m[h.id]
		if st == nil {
			st = &popState{}
			l.m[h.id] = st
		}
		if st.got++; st.got > 1 {
			l.v.Duplicates++
		}
		switch {
		case !st.acked.IsZero() && st.acked.Before(asked):
			l.v.Again++
			l.note("%v was acknowledged and came again", h.id)
		case st.until.After(time.Now().Add(popPast)):
			l.v.Held++
			l.note("%v came while somebody held it", h.id)
		}
		st.until = until
		out = append(out, h)
	}
	return out, true
}

// ack acknowledges and notes the answer.
func (l *Pop) ack(c *bench.Client, h *popHeld, late bool) bool {
	r, err := c.Call(protocol.ReqAckMessage, &h.ack, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.m[h.id]
	switch {
	case err != nil:
		st.lost = true
		return false
	case time.Now().After(h.until): // this program, or a restart of the broker, took longer than the lease
		st.lost = true
		return true
	case r.Code != protocol.RespSuccess:
		l.v.Refused++
		l.note("ack of %v: code %d %s", h.id, r.Code, r.Remark)
		return true
	}
	if st.acked.IsZero() {
		st.acked = time.Now()
		l.v.Acked++
	}
	if late {
		l.v.Late++
	}
	return true
}

// Missing counts the messages of a load that were acknowledged to their producer and have not been to the broker by a consumer.
func (l *Pop) Missing(sends *Load) (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range sends.Senders {
		for _, k := range s.Acked {
			if st := l.m[popID{s.Queue, k}]; st == nil || (st.acked.IsZero() && !st.lost) {
				n++
			}
		}
	}
	return n
}

// Verdict is what the consumers of the messages of a load saw. Both must have ended.
func (l *Pop) Verdict(sends *Load) PopVerdict {
	v := l.v
	v.Lost = l.Missing(sends)
	for id := range l.m {
		if id.number < 0 || int(id.queue) >= len(sends.Senders) || id.number >= sends.Senders[id.queue].Issued {
			v.Phantom++
		}
	}
	return v
}
