//go:build peer

package peer

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestReplication pairs masters and slaves of both kinds: sends that wait for the slave, logs that are the same byte for byte
// over several files, and consumers that go on at the slave when the master is dead.
func TestReplication(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct{ master, slave target.Kind }{
		{target.Ours, target.Ours}, {target.Ours, target.Java}, {target.Java, target.Ours},
	} {
		t.Run(fmt.Sprintf("%s-to-%s", pair.master, pair.slave), func(t *testing.T) {
			t.Parallel()
			const client = "server-5.5.0"
			conf := map[string]string{"mappedFileSizeCommitLog": "262144", "slaveReadEnable": "true", "inSyncReplicas": "2"}
			mc := maps.Clone(conf)
			mc["brokerRole"] = "SYNC_MASTER"
			c := target.New(t, target.Options{Kind: pair.master, Conf: mc, Heap: "512m"})
			registered(t, c, "TBW102")
			if m := javaClient(t, client, "send", c.NS, "ha", "g_ha", "1"); fmt.Sprint(m["ok"]) == "1" {
				t.Errorf("acknowledged without a slave: %v", m)
			}
			c.Slave(t, target.Options{Kind: pair.slave, Conf: conf, Heap: "512m"}, 1)
			same(t, c)
			want(t, javaClient(t, client, "send", c.NS, "ha", "g_ha", "3000"), "ok", 3000)
			same(t, c)
			if files := logFiles(t, c.SlaveStore(1)); len(files) < 2 {
				t.Errorf("the log is in %d files: no end of a file was copied", len(files))
			}
			want(t, javaClient(t, client, "push", c.NS, "ha", "g_ha_master", "3000"), "distinct", 3000)

			if pair.slave == target.Java {
				return // whom it serves when it is alone depends on what it has taken over by then, at times of its own
			}
			knows(t, c.Addrs[1], "ha") // it takes over topics and groups about every 9 s
			c.Brokers[0].Kill()
			time.Sleep(time.Second)
			for end := time.Now().Add(100 * time.Second); ; time.Sleep(100 * time.Millisecond) {
				_, err := bench.RouteOf(t.Context(), nil, c.NS, "ha")
				if err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("the slave has not registered the topic: %v", err)
				}
			}
			want(t, javaClient(t, client, "push", c.NS, "ha", "g_ha_slave", "3000"), "distinct", 3000)
		})
	}
}

// same waits until the log of the slave is that of the master.
func same(t *testing.T, c *target.Cluster) {
	t.Helper()
	var diff string
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if diff = difference(t, c.Store(0), c.SlaveStore(1)); diff == "" {
			return
		}
	}
	t.Fatalf("the logs differ: %s\nmaster:\n%s\nslave:\n%s", diff, c.Brokers[0].Log(), c.Brokers[1].Log())
}

func logFiles(t *testing.T, store string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	list, err := os.ReadDir(filepath.Join(store, "commitlog"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range list {
		if len(e.Name()) != 20 {
			continue
		}
		b, err := os.ReadFile(filepath.Join(store, "commitlog", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.Trim(b, "\x00")) > 0 { // else made in advance
			out[e.Name()] = b
		}
	}
	return out
}

func difference(t *testing.T, a, b string) string {
	t.Helper()
	x, y := logFiles(t, a), logFiles(t, b)
	if len(x) != len(y) || len(x) == 0 {
		return fmt.Sprintf("%d and %d files", len(x), len(y))
	}
	for name, p := range x {
		q := y[name]
		for i := range p {
			if i >= len(q) || p[i] != q[i] {
				return fmt.Sprintf("%s at %d", name, i)
			}
		}
	}
	return ""
}
