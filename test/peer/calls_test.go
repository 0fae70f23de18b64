//go:build peer

package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestRequestReply has unmodified clients ask and answer.
func TestRequestReply(t *testing.T) {
	t.Parallel()
	c := newCluster(t, target.Options{Kind: target.Ours, Brokers: 2})
	for _, addr := range c.Addrs {
		for _, client := range []string{java55, java49, "go"} {
			newTool(t, addr).fill("rpc_"+name(client), 0) // or a consumer finds the topic half a minute later
		}
	}
	for _, set := range clients {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			covers(t, set, "Request-reply (sync, async)")
			v := name(set)
			m := javaMain(t, set, "RequestReply", c.NS, "rpc_"+v, "g_rpc_"+v, "100")
			want(t, m, "sync", 100)
			if n, _ := m["async"].(float64); n < 100 { // the request may come twice while its consumers balance, and so may the answer
				t.Errorf("answers to asynchronous requests: %v", m)
			}
			want(t, m, "refused", 0)
			want(t, m, "timedOut", true)
		})
	}
	t.Run(goV2, func(t *testing.T) {
		t.Parallel()
		covers(t, goV2, "Request-reply (sync, async)")
		m := goMain(t, "request", c.NS, "rpc_go", "g_rpc_go", "100")
		want(t, m, "sync", 100)
		want(t, m, "async", 100)
	})
}

func name(set string) string { return strings.NewReplacer(".", "_", "-", "_").Replace(set) }

// tool asks a broker as an operator's tool does.
type tool struct {
	t    *testing.T
	c    *remoting.Client
	addr string
}

func newTool(t *testing.T, addr string) *tool {
	t.Helper()
	c := remoting.NewClient(remoting.ClientOptions{Version: protocol.VersionServed})
	t.Cleanup(c.Close)
	return &tool{t: t, c: c, addr: addr}
}

func (o *tool) ask(code int32, h remoting.HeaderAppender, body []byte) *remoting.Command {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	r, err := o.c.Invoke(ctx, o.addr, &remoting.Command{Code: code, Header: h, Body: body})
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

// consumed waits until the group has committed n messages of the topic, in all its queues.
func (o *tool) consumed(topic, group string, n int64) {
	o.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var st protocol.ConsumeStats
		r := o.ask(protocol.ReqGetConsumeStats, &protocol.GetConsumeStatsRequestHeader{ConsumerGroup: group, Topic: topic}, nil)
		_ = st.Decode(r.Body)
		sum := int64(0)
		for _, q := range st.OffsetTable {
			sum += max(q.ConsumerOffset, 0)
		}
		if sum == n {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("the group has not consumed %d: %s", n, r.Body)
		}
	}
}

// client returns the id of the group's only client.
func (o *tool) client(group string) string {
	o.t.Helper()
	var cc protocol.ConsumerConnection
	r := o.ask(protocol.ReqGetConsumerConnectionList, &protocol.GetConsumerConnectionListRequestHeader{ConsumerGroup: group}, nil)
	if err := cc.Decode(r.Body); err != nil || len(cc.ConnectionSet) != 1 {
		o.t.Fatalf("code %d %q %s %v", r.Code, r.Remark, r.Body, err)
	}
	return cc.ConnectionSet[0].ClientID
}

// fill makes a topic of one queue with n messages and returns the id of the last one.
func (o *tool) fill(topic string, n int) (msgID string) {
	o.t.Helper()
	r := o.ask(protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6, TopicFilterType: "SINGLE_TAG",
	}, nil)
	for i := 0; i < n && r.Code == 0; i++ {
		r = o.ask(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
			ProducerGroup: "p", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
		}, []byte(fmt.Sprint("body-", i)))
		msgID = r.Ext["msgId"]
	}
	if r.Code != 0 {
		o.t.Fatalf("code %d %q", r.Code, r.Remark)
	}
	return msgID
}

