package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestOrderlyEnd stops a broker with SIGTERM under load: the process ends well and soon, the mark of an unclean end is gone,
// everything that was acknowledged is there after the next start, which finds nothing to repair.
func TestOrderlyEnd(t *testing.T) {
	t.Parallel()
	for _, flush := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
		t.Run(flush, func(t *testing.T) {
			t.Parallel()
			c := start(t, map[string]string{"flushDiskType": flush})
			p, addr := c.Brokers[0], c.Addrs[0]
			must(t, dial(t, addr).CreateTopic("edge", 4))
			abort := filepath.Join(c.Store(0), "abort")
			if _, err := os.Stat(abort); err != nil {
				t.Error("a running broker has an abort file:", err)
			}
			acked := make([][]string, 4)
			var wg sync.WaitGroup
			var half sync.WaitGroup
			half.Add(len(acked))
			for q := range acked {
				sender := dial(t, addr)
				wg.Go(func() {
					for n := 0; ; n++ {
						if n == 100 {
							half.Done()
						}
						body := fmt.Sprintf("%d-%d", q, n)
						if err := send(sender, "edge", q, body); err != nil {
							if n < 100 {
								t.Errorf("after %d messages: %v", n, err)
								half.Done()
							}
							return
						}
						acked[q] = append(acked[q], body)
					}
				})
			}
			parked := dial(t, addr) // a pull that waits for what will not come
			wg.Go(func() {
				r, err := parked.Call(protocol.ReqPullMessage, &protocol.PullMessageRequestHeader{
					ConsumerGroup: "edge_c", Topic: "edge", QueueOffset: 1 << 30, MaxMsgNums: 1, SysFlag: 6, SuspendTimeoutMillis: 60_000,
					Subscription: "*", ExpressionType: "TAG",
				}, nil)
				if err == nil && r.Code == protocol.RespSuccess {
					t.Errorf("a pull behind the end gets %+v", r)
				}
			})
			half.Wait()
			t0 := time.Now()
			must(t, p.Stop(60*time.Second))
			took := time.Since(t0)
			wg.Wait()
			t.Logf("%s: the end took %v", flush, took)
			if took > 30*time.Second { // it would take a minute if the parked pull held it up
				t.Errorf("the end took %v", took)
			}
			if _, err := os.Stat(abort); !os.IsNotExist(err) {
				t.Error("the abort file is still there:", err)
			}
			before := p.Log()

			p.Start()
			p.WaitPort(addr, 60*time.Second)
			again := dial(t, addr)
			for q := range acked {
				got := bodies(t, again, "edge", q)
				if len(got) < len(acked[q]) || !slices.Equal(got[:len(acked[q])], acked[q]) {
					t.Errorf("queue %d: %d messages of %d acknowledged ones", q, len(got), len(acked[q]))
				}
			}
			if log := strings.TrimPrefix(p.Log(), before); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") || !strings.Contains(log, "messages=0") {
				t.Errorf("the second start is not clean:\n%s", log)
			}
			must(t, p.Stop(60*time.Second))
			must(t, c.Namesrv.Stop(60*time.Second))
		})
	}
}

// TestSecondProcessIsRefused starts a broker on the store of another one, and one on its port: both are refused before
// anything is touched, and the first one goes on.
func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	first := dial(t, c.Addrs[0])
	must(t, send(first, "edge", 0, "before"))
	// The first one stands still meanwhile, so that what changes is the second one's doing.
	must(t, syscall.Kill(c.Brokers[0].PID(), syscall.SIGSTOP))
	for end := time.Now().Add(time.Minute); !stopped(c.Brokers[0]); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first one does not stand still")
		}
	}
	before := files(t, c.Store(0))
	port := target.FreePorts(t, 4) + 2
	code, out := target.Fails(t, "broker", map[string]string{
		"storePathRootDir": c.Store(0), "listenPort": fmt.Sprint(port), "bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerName": "second",
	})
	if code != 1 || !strings.Contains(out, fmt.Sprintf("lock is locked by process %d", c.Brokers[0].PID())) {
		t.Errorf("on the same store: exit code %d\n%s", code, out)
	}
	if after := files(t, c.Store(0)); after != before {
		t.Errorf("the store was touched: before\n%safter\n%s", before, after)
	}
	must(t, syscall.Kill(c.Brokers[0].PID(), syscall.SIGCONT))

	other := filepath.Join(t.TempDir(), "other")
	_, taken, _ := strings.Cut(c.Addrs[0], ":")
	code, out = target.Fails(t, "broker", map[string]string{
		"storePathRootDir": other, "listenPort": taken, "bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerName": "second",
	})
	if code != 1 || !strings.Contains(out, "listenPort="+taken) || !strings.Contains(out, "address already in use") {
		t.Errorf("on the same port: exit code %d\n%s", code, out)
	}
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Error("a store was made although the port is taken:", err)
	}
	must(t, send(first, "edge", 0, "after"))
	if got := bodies(t, first, "edge", 0); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the first broker has %q", got)
	}
}
