package crash

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

// retryTimes is how often a message is tried again before it is a dead letter.
const retryTimes = 3

// TestKillRetry ends the broker with SIGKILL while every message is given back: each one that was acknowledged ends in the
// dead letters after exactly as many tries as the group has, and each give-back that was acknowledged is a try.
func TestKillRetry(t *testing.T) {
	for _, mode := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
		t.Run(mode, func(t *testing.T) {
			r := random(t)
			c := target.New(t, target.Options{Kind: target.Ours, Conf: map[string]string{
				"flushDiskType": mode, "messageDelayLevel": strings.Repeat("1s ", 18),
			}})
			b, p := c.Addrs[0], c.Brokers[0]
			g := newPoison(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			var wg, sending sync.WaitGroup
			send, stopSending := context.WithCancel(ctx)
			sending.Go(func() { g.load.Run(send) })
			for _, topic := range []string{g.load.Topic, "%RETRY%" + g.group} {
				wg.Go(func() { g.fail(ctx, topic) })
			}
			for range *kills {
				time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
				p.Kill()
				p.Start()
				p.WaitPort(b, 60*time.Second)
			}
			stopSending()
			sending.Wait()
			g.waitQuiet(t)
			cancel()
			wg.Wait()
			v := g.verify(t)
			table.feature("retry and dead letters, "+mode, *kills, history.Feature{Acked: v.Acked, Lost: v.Lost, Phantom: v.Phantom, Duplicates: v.Duplicates})
			t.Logf("%s: %d kills: %v", mode, *kills, v)
			if v.Lost != 0 || v.Phantom != 0 {
				t.Errorf("%s: %v", mode, v)
			}
			if v.Acked < int64(*kills)*100 {
				t.Errorf("only %d answers: the run proves nothing", v.Acked)
			}
		})
	}
}

// try is one delivery of a message: its number and how often it was tried before.
type try struct {
	number int64
	times  int32
}

// poison is a consumer group that fails with every message and remembers what it gave back.
type poison struct {
	addr, group string
	load        *history.Load

	mu       sync.Mutex // guards what follows
	asked    map[try]int
	accepted map[try]int
	failures []string
	last     time.Time // of the last delivery
}

func newPoison(t *testing.T, addr string) *poison {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	g := &poison{addr: addr, group: "poison", load: history.NewLoad("crash_retry", 1, history.At(addr)), asked: map[try]int{}, accepted: map[try]int{}, last: time.Now()}
	g.load.Pause = 20 * time.Millisecond
	if err := c.CreateTopic(g.load.Topic, 1); err != nil {
		t.Fatal(err)
	}
	rep, err := c.Call(protocol.ReqUpdateAndCreateSubscriptionGroup, nil, fmt.Appendf(nil,
		`{"groupName":%q,"consumeEnable":true,"consumeFromMinEnable":true,"retryQueueNums":1,"retryMaxTimes":%d}`, g.group, retryTimes))
	if err != nil || rep.Err() != nil {
		t.Fatal(err, rep)
	}
	return g
}

// delivery is a message to give back.
type delivery struct {
	try
	at int64
}