// TestClientsAreCalled resets unmodified consumers, asks them what they do and has them consume a message directly.
func TestClientsAreCalled(t *testing.T) {
	t.Parallel()
	const n = 20
	for _, how := range []struct{ name, key string }{{"broker", "true"}, {"client", "false"}} {
		c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"useServerSideResetOffset": how.key}})
		for _, set := range []string{java55, java49, goV2} {
			t.Run(how.name+"/"+set, func(t *testing.T) {
				t.Parallel()
				covers(t, set, "Reset of positions by the "+how.name)
				if how.key == "true" {
					covers(t, set, "Running info, consume directly, consumer status")
				}
				topic, group := "called_"+name(set), "g_called_"+name(set)
				o := newTool(t, c.Addrs[0])
				msgID := o.fill(topic, n)
				got := make(chan map[string]any, 1)
				go func() {
					defer close(got)
					if set == goV2 {
						got <- goMain(t, "called", c.NS, topic, group, fmt.Sprint(2*n+1))
					} else {
						got <- javaMain(t, set, "Called", c.NS, topic, group, fmt.Sprint(2*n+1))
					}
				}()
				o.consumed(topic, group, n)
				id := o.client(group)
				r := o.ask(protocol.ReqGetConsumerRunningInfo, &protocol.GetConsumerRunningInfoRequestHeader{ConsumerGroup: group, ClientID: id, JstackEnable: true}, nil)
				if r.Code != 0 || !strings.Contains(string(r.Body), topic) && !goNaN(set, r.Remark) {
					t.Errorf("running info: %d %q %.300s", r.Code, r.Remark, r.Body)
				}
				r = o.ask(protocol.ReqConsumeMessageDirectly, &protocol.ConsumeMessageDirectlyResultRequestHeader{ConsumerGroup: group, ClientID: id, MsgID: msgID, Topic: topic}, nil)
				var res protocol.ConsumeMessageDirectlyResult
				if err := res.Decode(r.Body); r.Code != 0 || err != nil || res.ConsumeResult != "CR_SUCCESS" && (set != goV2 || !strings.Contains(string(r.Body), `"consumeResult":0`)) {
					t.Errorf("consume directly: %d %q %s", r.Code, r.Remark, r.Body)
				}
				r = o.ask(protocol.ReqInvokeBrokerToGetConsumerStatus, &protocol.GetConsumerStatusRequestHeader{Topic: topic, Group: group}, nil)
				var st protocol.GetConsumerStatusBody
				if err := st.Decode(r.Body); r.Code != 0 || err != nil || len(st.ConsumerTable[id]) != 1 || st.ConsumerTable[id][0].Offset != n {
					t.Errorf("consumer status: %d %q %s", r.Code, r.Remark, r.Body)
				}
				r = o.ask(protocol.ReqInvokeBrokerToResetOffset, &protocol.ResetOffsetRequestHeader{Group: group, Topic: topic, QueueID: -1, Timestamp: 1, Force: true}, nil)
				if r.Code != 0 {
					t.Errorf("reset: %d %q", r.Code, r.Remark)
				}
				m := <-got
				want(t, m, "all", true)
				o.consumed(topic, group, n)
			})
		}
	}
}

// goNaN reports a fault of the Go client: it answers with this remark when nothing was consumed in the last minute.
func goNaN(set, remark string) bool {
	return set == goV2 && strings.Contains(remark, "unsupported value: NaN")
}

// goBinary builds goclient/ once.
var goBinary = sync.OnceValues(func() (string, error) { return buildClient("goclient") })

// buildClient builds the module in a folder.
func buildClient(dir string) (string, error) {
	bin, err := filepath.Abs(filepath.Join("..", "..", "build", dir))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
}

// goMain runs one action of the Go client and returns its line of JSON.
func goMain(t *testing.T, args ...string) map[string]any {
	t.Helper()
	return goMainWith(t, nil, args...)
}

// goMainWith is goMain with more in the environment.
func goMainWith(t *testing.T, env []string, args ...string) map[string]any {
	t.Helper()
	return clientMain(t, goBinary, env, args...)
}

// clientMain runs one action of a client that build makes.
func clientMain(t *testing.T, build func() (string, error), env []string, args ...string) map[string]any {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(append(os.Environ(), "HOME="+t.TempDir()), env...)
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var m map[string]any
	if err == nil {
		err = json.Unmarshal([]byte(lines[len(lines)-1]), &m)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return m
}

// TestTools has the official tools ask about a running consumer.
func TestTools(t *testing.T) {
	t.Parallel()
	covers(t, java55, "DefaultMQAdminExt about consumers (connections, running info, direct, statistics, reset, clone)")
	c := newCluster(t, target.Options{Kind: target.Ours})
	o := newTool(t, c.Addrs[0])
	msgID := o.fill("tools", 10)
	got := make(chan map[string]any, 1)
	go func() {
		defer close(got)
		got <- javaMain(t, java55, "Called", c.NS, "tools", "g_tools", "21")
	}()
	o.consumed("tools", "g_tools", 10)
	m := javaMain(t, java55, "Tool", c.NS, "tools", "g_tools", c.Addrs[0], msgID)
	text, _ := json.Marshal(m)
	t.Logf("%s", text)
	for key, v := range map[string]any{
		"connections": 1, "subscriptions": 2, "stacks": true, "own": 2, "direct": "CR_SUCCESS", "diff": 0, "stored": 10,
		"who": true, "spans": 1, "units": 5, "subscribed": "*", "status": 1, "reset": 1, "to": 0,
	} {
		want(t, m, key, v)
	}
	if n, _ := m["running"].(float64); n < 1 { // the retry topic's queue comes with the next balancing
		t.Errorf("running info of %v queues", m["running"])
	}
	want(t, <-got, "all", true)
	if at := o.ask(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: "g_tools_clone", Topic: "tools"}, nil); at.Ext["offset"] != "10" {
		t.Errorf("cloned position: %d %v", at.Code, at.Ext)
	}
}
