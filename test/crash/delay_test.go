package crash

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

// TestKillDelayed kills the broker while thousands of messages wait for their time. Each one that was acknowledged comes, none
// before its time and none twice: what was delivered just before a kill is found in the log.
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
			addr := cl.Addrs[0]
			l := &history.Delay{Topic: "delaycrash", Queues: 4, Target: history.At(addr), Timers: c.timers, Longest: 6 * time.Second}
			first, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.CreateTopic(l.Topic, l.Queues); err != nil {
				t.Fatal(err)
			}
			_ = first.Close()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var load sync.WaitGroup
			load.Go(func() { l.Run(ctx, 6) })
			for range *kills {
				time.Sleep(time.Duration(500+r.IntN(2000)) * time.Millisecond)
				p.Kill()
				p.Start()
				p.WaitPort(addr, 60*time.Second)
			}
			time.Sleep(300 * time.Millisecond)
			stop()
			load.Wait()
			time.Sleep(l.Longest + time.Second)
			v, err := l.Verdict(t.Context(), addr, 0)
			for end := time.Now().Add(60 * time.Second); err == nil && v.Lost > 0 && time.Now().Before(end); {
				time.Sleep(300 * time.Millisecond)
				v, err = l.Verdict(t.Context(), addr, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			table.feature(c.name+", "+c.flush, *kills, v)
			t.Logf("%s %s: %d kills: %+v", c.name, c.flush, *kills, v)
			if v.Lost != 0 || v.Phantom != 0 || v.Early != 0 || v.Duplicates != 0 {
				t.Errorf("%+v", v)
			}
			if v.Acked < int64(*kills)*50 {
				t.Errorf("only %d messages were acknowledged: the run proves nothing", v.Acked)
			}
		})
	}
}
