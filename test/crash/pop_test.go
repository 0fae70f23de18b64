package crash

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

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
	if err := first.CreateTopic("popcrash", 4); err != nil {
		t.Fatal(err)
	}
	first.Close()
	sends := history.NewLoad("popcrash", 4, history.At(b))
	sends.Pause = 20 * time.Millisecond
	l := &history.Pop{Topic: "popcrash", Group: "popcrash_g", Broker: "broker-a", Lease: 8 * time.Second, Target: history.At(b)}
	ctx, cancel := context.WithCancel(t.Context())
	sendCtx, stopSends := context.WithCancel(ctx)
	var wg sync.WaitGroup
	sent := make(chan struct{})
	go func() { sends.Run(sendCtx); close(sent) }()
	for range 3 {
		wg.Go(func() { l.Run(ctx) })
	}
	for range *kills {
		time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
		p.Kill()
		p.Start()
		p.WaitPort(b, 60*time.Second)
	}
	time.Sleep(500 * time.Millisecond)
	stopSends()
	<-sent
	for end := time.Now().Add(4 * l.Lease); l.Missing(sends) > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second) // what comes again although it should not
	cancel()
	wg.Wait()
	v := l.Verdict(sends)
	table.feature("pop", *kills, v.Feature)
	t.Logf("%d kills: sent %d, %+v", *kills, sends.Acked.Load(), v)
	if v.Lost+v.Phantom+v.Again+v.Held+v.Refused != 0 {
		t.Errorf("%+v", v)
	}
	if v.Acked < int64(*kills)*100 || v.Late < int64(*kills) {
		t.Errorf("only %d acknowledgements, %d of them late: the run proves nothing", v.Acked, v.Late)
	}
}