// fail reads a topic from its start and gives back all of it, until ctx ends. What is not answered is given back again.
func (g *poison) fail(ctx context.Context, topic string) {
	at := int64(0)
	var todo []delivery
	for ctx.Err() == nil {
		c, err := bench.Dial(ctx, nil, g.addr, protocol.Binary)
		if err == nil {
			for err == nil && ctx.Err() == nil {
				if len(todo) == 0 {
					todo, at, err = g.read(c, topic, at)
				}
				if err == nil {
					todo, err = g.giveBack(c, todo)
				}
			}
			c.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (g *poison) read(c *bench.Client, topic string, at int64) ([]delivery, int64, error) {
	var todo []delivery
	r, err := c.Call(protocol.ReqPullMessage, &protocol.PullMessageRequestHeader{
		ConsumerGroup: g.group, Topic: topic, QueueOffset: at, MaxMsgNums: 32, SysFlag: 4, Subscription: "*", ExpressionType: "TAG",
	}, nil)
	if err != nil {
		return nil, at, err
	}
	if r.Code != 0 {
		time.Sleep(10 * time.Millisecond)
		return nil, at, nil
	}
	for rest := r.Body; len(rest) > 0; at++ {
		var m record.Message
		n, err := record.Decode(rest, &m, true)
		if err != nil {
			return nil, at, err
		}
		todo = append(todo, delivery{try{int64(binary.BigEndian.Uint64(m.Body)), m.Reconsume}, int64(m.Offset)})
		rest = rest[n:]
	}
	g.mu.Lock()
	g.last = time.Now()
	g.mu.Unlock()
	return todo, at, nil
}

// giveBack returns what was not answered.
func (g *poison) giveBack(c *bench.Client, todo []delivery) ([]delivery, error) {
	for i, d := range todo {
		g.mu.Lock()
		g.asked[d.try]++
		g.mu.Unlock()
		if err := c.Start(protocol.ReqConsumerSendMsgBack, &protocol.ConsumerSendMsgBackRequestHeader{Offset: d.at, Group: g.group}, nil, int32(i)); err != nil {
			return todo, err
		}
	}
	if err := c.FlushOut(); err != nil {
		return todo, err
	}
	open := slices.Clone(todo)
	for range todo {
		r, i, err := c.Next(10 * time.Second)
		if err != nil {
			return slices.DeleteFunc(open, func(d delivery) bool { return d.at < 0 }), err
		}
		g.mu.Lock()
		if r.Code == 0 {
			g.accepted[todo[i].try]++
			open[i].at = -1
		} else {
			g.failures = append(g.failures, fmt.Sprintf("%+v: code %d %s", todo[i], r.Code, r.Remark))
		}
		g.mu.Unlock()
	}
	return slices.DeleteFunc(open, func(d delivery) bool { return d.at < 0 }), nil
}

// waitQuiet returns when each acknowledged message has had its last try and nothing has been delivered for longer than a
// delay since then; or when the broker delivers nothing more.
func (g *poison) waitQuiet(t *testing.T) {
	t.Helper()
	begin := time.Now()
	for {
		g.mu.Lock()
		done := !slices.ContainsFunc(g.load.Senders[0].Acked, func(n int64) bool { return g.accepted[try{n, retryTimes}] == 0 })
		quiet := min(time.Since(g.last), time.Since(begin))
		g.mu.Unlock()
		if done && quiet > 4*time.Second || quiet > 30*time.Second {
			return
		}
		if time.Since(begin) > 3*time.Minute {
			t.Fatal("deliveries do not end")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// verify compares what can be read with what was asked for and what was answered.
func (g *poison) verify(t *testing.T) history.Verdict {
	t.Helper()
	for _, f := range g.failures[:min(len(g.failures), 10)] {
		t.Error(f)
	}
	c, err := bench.Dial(t.Context(), nil, g.addr, protocol.Binary)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var v history.Verdict
	copies, dead := map[try]int{}, map[int64]int{}
	read := func(topic string, note func(m *record.Message, k try)) {
		t.Helper()
		err := history.ReadTopic(c, topic, 1, func(m *record.Message) error {
			k := try{int64(binary.BigEndian.Uint64(m.Body)), m.Reconsume}
			if origin, _ := m.Props.Get(record.PropRetryTopic); string(origin) != g.load.Topic || g.asked[try{k.number, k.times - 1}] == 0 {
				v.Phantom++
			}
			copies[k]++
			note(m, k)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read("%RETRY%"+g.group, func(_ *record.Message, k try) {
		if k.times > retryTimes {
			t.Errorf("message %d was tried %d times", k.number, k.times)
			v.Phantom++
		}
	})
	read("%DLQ%"+g.group, func(_ *record.Message, k try) {
		if dead[k.number]++; k.times != retryTimes+1 {
			t.Errorf("message %d is dead after %d tries", k.number, k.times)
			v.Phantom++
		}
	})
	for _, n := range g.load.Senders[0].Acked {
		if v.Acked++; dead[n] == 0 {
			v.Lost++
		}
	}
	for k, n := range g.accepted {
		v.Acked += int64(n)
		got := copies[try{k.number, k.times + 1}]
		v.Lost += int64(max(0, n-got))
	}
	for k, n := range copies {
		v.Duplicates += int64(n - 1)
		if k.number < 0 || k.number >= g.load.Senders[0].Issued {
			v.Phantom++
		}
	}
	return v
}
