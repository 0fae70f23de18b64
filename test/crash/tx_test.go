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

// TestKillTransactions kills the broker under a load of transactions. A commit that was acknowledged is delivered without
// anybody being asked; what was not acknowledged, or never decided, is asked about in the last life; nothing else is delivered.
func TestKillTransactions(t *testing.T) {
	for _, mode := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
		t.Run(mode, func(t *testing.T) {
			r := random(t)
			cl := target.New(t, target.Options{Kind: target.Ours, Conf: map[string]string{
				"flushDiskType": mode, "mappedFileSizeCommitLog": fmt.Sprint(16 << 20),
				"transactionTimeOut": "700", "transactionCheckInterval": "300", "transactionCheckMax": "100000",
			}})
			p := cl.Brokers[0]
			addr := cl.Addrs[0]
			l := &history.Transactions{Topic: "txcrash", Group: "txcrash_p", Queues: 4, Target: history.At(addr)}
			first, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.CreateTopic(l.Topic, int(l.Queues)); err != nil {
				t.Fatal(err)
			}
			_ = first.Close()
			l.Life.Store(1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			loadCtx, stopLoad := context.WithCancel(ctx)
			var wg, load sync.WaitGroup
			wg.Go(func() { l.Answer(ctx) })
			load.Go(func() { l.Run(loadCtx, 6) })
			for range *kills {
				time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
				p.Kill()
				l.Life.Add(1)
				p.Start()
				p.WaitPort(addr, 60*time.Second)
			}
			time.Sleep(300 * time.Millisecond)
			stopLoad()
			load.Wait()
			var v history.Feature
			open := int64(1)
			for end := time.Now().Add(60 * time.Second); open > 0 && time.Now().Before(end); {
				time.Sleep(300 * time.Millisecond)
				if v, open, err = l.Verdict(t.Context(), addr); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
			wg.Wait()
			v.Lost += open
			table.feature("transactions, "+mode, *kills, v)
			t.Logf("%s: %d kills: %+v", mode, *kills, v)
			if v.Lost != 0 || v.Phantom != 0 {
				t.Errorf("%+v, %d not asked about", v, open)
			}
			if v.Acked < int64(*kills)*50 {
				t.Errorf("only %d half messages were acknowledged: the run proves nothing", v.Acked)
			}
		})
	}
}
