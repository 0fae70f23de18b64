//go:build peer

package peer

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/controltalk"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

var updateConversation = flag.Bool("update-conversation", false, "write what Java's controller says to the golden file")

// TestControllerConversation holds with Java's controller, and with ours as a process, the conversation that the unit test
// of package controller holds with ours in memory.
func TestControllerConversation(t *testing.T) {
	t.Parallel()
	const golden = "../../internal/controller/testdata/java/5.5.0/conversation.txt"
	for _, kind := range []target.Kind{target.Java, target.Ours} {
		t.Run(string(kind), func(t *testing.T) {
			k := startControllers(t, kind, 1)
			got, err := controltalk.Hold(t.Context(), nil, k.addrs[0])
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, got, k.procs[0].Log())
			}
			if *updateConversation && kind == target.Java {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("%s differs from the golden file:\n%s", kind, d)
			}
		})
	}
}

// controllers are a group of them.
type controllers struct {
	addrs []string
	procs []*target.Process
}

func (k *controllers) list() string { return strings.Join(k.addrs, ";") }

// startControllers starts a group and waits until it has a leader.
func startControllers(t *testing.T, kind target.Kind, n int) *controllers {
	t.Helper()
	if kind == target.Java {
		target.NeedJava(t, "server-5.5.0")
	}
	dir := t.TempDir()
	base := target.FreePorts(t, n)
	k := &controllers{}
	var peers []string
	for i := range n {
		k.addrs = append(k.addrs, fmt.Sprintf("127.0.0.1:%d", base+i))
		peers = append(peers, fmt.Sprintf("n%d-%s", i, k.addrs[i]))
	}
	for i := range n {
		d := filepath.Join(dir, fmt.Sprintf("n%d", i))
		k.procs = append(k.procs, target.Serve(t, kind, "controller", d, "256m", map[string]string{
			"controllerDLegerGroup": "group1", "controllerDLegerPeers": strings.Join(peers, ";"), "controllerDLegerSelfId": fmt.Sprintf("n%d", i),
			"controllerStorePath": filepath.Join(d, "store"), "configStorePath": filepath.Join(d, "controller.properties"),
			"mappedFileSize": "1048576",
		}))
	}
	for i := range n {
		k.procs[i].WaitPort(k.addrs[i], 60*time.Second)
	}
	until(t, 60*time.Second, "a leader", func() bool { return k.leader(t) >= 0 })
	return k
}

// leader returns the index of the controller that leads, -1 when there is none.
func (k *controllers) leader(t *testing.T) int {
	t.Helper()
	for i, addr := range k.addrs {
		r, err := invoke(t, addr, protocol.ReqControllerGetMetadataInfo, nil)
		if err == nil && r.Ext["isLeader"] == "true" {
			// It says so before it is ready.
			if r, err = invoke(t, addr, protocol.ReqControllerGetSyncStateData, protocol.AppendNames(nil, []string{"x"})); err == nil && r.Code == 0 {
				return i
			}
		}
	}
	return -1
}

