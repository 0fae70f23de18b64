package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// Delay sends messages that wait for their time. The body says which one and, in ms, before when it must not come.
type Delay struct {
	Topic   string
	Queues  int
	Target  Target
	Timers  bool // else the first three delay levels, which must be 1, 2 and 3 s
	Soonest time.Duration
	Longest time.Duration // of timers
	Window  int           // in flight on each connection, at least 1
	Most    int64         // messages to send, 0: until the end

	next  atomic.Int64
	mu    sync.Mutex // guards acked
	acked map[string]bool
}

// Acked is how many were acknowledged so far.
func (l *Delay) Acked() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.acked))
}

// Run sends on several connections, which come back after each accident, until ctx ends or Most are sent.
func (l *Delay) Run(ctx context.Context, senders int) {
	l.mu.Lock()
	l.acked = map[string]bool{}
	l.mu.Unlock()
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil && !l.over() {
				addr, err := l.Target(ctx)
				var c *bench.Client
				if err == nil {
					c, err = bench.Dial(ctx, nil, addr, protocol.JSON)
				}
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				for ctx.Err() == nil && !l.over() && l.some(c) {
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
}

func (l *Delay) over() bool { return l.Most > 0 && l.next.Load() >= l.Most }

// some sends a window of messages. It returns false when the connection is of no use any more.
func (l *Delay) some(c *bench.Client) bool {
	bodies := map[int32]string{}
	for range max(l.Window, 1) {
		n := l.next.Add(1)
		h, body := l.message(n)
		bodies[int32(n)] = body
		if c.Start(protocol.ReqSendMessageV2, h, []byte(body), int32(n)) != nil {
			return false
		}
	}
	if c.FlushOut() != nil {
		return false
	}
	for range bodies {
		r, n, err := c.Next(10 * time.Second)
		if err != nil {
			return false
		}
		if r.Code == protocol.RespSuccess {
			l.mu.Lock()
			l.acked[bodies[n]] = true
			l.mu.Unlock()
		}
	}
	return true
}

func (l *Delay) message(n int64) (h *protocol.SendMessageRequestHeaderV2, body string) {
	now := time.Now().UnixMilli()
	due, props := now+1000*(1+n%3), fmt.Sprintf("DELAY\x01%d\x02", 1+n%3)
	if l.Timers {
		in := l.Soonest.Milliseconds() + rand.Int64N((l.Longest - l.Soonest).Milliseconds())
		due = now + in
		switch n % 2 {
		case 0:
			props = fmt.Sprintf("TIMER_DELIVER_MS\x01%d\x02", due)
		case 1:
			props = fmt.Sprintf("TIMER_DELAY_MS\x01%d\x02", in)
		}
	}
	return &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: l.Topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: int32(l.Queues), QueueID: int32(n % int64(l.Queues)),
		BornTimestamp: now, MaxReconsumeTimes: -1, Properties: props,
	}, fmt.Sprintf("%d %d", due, n)
}

// Verdict reads everything that was delivered. slack is how much before its time a message may come.
func (l *Delay) Verdict(ctx context.Context, addr string, slack time.Duration) (v Feature, err error) {
	c, err := bench.Dial(ctx, nil, addr, protocol.Binary)
	if err != nil {
		return v, err
	}
	defer c.Close()
	got := map[string]int{}
	err = ReadTopic(c, l.Topic, l.Queues, func(m *record.Message) error {
		var due, n int64
		if _, err := fmt.Sscan(string(m.Body), &due, &n); err != nil || n > l.next.Load() {
			v.Phantom++
		}
		if m.StoreTime+slack.Milliseconds() < due {
			v.Early++
		}
		got[string(m.Body)]++
		return nil
	})
	if err != nil {
		return v, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v.Acked = int64(len(l.acked))
	for body := range l.acked {
		if got[body] == 0 {
			v.Lost++
		}
	}
	for _, times := range got {
		v.Duplicates += int64(times - 1)
	}
	return v, nil
}
