package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

const (
	delayTopic  = "delaycrash"
	delayQueues = 4
	longest     = 6 * time.Second
)

// delayLoad sends messages that are due within seconds. The body says which one and, in ms, before when it must not come.
type delayLoad struct {
	addr string
	next atomic.Int64

	mu    sync.Mutex // guards acked
	acked map[string]bool
}

func (l *delayLoad) run(ctx context.Context, senders int, timers bool) {
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				c, err := bench.Dial(ctx, nil, l.addr, protocol.JSON)
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				for ctx.Err() == nil && l.one(c, timers) {
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
}

func (l *delayLoad) one(c *bench.Client, timers bool) bool {
	n := l.next.Add(1)
	now := time.Now().UnixMilli()
	due, props := now+1000*(1+n%3), fmt.Sprintf("DELAY\x01%d\x02", 1+n%3)
	if timers {
		in := rand.Int64N(longest.Milliseconds())
		due = now + in
		switch n % 2 {
		case 0:
			props = fmt.Sprintf("TIMER_DELIVER_MS\x01%d\x02", due)
		case 1:
			props = fmt.Sprintf("TIMER_DELAY_MS\x01%d\x02", in)
		}
	}
	body := fmt.Sprintf("%d %d", due, n)
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: delayTopic, DefaultTopic: "TBW102", DefaultTopicQueueNums: delayQueues, QueueID: int32(n % delayQueues),
		BornTimestamp: now, MaxReconsumeTimes: -1, Properties: props,
	}, []byte(body))
	if err != nil {
		return false
	}
	if r.Code == 0 {
		l.mu.Lock()
		l.acked[body] = true
		l.mu.Unlock()
	}
	return true
}

// verdict reads everything that was delivered. early: how many came before their time.
func (l *delayLoad) verdict(t *testing.T) (v featureVerdict, early int64) {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, l.addr, protocol.Binary)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := map[string]int{}
	readTopic(t, c, delayTopic, delayQueues, func(m *record.Message) error {
		var due, n int64
		if _, err := fmt.Sscan(string(m.Body), &due, &n); err != nil || n > l.next.Load() {
			v.phantom++
		}
		if m.StoreTime < due {
			early++
		}
		got[string(m.Body)]++
		return nil
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	v.acked = int64(len(l.acked))
	for body := range l.acked {
		if got[body] == 0 {
			v.lost++
		}
	}
	for _, times := range got {
		v.duplicates += int64(times - 1)
	}
	return v, early
}

// TestKillDelayed kills the broker while thousands of messages wait for their time. Each one that was acknowledged comes, none
// before its time; what was delivered just before a kill may come again.
func TestKillDelayed(t *testing.T) {
	for _, c := range []struct {
		name, flush string
		timers      bool
	}{
		{"delay levels", "ASYNC_FLUSH", false}, {"timers", "ASYNC_FLUSH", true}, {"timers", "SYNC_FLUSH", true},
	} {
		t.Run(c.name+" "+c.flush, func(t *testing.T) {
			r := random(t)
			cl := target.New(t, target.Options{Kind: target.Ours, Conf: map[string]string{
				"flushDiskType": c.flush, "mappedFileSizeCommitLog": fmt.Sprint(16 << 20), "mappedFileSizeTimerLog": fmt.Sprint(256 << 10),
				"messageDelayLevel": "1s 2s 3s",
			}})
			p := cl.Brokers[0]
			l := &delayLoad{addr: cl.Addrs[0], acked: map[string]bool{}}
			first, err := bench.Dial(t.Context(), nil, l.addr, protocol.JSON)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.CreateTopic(delayTopic, delayQueues); err != nil {
				t.Fatal(err)
			}
			_ = first.Close()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var load sync.WaitGroup
			load.Go(func() { l.run(ctx, 6, c.timers) })
			for range *kills {
				time.Sleep(time.Duration(500+r.IntN(2000)) * time.Millisecond)
				p.Kill()
				p.Start()
				p.WaitPort(l.addr, 20*time.Second)
			}
			time.Sleep(300 * time.Millisecond)
			stop()
			load.Wait()
			time.Sleep(longest + time.Second)
			v, early := l.verdict(t)
			for end := time.Now().Add(20 * time.Second); v.lost > 0 && time.Now().Before(end); {
				time.Sleep(300 * time.Millisecond)
				v, early = l.verdict(t)
			}
			table.feature(c.name+", "+c.flush, *kills, v)
			t.Logf("%s %s: %d kills: %+v, %d early", c.name, c.flush, *kills, v, early)
			if v.lost != 0 || v.phantom != 0 || early != 0 {
				t.Errorf("%+v, %d before their time", v, early)
			}
			if v.acked < int64(*kills)*50 {
				t.Errorf("only %d messages were acknowledged: the run proves nothing", v.acked)
			}
		})
	}
}
