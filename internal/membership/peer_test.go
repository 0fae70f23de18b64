//go:build peer

package membership_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

func TestJavaNameServerKnowsThisBroker(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", target.FreePorts(t, 1))
	_, port, _ := strings.Cut(addr, ":")
	ns := target.JavaServer(t, "org.apache.rocketmq.namesrv.NamesrvStartup", map[string]string{
		"bindAddress": "127.0.0.1", "listenPort": port, "kvConfigPath": t.TempDir() + "/kvConfig.json",
	}, "256m")

	client := remoting.NewClient(remoting.ClientOptions{})
	defer client.Close()
	var mu sync.Mutex
	version := mq.DataVersion{Counter: 1, Timestamp: time.Now().UnixMilli()}
	topics := []mq.TopicConfig{topic("T", 4), topic("U", 8)}
	reg := membership.New(membership.Options{
		NameServers: []string{addr}, Client: client, Cluster: "DefaultCluster", Name: "broker-a", Addr: "127.0.0.1:10911", HAAddr: "127.0.0.1:10912",
		Topics: func() ([]mq.TopicConfig, mq.DataVersion) {
			mu.Lock()
			defer mu.Unlock()
			return topics, version
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = reg.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	// The broker was there first: it finds the name server as soon as that is up.
	ns.WaitPort(addr, 60*time.Second)
	ask := func(code int32, name string) *remoting.Command {
		t.Helper()
		resp, err := client.Invoke(t.Context(), addr, &remoting.Command{Code: code, Header: &protocol.GetRouteInfoRequestHeader{Topic: name}})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for end := time.Now().Add(12 * time.Second); ask(105, "T").Code != protocol.RespSuccess; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not registered")
		}
	}
	mu.Lock()
	topics = append(topics, topic("New", 2))
	version.Counter++
	v := version
	mu.Unlock()
	if err := reg.Announce(t.Context(), topics[2:], v); err != nil {
		t.Fatal(err)
	}
	const want = `{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],` +
		`"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":2,"topicSysFlag":0,"writeQueueNums":2}]}`
	if got := string(ask(105, "New").Body); got != want {
		t.Errorf("route:\n got %s\nwant %s", got, want)
	}
	if q, err := reg.Routes(t.Context(), "New"); err != nil || fmt.Sprint(q) != "[{New broker-a 0} {New broker-a 1}]" {
		t.Errorf("routes: %v, %v", q, err)
	}
	if out := target.MQAdmin(t, addr, "topicRoute", "-t", "New"); !strings.Contains(out, `"readQueueNums":2`) {
		t.Errorf("mqadmin topicRoute: %s", out)
	}
	if out := target.MQAdmin(t, addr, "topicList"); !strings.Contains(out, "New") || !strings.Contains(out, "U") {
		t.Errorf("mqadmin topicList: %s", out)
	}
	time.Sleep(6 * time.Second) // over a probe
	reg.Unregister(t.Context())
	for end := time.Now().Add(5 * time.Second); ask(105, "T").Code != protocol.RespTopicNotExist; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still registered")
		}
	}
}
