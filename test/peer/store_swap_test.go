//go:build peer

package peer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestStoreSwap takes one store directory from Java to us and back to Java: all messages, offsets and topics stay.
func TestStoreSwap(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"server-5.5.0", "server-5.3.3"} {
		for _, how := range []string{"clean", "kill"} {
			t.Run(set+"/"+how, func(t *testing.T) {
				t.Parallel() // most of the time passes in waiting for Java to start
				target.NeedJava(t, set)
				dir := t.TempDir()
				const client = "server-5.5.0"
				end := func(c *target.Cluster, consumed int64) {
					newTool(t, c.Addrs[0]).consumed("swap", "g_swap_c", consumed)
					if how == "kill" {
						consumedOnDisk(t, c.Store(0), "swap", "g_swap_c", consumed)
						c.Brokers[0].Kill()
					} else if err := c.Brokers[0].Stop(60 * time.Second); err != nil {
						t.Fatal(err)
					}
					c.Namesrv.Kill()
				}

				java := target.New(t, target.Options{Kind: target.Java, Set: set, Dir: dir, Heap: "512m"})
				registered(t, java, "TBW102")
				want(t, javaClient(t, client, "send", java.NS, "swap", "g_swap", "300"), "ok", 300)
				want(t, javaClient(t, client, "push", java.NS, "swap", "g_swap_c", "300"), "distinct", 300)
				end(java, 300)

				ours := newCluster(t, target.Options{Kind: target.Ours, Dir: dir})
				registered(t, ours, "swap")
				want(t, javaClient(t, client, "push", ours.NS, "swap", "g_swap_all", "300"), "distinct", 300)
				want(t, javaClient(t, client, "send", ours.NS, "swap", "g_swap", "200"), "ok", 200)
				want(t, javaClient(t, client, "push", ours.NS, "swap", "g_swap_c", "200"), "got", 200)
				want(t, javaClient(t, client, "send", ours.NS, "swap_new", "g_swap", "50"), "ok", 50)
				want(t, javaClient(t, client, "push", ours.NS, "swap_new", "g_swap_n", "50"), "got", 50)
				end(ours, 500)

				again := target.New(t, target.Options{Kind: target.Java, Set: set, Dir: dir, Heap: "512m"})
				registered(t, again, "swap")
				want(t, javaClient(t, client, "push", again.NS, "swap", "g_swap_third", "300"), "got", 500)
				want(t, javaClient(t, client, "send", again.NS, "swap", "g_swap", "40"), "ok", 40)
				want(t, javaClient(t, client, "push", again.NS, "swap", "g_swap_c", "40"), "got", 40)
				m := javaClient(t, client, "bykey", again.NS, "swap", "g_swap", "0", "key150")
				want(t, m, "byKey", 2) // one that Java stored and indexed, one that we did
				want(t, m, "messages", 540)
				end(again, 540)
			})
		}
	}
}

// TestForeignStoresAreRefused covers layouts that cannot be opened: the broker must say so and leave them alone.
func TestForeignStoresAreRefused(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"rocksdb queues":  "store/consumequeue/CURRENT",
		"rocksdb configs": "store/config/rdb/CURRENT",
		"dledger":         "store/dledger-n0/data/00000000000000000000",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			code, out := target.Fails(t, "broker", map[string]string{
				"storePathRootDir": filepath.Join(dir, "store"), "brokerIP1": "127.0.0.1", "listenPort": "0",
			})
			if code == 0 || out == "" {
				t.Fatalf("exit %d, output %q", code, out)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != "x" {
				t.Errorf("the foreign file was touched: %q %v", b, err)
			}
		})
	}
}