func until(t *testing.T, most time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > most {
			t.Fatalf("no %s after %v", what, most)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

func invoke(t *testing.T, addr string, code int32, body []byte) (*remoting.Command, error) {
	t.Helper()
	c := remoting.NewClient(remoting.ClientOptions{})
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	return c.Invoke(ctx, addr, &remoting.Command{Code: code, Body: body})
}

// replicas asks the leader for the state of broker-a.
func (k *controllers) replicas(t *testing.T) (out protocol.ReplicasInfo) {
	t.Helper()
	for _, addr := range k.addrs {
		r, err := invoke(t, addr, protocol.ReqControllerGetSyncStateData, protocol.AppendNames(nil, []string{"broker-a"}))
		if err != nil || r.Code != 0 {
			continue
		}
		var b protocol.BrokerReplicasInfo
		if b.Decode(r.Body) == nil && len(b.Sets) == 1 {
			return b.Sets[0]
		}
	}
	return out
}

// controlled is a broker set of two Java brokers under controllers.
type controlled struct {
	k     *controllers
	ns    string
	addrs []string
	procs []*target.Process
	names *strings.Replacer // addresses to names
}

func (c *controlled) inSync(t *testing.T, n int) {
	t.Helper()
	until(t, 90*time.Second, fmt.Sprintf("sync-state set of %d", n), func() bool { return len(c.k.replicas(t).InSync) == n })
}

var (
	mqadminError = regexp.MustCompile(`CODE: \d+ +DESC: [^\n]*`)
	mqadminNoise = regexp.MustCompile(`(?m)^.*\|-(INFO|WARN).*\n|^\s*\n`)
)

// mqadmin runs the unmodified tool. What it prints keeps no address of this run.
func (c *controlled) mqadmin(t *testing.T, args ...string) string {
	t.Helper()
	out := target.MQAdmin(t, c.ns, args...)
	if e := mqadminError.FindString(out); e != "" {
		return c.names.Replace(e)
	}
	return c.names.Replace(mqadminNoise.ReplaceAllString(out, ""))
}

// TestJavaBrokersUnderOurControllers: unmodified brokers of Java 5.5.0 in controller mode with our controllers: first start,
// second replica, election by mqadmin, kill -9 of the master, rejoin. The same with a controller of Java shows what mqadmin
// prints then.
func TestJavaBrokersUnderOurControllers(t *testing.T) {
	t.Parallel()
	said := map[string]string{}
	for i, tc := range []struct {
		kind, ns    target.Kind
		controllers int
	}{{target.Java, target.Java, 1}, {target.Ours, target.Java, 1}, {target.Ours, target.Ours, 3}} {
		t.Run(fmt.Sprintf("%d-%s-namesrv-%s", tc.controllers, tc.kind, tc.ns), func(t *testing.T) {
			variant(t, 2-i) // three of ours are the one that the gate runs
			if tc.kind == target.Ours {
				covers(t, java55, "Brokers in controller mode under our controllers: first start, fail-over, rejoin; mqadmin's controller commands")
			}
			c := &controlled{k: startControllers(t, tc.kind, tc.controllers)}
			c.begin(t, tc.ns)
			c.failOver(t, said, tc.kind)
		})
	}
}

func (c *controlled) begin(t *testing.T, ns target.Kind) {
	t.Helper()
	dir := t.TempDir()
	port := target.FreePorts(t, 1)
	c.ns = fmt.Sprintf("127.0.0.1:%d", port)
	target.Serve(t, ns, "namesrv", filepath.Join(dir, "ns"), "256m", map[string]string{
		"listenPort": fmt.Sprint(port), "bindAddress": "127.0.0.1", "kvConfigPath": filepath.Join(dir, "kv.json"),
		"configStorePath": filepath.Join(dir, "ns.properties"),
	}).WaitPort(c.ns, 60*time.Second)
	for i := range 2 {
		p := target.FreePorts(t, 4) + 2
		d := filepath.Join(dir, fmt.Sprintf("b%d", i+1))
		c.addrs = append(c.addrs, fmt.Sprintf("127.0.0.1:%d", p))
		c.procs = append(c.procs, target.Serve(t, target.Java, "broker", d, "512m", map[string]string{
			"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerId": "-1", "brokerRole": "SLAVE",
			"enableControllerMode": "true", "controllerAddr": c.k.list(), "allAckInSyncStateSet": "true",
			"brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "bindAddress": "127.0.0.1", "listenPort": fmt.Sprint(p),
			"haListenPort": fmt.Sprint(p + 1), "namesrvAddr": c.ns, "autoCreateTopicEnable": "true",
			"storePathRootDir": filepath.Join(d, "store"), "storePathCommitLog": filepath.Join(d, "store", "commitlog"),
			"mappedFileSizeCommitLog": "16777216",
		}))
		until(t, 120*time.Second, fmt.Sprintf("master and broker %d", i+1), func() bool {
			r := c.k.replicas(t)
			return r.MasterBrokerID == 1 && len(r.InSync)+len(r.NotInSync) == i+1
		})
	}
	c.names = strings.NewReplacer(c.k.addrs[0], "CONTROLLER", c.addrs[0], "BROKER1", c.addrs[1], "BROKER2", c.ns, "NS")
	c.inSync(t, 2)
}

// sends reports whether a message can be sent.
func (c *controlled) sends(t *testing.T, topic string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, target.Binary(t), "send", "-n", c.ns, "-t", topic, "-b", "probe").Run() == nil
}

func (c *controlled) failOver(t *testing.T, said map[string]string, kind target.Kind) {
	t.Helper()
	say := func(what, out string) {
		t.Helper()
		if kind == target.Java {
			said[what] = out
		} else if old, ok := said[what]; ok && len(c.k.addrs) == 1 && old != out {
			t.Errorf("%s: mqadmin prints something else with our controller:\n%s", what, cmp.Diff(old, out))
		}
	}
	lead := c.k.addrs[max(c.k.leader(t), 0)]
	until(t, 60*time.Second, "first send", func() bool { return c.sends(t, "probe") })
	want(t, javaClient(t, java55, "send", c.ns, "under_first", "g", "300"), "ok", 300)
	say("metadata", c.mqadmin(t, "getControllerMetaData", "-a", lead))
	say("in sync", c.mqadmin(t, "getSyncStateSet", "-a", lead, "-b", "broker-a"))
	say("clean alive", c.mqadmin(t, "cleanBrokerMetadata", "-a", lead, "-bn", "broker-a", "-b", "2", "-c", "DefaultCluster"))
	say("elect", c.mqadmin(t, "electMaster", "-a", lead, "-b", "2", "-bn", "broker-a", "-c", "DefaultCluster"))
	until(t, 60*time.Second, "the elected master", func() bool { return c.k.replicas(t).MasterBrokerID == 2 })
	c.inSync(t, 2)
	say("after the election", c.mqadmin(t, "getSyncStateSet", "-a", lead, "-b", "broker-a"))
	say("change", c.mqadmin(t, "updateControllerConfig", "-a", lead, "-k", "enableElectUncleanMaster", "-v", "false"))
	if out := c.mqadmin(t, "getControllerConfig", "-a", lead); !regexp.MustCompile(`enableElectUncleanMaster +=  false`).MatchString(out) {
		t.Errorf("getControllerConfig: %s", out)
	}
	until(t, 60*time.Second, "send to the elected master", func() bool { return c.sends(t, "probe") })
	want(t, javaClient(t, java55, "send", c.ns, "under_elected", "g", "300"), "ok", 300)

	knows(t, c.addrs[0], "under_elected") // Java's slaves take over topics every 10 s, a newer one would not be there after the kill
	c.procs[1].Kill()
	elected := until(t, 60*time.Second, "new master after kill -9", func() bool { return c.k.replicas(t).MasterBrokerID == 1 })
	again := elected + until(t, 60*time.Second, "send after kill -9", func() bool { return c.sends(t, "probe") })
	t.Logf("kill -9 of the master: new master after %v, a message is taken after %v", elected.Round(time.Millisecond), again.Round(time.Millisecond))
	say("one is dead", c.mqadmin(t, "getSyncStateSet", "-a", lead, "-b", "broker-a"))

	c.procs[1].Start()
	c.inSync(t, 2)
	if r := c.k.replicas(t); r.MasterBrokerID != 1 || r.MasterEpoch != 3 {
		t.Errorf("%+v", r)
	}
	for _, topic := range []string{"under_first", "under_elected"} {
		want(t, javaClient(t, java55, "push", c.ns, topic, "g_read", "300"), "distinct", 300)
	}
	c.procs[1].Kill()
	until(t, 60*time.Second, "the end of broker 2", func() bool { return len(c.k.replicas(t).InSync) == 1 })
	say("clean dead", c.mqadmin(t, "cleanBrokerMetadata", "-a", lead, "-bn", "broker-a", "-b", "2", "-c", "DefaultCluster"))
	say("cleaned", c.mqadmin(t, "getSyncStateSet", "-a", lead, "-b", "broker-a"))
}
