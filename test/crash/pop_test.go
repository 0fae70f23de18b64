package crash

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

const (
	popTopic  = "popcrash"
	popGroup  = "popcrash_g"
	popQueues = 4
	popLease  = 8 * time.Second
	popPast   = 500 * time.Millisecond // between what the broker and what the test take for the end of a lease
)

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
	lost  bool      // an acknowledgement was not answered: it may be either
}

// popHeld is a message that is acknowledged later, mostly over a kill.
type popHeld struct {
	id    popID
	ack   protocol.AckMessageRequestHeader
	since time.Time
}

// popLoad pops and acknowledges and checks each delivery against what was promised.
type popLoad struct {
	addr string

	mu sync.Mutex // guards the rest
	m  map[popID]*popState
	v  featureVerdict
	// early counts messages that were given out although somebody held them; late those that were acknowledged over a kill.
	early, late, refused int64
	problem              string
}

func (l *popLoad) note(format string, args ...any) {
	if l.problem == "" {
		l.problem = fmt.Sprintf(format, args...)
	}
}

// run is one consumer. It keeps what it holds over broken connections.
func (l *popLoad) run(ctx context.Context) {
	var held []popHeld
	for ctx.Err() == nil {
		c, err := bench.Dial(ctx, nil, l.addr, protocol.JSON)
		if err == nil {
			held = l.session(ctx, c, held)
			c.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (l *popLoad) session(ctx context.Context, c *bench.Client, held []popHeld) []popHeld {
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
func (l *popLoad) pop(c *bench.Client) ([]popHeld, bool) {
	asked := time.Now()
	r, err := c.Call(protocol.ReqPopMessage, &protocol.PopMessageRequestHeader{
		ConsumerGroup: popGroup, Topic: popTopic, QueueID: -1, MaxMsgNums: 32, InvisibleTime: popLease.Milliseconds(), PollTime: 200,
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
	until := asked.Add(popLease)
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
		h := popHeld{since: time.Now(), ack: protocol.AckMessageRequestHeader{
			ConsumerGroup: popGroup, Topic: popTopic, QueueID: m.QueueID, Offset: int64(m.Index),
		}}
		h.id = popID{int32(m.Body[8]), int64(binary.BigEndian.Uint64(m.Body))}
		if ck, ok := m.Props.Get("POP_CK"); ok {
			h.ack.ExtraInfo = string(ck)
			if strings.Fields(h.ack.ExtraInfo)[4] == "1" {
				h.ack.Topic = "%RETRY%" + popGroup + "_" + popTopic
			}
		} else {
			h.ack.ExtraInfo = fmt.Sprintf("%s %s %s %s 0 broker-a %d %d", starts[fmt.Sprint(m.QueueID)], field("popTime"), field("invisibleTime"),
				field("reviveQid"), m.QueueID, m.Index)
		}
		st := l.m[h.id]
		if st == nil {
			st = &popState{}
			l.m[h.id] = st
		}
		if st.got++; st.got > 1 {
			l.v.duplicates++
		}
		switch {
		case !st.acked.IsZero() && st.acked.Before(asked):
			l.v.again++
			l.note("%v was acknowledged and came again", h.id)
		case st.until.After(time.Now().Add(popPast)):
			l.early++
			l.note("%v came while somebody held it", h.id)
		}
		st.until = until
		out = append(out, h)
	}
	return out, true
}

// ack acknowledges and notes the answer.
func (l *popLoad) ack(c *bench.Client, h *popHeld, late bool) bool {
	r, err := c.Call(protocol.ReqAckMessage, &h.ack, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.m[h.id]
	switch {
	case err != nil:
		st.lost = true
		return false
	case r.Code != protocol.RespSuccess:
		l.refused++
		l.note("ack of %v: code %d %s", h.id, r.Code, r.Remark)
		return true
	}
	if st.acked.IsZero() {
		st.acked = time.Now()
		l.v.acked++
	}
	if late {
		l.late++
	}
	return true
}

// TestPopKill kills the broker while consumers pop and acknowledge: nothing is lost, what was acknowledged does not come again, a
// message that somebody holds is given to nobody else, and handles of before a kill are good after it.
func TestPopKill(t *testing.T) {
	r := random(t)
	c := target.New(t, target.Options{Kind: target.Ours})
	b, p := c.Addrs[0], c.Brokers[0]
	first, err := bench.Dial(t.Context(), nil, b, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.CreateTopic(popTopic, popQueues); err != nil {
		t.Fatal(err)
	}
	first.Close()
	sends := newLoad(b, popTopic, popQueues)
	sends.pause = 20 * time.Millisecond
	l := &popLoad{addr: b, m: map[popID]*popState{}}
	ctx, cancel := context.WithCancel(t.Context())
	sendCtx, stopSends := context.WithCancel(ctx)
	var wg sync.WaitGroup
	sent := make(chan struct{})
	go func() { sends.run(sendCtx); close(sent) }()
	for range 3 {
		wg.Go(func() { l.run(ctx) })
	}
	for range *kills {
		time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
		p.Kill()
		p.Start()
		p.WaitPort(b, 20*time.Second)
	}
	time.Sleep(500 * time.Millisecond)
	stopSends()
	<-sent
	missing := func() (n int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, s := range sends.senders {
			for _, k := range s.acked {
				if st := l.m[popID{s.queue, k}]; st == nil || (st.acked.IsZero() && !st.lost) {
					n++
				}
			}
		}
		return n
	}
	for end := time.Now().Add(4 * popLease); missing() > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second) // what comes again although it should not
	cancel()
	wg.Wait()
	l.v.lost = missing()
	for id := range l.m {
		if id.number < 0 || int(id.queue) >= len(sends.senders) || id.number >= sends.senders[id.queue].issued {
			l.v.phantom++
		}
	}
	table.feature("pop", *kills, l.v)
	t.Logf("%d kills: sent %d, %+v, early %d, acknowledged with handles of two seconds ago %d", *kills, sends.acked.Load(), l.v, l.early, l.late)
	if l.v.lost+l.v.phantom+l.v.again+l.early+l.refused != 0 {
		t.Errorf("lost %d, phantom %d, again %d, early %d, refused %d: %s", l.v.lost, l.v.phantom, l.v.again, l.early, l.refused, l.problem)
	}
	if l.v.acked < int64(*kills)*100 || l.late < int64(*kills) {
		t.Errorf("only %d acknowledgements, %d of them late: the run proves nothing", l.v.acked, l.late)
	}
}
