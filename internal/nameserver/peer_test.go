//go:build peer

package nameserver

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("not within 90 s: " + what)
}

func TestJavaNameServerAnswersTheSame(t *testing.T) {
	for name, steps := range conversations() {
		t.Run(name, func(t *testing.T) { // each with a server of its own: Java keeps queue mappings for ever
			addr := fmt.Sprintf("127.0.0.1:%d", target.FreePorts(t, 1))
			_, port, _ := strings.Cut(addr, ":")
			ns := target.JavaServer(t, "org.apache.rocketmq.namesrv.NamesrvStartup", map[string]string{
				"bindAddress": "127.0.0.1", "listenPort": port, "kvConfigPath": filepath.Join(t.TempDir(), "kvConfig.json"),
			}, "256m")
			ns.WaitPort(addr, 60*time.Second)
			c := &callers{addr: addr, clients: map[string]*remoting.Client{}}
			defer c.close()
			converse(t, c, steps, true, func() { time.Sleep(500 * time.Millisecond) })
		})
	}
}

func TestJavaBrokerRegistersHere(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	rs := remoting.NewServer(remoting.ServerOptions{OnClose: s.Closed})
	s.Attach(rs)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	wg.Go(func() { _ = rs.Serve(ctx, l) })
	defer wg.Wait()
	defer func() { _ = rs.Shutdown(context.Background()) }()
	defer cancel()

	store := filepath.Join(t.TempDir(), "store")
	port := target.FreePorts(t, 4) + 2
	broker := target.JavaServer(t, "org.apache.rocketmq.broker.BrokerStartup", map[string]string{
		"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerId": "0", "brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1",
		"bindAddress": "127.0.0.1", "listenPort": fmt.Sprint(port), "haListenPort": fmt.Sprint(port + 1), "namesrvAddr": l.Addr().String(),
		"storePathRootDir": store, "storePathCommitLog": filepath.Join(store, "commitlog"), "mappedFileSizeCommitLog": "16777216",
	}, "512m")

	c := remoting.NewClient(remoting.ClientOptions{})
	defer c.Close()
	body := func(code int32, ext ...string) string {
		resp, err := c.Invoke(t.Context(), l.Addr().String(), &remoting.Command{Code: code, Header: texts(ext)})
		if err != nil {
			t.Fatal(err)
		}
		return string(resp.Body)
	}
	eventually(t, "the Java broker is registered", func() bool { return strings.Contains(body(106), `"broker-a"`) })
	want := fmt.Sprintf(`{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:%d"},"brokerName":"broker-a","cluster":"DefaultCluster",`+
		`"enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["broker-a"]}}`, port)
	if got := body(106); got != want {
		t.Errorf("cluster:\n got %s\nwant %s", got, want)
	}
	if got := body(105, "topic=TBW102"); !strings.Contains(got, `"perm":7,"readQueueNums":8`) {
		t.Errorf("route of TBW102: %s", got)
	}
	if err := broker.Stop(60 * time.Second); err != nil {
		t.Error(err)
	}
	eventually(t, "the Java broker is gone", func() bool { return body(106) == `{"brokerAddrTable":{},"clusterAddrTable":{}}` })
}
