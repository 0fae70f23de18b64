//go:build peer

package peer

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// memberSet is a set of brokers under controllers, of either kind each.
type memberSet struct {
	t       *testing.T
	dir     string
	ns, ctl string // addresses
	names   *target.Process
	brokers []*target.Process
	addrs   []string
	client  *remoting.Client
}

// newMemberSet starts a name server with a controller in it: Java's is one process, ours two.
func newMemberSet(t *testing.T, kind target.Kind) *memberSet {
	t.Helper()
	c := &memberSet{t: t, dir: t.TempDir(), client: remoting.NewClient(remoting.ClientOptions{})}
	t.Cleanup(c.client.Close)
	ns, ctl := target.FreePorts(t, 1), target.FreePorts(t, 1)
	c.ns, c.ctl = fmt.Sprintf("127.0.0.1:%d", ns), fmt.Sprintf("127.0.0.1:%d", ctl)
	conf := map[string]string{
		"listenPort": fmt.Sprint(ns), "bindAddress": "127.0.0.1", "kvConfigPath": filepath.Join(c.dir, "kvConfig.json"),
		"enableControllerInNamesrv": "true", "controllerDLegerGroup": "g", "controllerDLegerPeers": fmt.Sprintf("n0-127.0.0.1:%d", ctl),
		"controllerDLegerSelfId": "n0", "controllerStorePath": filepath.Join(c.dir, "controller"),
	}
	c.names = target.Run(t, target.Server{
		Kind: kind, Role: "namesrv", Conf: target.WriteConf(t, filepath.Join(c.dir, "namesrv.conf"), conf), Log: filepath.Join(c.dir, "namesrv.log"),
		Home: filepath.Join(c.dir, "namesrv-home"),
	})
	c.names.WaitPort(c.ns, 180*time.Second)
	c.names.WaitPort(c.ctl, 60*time.Second)
	return c
}

func (c *memberSet) store(i int) string {
	return filepath.Join(c.dir, fmt.Sprint("broker-", i), "store")
}

