package crash

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

var (
	kills = flag.Int("kills", 5, "kills of the real binary for each flush mode")
	seed  = flag.Uint64("seed", 0, "seed of the random choices, 0 = a new one")
)

func random(t *testing.T) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	return rand.New(rand.NewPCG(s, 1))
}

// TestKill ends the broker with SIGKILL under load, again and again: nothing acknowledged is lost, nothing is out of order,
// no committed offset moves back.
func TestKill(t *testing.T) {
	for _, mode := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
		t.Run(mode, func(t *testing.T) {
			r := random(t)
			c := target.New(t, target.Options{Kind: target.Ours, Conf: map[string]string{
				"flushDiskType": mode, "mappedFileSizeCommitLog": fmt.Sprint(16 << 20), // several files
			}})
			b, p := c.Addrs[0], c.Brokers[0]
			first, err := bench.Dial(t.Context(), nil, b, protocol.JSON)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.CreateTopic("crash", 4); err != nil {
				t.Fatal(err)
			}
			first.Close()
			l := history.NewLoad("crash", 4, history.At(b))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { l.Run(ctx); close(done) }()
			committed := map[int32]int64{}
			movedBack := int64(0)
			for range *kills {
				time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
				commitSome(t, b, r, committed)
				p.Kill()
				p.Start()
				p.WaitPort(b, 60*time.Second)
				movedBack += checkCommitted(t, b, committed)
			}
			time.Sleep(500 * time.Millisecond)
			cancel()
			<-done
			v, err := l.Verify(t.Context(), b, 0)
			if err != nil {
				t.Fatal(err)
			}
			v.MovedBack = movedBack
			table.kill(mode, *kills, v)
			t.Logf("%s: %d kills: %v", mode, *kills, v)
			if v.Lost != 0 || v.Phantom != 0 || v.Inverted != 0 {
				t.Errorf("%s: %v", mode, v)
			}
			if v.Acked < int64(*kills)*100 {
				t.Errorf("only %d messages were acknowledged: the run proves nothing", v.Acked)
			}
		})
	}
}

// commitSome commits offsets two-way; what is answered must survive the kill.
func commitSome(t *testing.T, addr string, r *rand.Rand, committed map[int32]int64) {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Heartbeat("crash-client", "crash_group", "crash"); err != nil {
		t.Fatal(err)
	}
	for q := range int32(4) {
		at := committed[q] + r.Int64N(50)
		rep, err := c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
			ConsumerGroup: "crash_group", Topic: "crash", QueueID: q, CommitOffset: at,
		}, nil)
		if err != nil || rep.Err() != nil {
			t.Fatalf("commit: %v %v", err, rep)
		}
		committed[q] = at
	}
}

// checkCommitted returns how many offsets are below what was answered.
func checkCommitted(t *testing.T, addr string, committed map[int32]int64) (movedBack int64) {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for q, at := range committed {
		rep, err := c.Call(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
			ConsumerGroup: "crash_group", Topic: "crash", QueueID: q,
		}, nil)
		if err != nil || rep.Err() != nil {
			t.Fatalf("query offset: %v %+v", err, rep)
		}
		if got, err := rep.Int("offset"); err != nil || got < at {
			t.Errorf("queue %d: the committed offset moved back from %d to %d (%v)", q, at, got, err)
			movedBack++
		}
	}
	return movedBack
}
