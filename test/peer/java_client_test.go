//go:build peer

package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// clients are the unmodified Java clients, by the jar set that test/peer/setup.sh made.
var clients = []string{java55, java49}

// javaClient runs one action of PeerClient and returns its line of JSON.
func javaClient(t *testing.T, set string, args ...string) map[string]any {
	t.Helper()
	return javaMain(t, set, "PeerClient", args...)
}

// javaMain runs the main class of a file in java/ or java-5.5.0/ and returns the last line that it prints, which is JSON.
func javaMain(t *testing.T, set, class string, args ...string) map[string]any {
	t.Helper()
	return javaMainWith(t, set, nil, class, args...)
}

// javaMainWith is javaMain with more flags for the JVM.
func javaMainWith(t *testing.T, set string, jvm []string, class string, args ...string) map[string]any {
	t.Helper()
	home := t.TempDir()
	line := slices.Concat(ownJVM(t, set, append([]string{"-Xmx256m", "-Duser.home=" + home, "-Drocketmq.client.logRoot=" + home}, jvm...)), []string{"Run", class}, args)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if err != nil || !strings.HasPrefix(last, "{") {
		t.Fatalf("%s %v: %v\n%s", set, args, err, out)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(last), &m); err != nil {
		t.Fatalf("%v in %s", err, last)
	}
	return m
}

// ownJVM is how a command begins that runs a class of java/ or java-5.5.0/, up to the class.
func ownJVM(t *testing.T, set string, flags []string) []string {
	t.Helper()
	classes, err := filepath.Abs(filepath.Join("..", "..", "build", "classes-"+set))
	if err != nil {
		t.Fatal(err)
	}
	return target.JVM(t, set, flags, classes)
}

// newCluster starts a cluster and waits until its brokers have registered: a client that comes before finds no route.
func newCluster(t *testing.T, o target.Options) *target.Cluster {
	t.Helper()
	c := target.New(t, o)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := bench.RouteOf(t.Context(), nil, c.NS, "TBW102")
		if err == nil && len(r.Write) == 8*max(o.Brokers, 1) {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d brokers have not registered: %v", len(c.Brokers), o.Brokers, err)
		}
	}
}

// registered waits until the name server has a route of topic: after a kill the broker must come back first.
func registered(t *testing.T, c *target.Cluster, topic string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := bench.RouteOf(t.Context(), nil, c.NS, topic)
		if err == nil && len(r.Write) > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no route of %s: %v\n%s", topic, err, c.Brokers[0].Log())
		}
	}
}

// consumedOnDisk waits until consumerOffset.json of a broker says that the group has consumed n messages of the topic. Brokers write it
// every few seconds, and ours has written its journal by then.
func consumedOnDisk(t *testing.T, store, topic, group string, n int64) {
	t.Helper()
	path := filepath.Join(store, "config", "consumerOffset.json")
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(path)
		sum := int64(0)
		if v, bad := fastjson.Parse(text); err == nil && bad == nil {
			for _, q := range v.Get("offsetTable").Get(topic + "@" + group).Members() {
				sum += q.Val.Int64()
			}
		}
		if sum == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d messages that %s consumed are in %s: %v\n%s", sum, n, group, path, err, text)
		}
	}
}

// knows waits until the broker at addr, a slave, has taken over the topic.
func knows(t *testing.T, addr, topic string) {
	t.Helper()
	o := newTool(t, addr)
	until(t, 90*time.Second, "topic "+topic+" at "+addr, func() bool {
		var topics protocol.TopicConfigAndMappingSerializeWrapper
		if err := topics.Decode(o.do(protocol.ReqGetAllTopicConfig, nil, nil).Body); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(topics.TopicConfigTable, func(c protocol.TopicConfig) bool { return c.TopicName == topic })
	})
}

func want(t *testing.T, m map[string]any, key string, v any) {
	t.Helper()
	if fmt.Sprint(m[key]) != fmt.Sprint(v) {
		t.Errorf("%s: %s = %v, want %v (%v)", m["action"], key, m[key], v, m)
	}
}

func TestJavaClients(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, clients[0])
	c := newCluster(t, target.Options{Kind: target.Ours, Brokers: 2})
	for _, set := range clients {
		t.Run(set, func(t *testing.T) {
			covers(t, set, "Send (sync, async, one-way, batch, 4 MB), push with tags, orderly, lite pull, view and query by key")
			v := strings.NewReplacer(".", "_", "-", "_").Replace(set)
			topic, group := "peer_"+v, "g_"+v
			sent := javaClient(t, set, "send", c.NS, topic, group, "200")
			want(t, sent, "ok", 200)
			want(t, javaClient(t, set, "async", c.NS, topic+"_async", group, "500"), "ok", 500)
			want(t, javaClient(t, set, "oneway", c.NS, topic+"_oneway", group, "200"), "ok", 200)
			m := javaClient(t, set, "batch", c.NS, topic+"_batch", group, "320")
			want(t, m, "ok", 320)
			want(t, m, "error", nil)

			m = javaClient(t, set, "push", c.NS, topic, group+"_push", "200")
			want(t, m, "distinct", 200)
			want(t, m, "got", 200)
			want(t, javaClient(t, set, "push", c.NS, topic, group+"_tag", "100", "TagA"), "distinct", 100)
			want(t, javaClient(t, set, "push", c.NS, topic+"_batch", group+"_b", "320"), "distinct", 320)
			want(t, javaClient(t, set, "push", c.NS, topic+"_oneway", group+"_o", "200"), "distinct", 200)
			want(t, javaClient(t, set, "litepull", c.NS, topic, group+"_lite", "200"), "distinct", 200)

			want(t, javaClient(t, set, "ordered", c.NS, topic+"_ord", group, "400"), "ok", 400)
			m = javaClient(t, set, "orderly", c.NS, topic+"_ord", group+"_ord", "400")
			want(t, m, "got", 400)
			want(t, m, "inverted", 0)

			m = javaClient(t, set, "view", c.NS, topic, group, "0", sent["offsetMsgId"].(string))
			want(t, m, "body", "body-199")
			want(t, m, "byKey", 1)
			want(t, javaClient(t, set, "big", c.NS, topic+"_big", group, "4000000"), "ok", 1)
		})
	}
}

// TestJavaClientGoesOnAfterAKill restarts the broker under a consumer group: it must go on where it was.
func TestJavaClientGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	set := clients[0]
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"flushConsumerOffsetInterval": "500"}})
	want(t, javaClient(t, set, "send", c.NS, "peer_kill", "g_kill", "100"), "ok", 100)
	want(t, javaClient(t, set, "push", c.NS, "peer_kill", "g_kill_c", "100"), "got", 100)
	consumedOnDisk(t, c.Store(0), "peer_kill", "g_kill_c", 100)
	c.Brokers[0].Kill()
	c.Brokers[0].Start()
	registered(t, c, "peer_kill")
	want(t, javaClient(t, set, "send", c.NS, "peer_kill", "g_kill", "50"), "ok", 50)
	m := javaClient(t, set, "push", c.NS, "peer_kill", "g_kill_c", "50")
	want(t, m, "got", 50) // nothing again from before the kill
}