// add starts a broker.
func (c *memberSet) add(kind target.Kind, set map[string]string) {
	c.t.Helper()
	i := len(c.brokers)
	dir := filepath.Join(c.dir, fmt.Sprint("broker-", i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	port := target.FreePorts(c.t, 4) + 2
	conf := map[string]string{
		"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "bindAddress": "127.0.0.1",
		"listenPort": fmt.Sprint(port), "haListenPort": fmt.Sprint(port + 1), "namesrvAddr": c.ns, "storePathRootDir": c.store(i),
		"storePathCommitLog": filepath.Join(c.store(i), "commitlog"), "storePathEpochFile": filepath.Join(c.store(i), "epochFileCheckpoint"),
		"storePathBrokerIdentity": filepath.Join(c.store(i), "brokerIdentity"), "enableControllerMode": "true", "controllerAddr": c.ctl,
		"mappedFileSizeCommitLog": "262144", "autoCreateTopicEnable": "true", "allAckInSyncStateSet": "true",
	}
	maps.Copy(conf, set)
	p := target.Run(c.t, target.Server{
		Kind: kind, Role: "broker", Conf: target.WriteConf(c.t, filepath.Join(dir, "broker.conf"), conf), Log: filepath.Join(dir, "broker.log"),
		Home: filepath.Join(dir, "home"), Heap: "512m",
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	p.WaitPort(addr, 240*time.Second)
	c.brokers, c.addrs = append(c.brokers, p), append(c.addrs, addr)
}

// inSync waits until the controllers say that so many brokers are in sync and the one at addr is the master.
func (c *memberSet) inSync(n int, addr string) {
	c.t.Helper()
	var last string
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		resp, err := c.client.Invoke(ctx, c.ctl, &remoting.Command{Code: protocol.ReqControllerGetSyncStateData, Body: protocol.AppendNames(nil, []string{"broker-a"})})
		cancel()
		if err != nil {
			last = err.Error()
			continue
		}
		last = string(resp.Body)
		var all protocol.BrokerReplicasInfo
		if resp.Code == protocol.RespSuccess && all.Decode(resp.Body) == nil && len(all.Sets) == 1 && len(all.Sets[0].InSync) == n && (addr == "" || all.Sets[0].MasterAddress == addr) {
			return
		}
	}
	c.t.Fatalf("not %d in sync under %s: %s%s", n, addr, last, c.logs())
}

func (c *memberSet) logs() string {
	var b strings.Builder
	for i, p := range c.brokers {
		fmt.Fprintf(&b, "\nbroker %d:\n%s", i, p.Log())
	}
	return b.String()
}

// writable waits until the name server says that topic is written at addr.
func (c *memberSet) writable(topic, addr string) {
	c.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := bench.RouteOf(c.t.Context(), nil, c.ns, topic)
		if err == nil && len(r.Write) > 0 && r.Write[0].Addr == addr {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("the route of %s does not lead to %s: %+v, %v%s", topic, addr, r, err, c.logs())
		}
	}
}

func (c *memberSet) alike() {
	c.t.Helper()
	var diff string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if diff = difference(c.t, c.store(0), c.store(1)); diff == "" {
			return
		}
	}
	c.t.Fatalf("the logs differ: %s%s", diff, c.logs())
}

// TestMembers: brokers of both kinds in one set, under a controller of either kind: each takes over from the other when it is
// killed, the one that comes back copies, logs are the same byte for byte, and nothing is lost.
func TestMembers(t *testing.T) {
	t.Parallel()
	const client = "server-5.5.0"
	target.NeedJava(t, client)
	for v, tt := range []struct {
		name    string
		ctl     target.Kind
		brokers [2]target.Kind
	}{
		{"two of ours under a Java controller", target.Java, [2]target.Kind{target.Ours, target.Ours}},
		{"ours and then a Java broker under a Java controller", target.Java, [2]target.Kind{target.Ours, target.Java}},
		{"a Java broker and then ours under our controller", target.Ours, [2]target.Kind{target.Java, target.Ours}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			variant(t, v)
			c := newMemberSet(t, tt.ctl)
			c.add(tt.brokers[0], nil)
			c.inSync(1, c.addrs[0])
			c.writable("TBW102", c.addrs[0])
			c.add(tt.brokers[1], nil)
			c.inSync(2, c.addrs[0])
			sent := 0
			send := func(n int) {
				t.Helper()
				want(t, javaClient(t, client, "send", c.ns, "ha", "g_ha", fmt.Sprint(n)), "ok", n)
				sent += n
			}
			send(1000)
			c.alike()
			time.Sleep(12 * time.Second) // a Java slave takes over the topics every 10 s
			for _, turn := range []int{0, 1} {
				c.brokers[turn].Kill()
				killed := time.Now()
				c.writable("ha", c.addrs[1-turn])
				t.Logf("%s took over from %s after %v", tt.brokers[1-turn], tt.brokers[turn], time.Since(killed).Round(10*time.Millisecond))
				send(500)
				c.brokers[turn].Start()
				c.inSync(2, c.addrs[1-turn])
				send(500)
				c.alike()
				time.Sleep(12 * time.Second)
			}
			want(t, javaClient(t, client, "push", c.ns, "ha", "g_ha_all", fmt.Sprint(sent)), "got", sent)
			for i := range c.brokers {
				id, err := os.ReadFile(filepath.Join(c.store(i), "brokerIdentity"))
				if want := fmt.Sprintf("DefaultCluster#broker-a#%d", i+1); err != nil || string(id) != want {
					t.Errorf("identity of broker %d: %q, %v", i, id, err)
				}
			}
		})
	}
}

// TestMQAdminSeesMembers: what mqadmin says about brokers of ours under a Java controller.
func TestMQAdminSeesMembers(t *testing.T) {
	t.Parallel()
	variant(t, 1)
	c := newMemberSet(t, target.Java)
	c.add(target.Ours, nil)
	c.inSync(1, c.addrs[0])
	c.add(target.Ours, nil)
	c.inSync(2, c.addrs[0])
	c.writable("TBW102", c.addrs[0])
	if out := target.MQAdmin(t, c.ns, "getBrokerEpoch", "-b", "broker-a", "-n", c.ns); !strings.Contains(out, "Epoch: EpochEntry{epoch=1, startOffset=0") {
		t.Errorf("getBrokerEpoch: %s", out)
	}
	if out := target.MQAdmin(t, c.ns, "getSyncStateSet", "-a", c.ctl, "-b", "broker-a"); !strings.Contains(out, "masterEpoch\t1") && !strings.Contains(out, "MasterEpoch\t1") {
		t.Errorf("getSyncStateSet: %s", out)
	}
	if out := target.MQAdmin(t, c.ns, "haStatus", "-b", c.addrs[0], "-n", c.ns); !strings.Contains(out, "MasterAddr") && !strings.Contains(out, "masterAddr") && !strings.Contains(out, "inSyncSlaveNums") {
		t.Errorf("haStatus: %s", out)
	}
	// The operator chooses another master.
	target.MQAdmin(t, c.ns, "electMaster", "-a", c.ctl, "-b", "2", "-bn", "broker-a", "-c", "DefaultCluster")
	c.inSync(2, c.addrs[1])
	c.writable("TBW102", c.addrs[1])
}
