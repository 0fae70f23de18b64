package nameserver

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/liveprops"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nsAddr = "10.0.0.1:9876"

// serve runs f in a bubble with a name server at nsAddr.
func serve(t *testing.T, o Options, f func(t *testing.T, n *memnet.Network, c *callers)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		if o.Properties["notifyMinBrokerIdChanged"] == "true" {
			cl := remoting.NewClient(remoting.ClientOptions{Dial: n.Host("10.0.0.1").Dial})
			defer cl.Close()
			o.Client = cl
		}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		rs := remoting.NewServer(remoting.ServerOptions{OnClose: s.Closed})
		s.Attach(rs)
		l, err := n.Listen(nsAddr)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		wg.Go(func() { _ = rs.Serve(ctx, l) })
		c := &callers{addr: nsAddr, options: remoting.ClientOptions{Dial: n.Dial}, clients: map[string]*remoting.Client{}}
		defer func() {
			c.close()
			cancel()
			if err := rs.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			wg.Wait()
		}()
		f(t, n, c)
	})
}

func TestConversations(t *testing.T) {
	t.Parallel()
	for name, steps := range conversations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve(t, Options{}, func(t *testing.T, _ *memnet.Network, c *callers) {
				t.Helper()
				converse(t, c, steps, false, synctest.Wait)
			})
		})
	}
}

func TestBrokerThatFallsSilentIsRemovedAndItsConnectionClosed(t *testing.T) {
	t.Parallel()
	serve(t, Options{}, func(t *testing.T, n *memnet.Network, c *callers) {
		t.Helper()
		known := func(broker string, want bool) {
			t.Helper()
			resp, err := c.get("client", 0).Invoke(t.Context(), nsAddr, &remoting.Command{Code: 106})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(resp.Body), `"`+broker+`":{`); got != want {
				t.Fatalf("broker %s known: %v, want %v", broker, got, want)
			}
		}
		converse(t, c, []step{
			{conn: "a", code: 103, ext: brokerA + " heartbeatTimeoutMillis=40000", body: regBody(1, "T", "U")},
			{conn: "b", code: 103, ext: brokerB + " heartbeatTimeoutMillis=10000", body: regBody(1, "X", "Y")},
		}, false, synctest.Wait)
		time.Sleep(10 * time.Second)
		known("b", true)
		time.Sleep(5100 * time.Millisecond) // behind the scan at 15 s
		known("b", false)
		known("a", true)
		time.Sleep(15 * time.Second) // 30 s
		// Another connection may speak for the broker.
		converse(t, c, []step{{conn: "x", code: 904, ext: "clusterName=C brokerAddr=1.1.1.1:1"}}, false, synctest.Wait)
		time.Sleep(39 * time.Second)
		known("a", true)
		time.Sleep(6 * time.Second) // 75 s: too early for the connection to be idle
		known("a", false)
		converse(t, c, []step{{conn: "client", code: 105, ext: "topic=T", want: 17, wantRemark: noRoute("T")}}, false, synctest.Wait)
		if got := n.Conns("127.0.0.1", "10.0.0.1"); got != 2 {
			t.Errorf("%d connections are left, want those of client and x", got)
		}
	})
}

func TestUnchangedRegistrationKeepsTheBrokerAlive(t *testing.T) {
	t.Parallel()
	serve(t, Options{}, func(t *testing.T, _ *memnet.Network, c *callers) {
		t.Helper()
		for range 10 {
			converse(t, c, []step{
				{conn: "a", code: 103, ext: brokerA, body: regBody(1, "T", "U")},
				{conn: "client", code: 206, wantBody: `{"topicList":["T","U"]}`},
			}, false, synctest.Wait)
			time.Sleep(60 * time.Second)
		}
		converse(t, c, []step{
			{conn: "client", code: 216, ext: "topic=T"},
			{conn: "client", code: 206, wantBody: `{"topicList":["U"]}`},
			{conn: "a", code: 103, ext: brokerA, body: regBody(1, "T", "U")},
			{conn: "client", code: 206, wantBody: `{"topicList":["T","U"]}`},
		}, false, synctest.Wait)
	})
}

func TestNewSmallestBrokerIDIsTold(t *testing.T) {
	t.Parallel()
	o := Options{Properties: map[string]string{"notifyMinBrokerIdChanged": "true"}}
	serve(t, o, func(t *testing.T, n *memnet.Network, c *callers) {
		t.Helper()
		var mu sync.Mutex
		var told []string
		broker := remoting.NewServer(remoting.ServerOptions{})
		broker.Handle(protocol.ReqNotifyMinBrokerIDChange, func(_ *remoting.Conn, r *remoting.Request) {
			var h protocol.NotifyMinBrokerIdChangeRequestHeader
			if err := h.Decode(r.Fields); err != nil || !r.IsOneway() {
				t.Errorf("notice: %v, one-way %v", err, r.IsOneway())
			}
			mu.Lock()
			defer mu.Unlock()
			told = append(told, strings.Join([]string{strings.Clone(h.MinBrokerAddr), strings.Clone(h.OfflineBrokerAddr), strings.Clone(h.HABrokerAddr)}, " "))
		})
		l, err := n.Listen("10.0.0.7:10911")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = broker.Serve(t.Context(), l) })
		defer wg.Wait()
		defer func() { _ = broker.Shutdown(context.Background()) }()

		slave := "brokerName=a brokerAddr=10.0.0.7:10911 clusterName=C haServerAddr=ha7 brokerId=1 enableActingMaster=true"
		master := "brokerName=a brokerAddr=10.0.0.8:10911 clusterName=C haServerAddr=ha8 brokerId=0 enableActingMaster=true"
		converse(t, c, []step{
			{conn: "s", code: 103, ext: slave, body: regBody(1, "T", "U")},
			{conn: "m", code: 103, ext: master, body: regBody(1, "T", "U")},
		}, false, synctest.Wait)
		synctest.Wait()
		c.hangup("m")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if got, want := strings.Join(told, ";"), "10.0.0.8:10911  ha8;10.0.0.7:10911 10.0.0.8:10911 "; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

func TestNamelessRegistrationIsRefused(t *testing.T) {
	t.Parallel()
	steps := []step{
		{code: 103, ext: "brokerName=a brokerAddr=1:1", body: regBody(1, "T", "U"), want: 1, wantRemark: "clusterName, brokerName or brokerAddr is missing"},
		{code: 103, ext: brokerA + " brokerId=x", body: regBody(1, "T", "U"), want: 1, wantRemark: "field brokerId is no number: x"},
		{code: 106, wantBody: `{"brokerAddrTable":{},"clusterAddrTable":{}}`},
	}
	serve(t, Options{}, func(t *testing.T, _ *memnet.Network, c *callers) {
		t.Helper()
		converse(t, c, steps, false, synctest.Wait)
	})
}

func TestConfigurationAndTableSurviveARestart(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	o := Options{FS: fs, Properties: map[string]string{
		"kvConfigPath": "/ns/kv/kvConfig.json", "configStorePath": "/ns/namesrv.conf", "listenPort": "9999", "extra": "kept",
	}}
	serve(t, o, func(t *testing.T, _ *memnet.Network, c *callers) {
		t.Helper()
		converse(t, c, []step{
			{code: 100, ext: "namespace=n key=k value=v"},
			{code: 318, body: "enableTopicList=false\nextra=new"},
		}, false, synctest.Wait)
	})
	data, err := vfs.ReadFile(fs, "/ns/kv/kvConfig.json")
	if err != nil || string(data) != `{"configTable":{"n":{"k":"v"}}}` {
		t.Fatalf("kvConfig.json = %q, %v", data, err)
	}
	conf, err := vfs.ReadFile(fs, "/ns/namesrv.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"enableTopicList=false\n", "extra=new\n", "listenPort=9999\n", "waitSecondsForService=45\n"} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("namesrv.conf lacks %q", want)
		}
	}
	props, err := liveprops.Parse(conf)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, Options{FS: fs, Properties: props}, func(t *testing.T, _ *memnet.Network, c *callers) {
		t.Helper()
		converse(t, c, []step{
			{code: 101, ext: "namespace=n key=k", wantExt: "value=v"},
			{code: 311, want: 1, wantRemark: "disable"},
			{code: 319, wantBody: string(conf)},
		}, false, synctest.Wait)
	})
}

func TestKVChangeThatCannotBeStoredIsRefused(t *testing.T) {
	t.Parallel()
	bad := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
		if op.Kind == vfs.OpRename {
			return errSilent
		}
		return nil
	})
	o := Options{FS: bad, Properties: map[string]string{"kvConfigPath": "/kvConfig.json"}}
	serve(t, o, func(t *testing.T, _ *memnet.Network, c *callers) {
		t.Helper()
		resp, err := c.get("", 0).Invoke(t.Context(), nsAddr, &remoting.Command{Code: 100, Header: texts{"namespace=n", "key=k", "value=v"}})
		if err != nil || resp.Code != protocol.RespSystemError {
			t.Fatalf("%+v, %v", resp, err)
		}
		converse(t, c, []step{{code: 219, ext: "namespace=n", want: 22, wantRemark: "No config item, Namespace: n"}}, false, synctest.Wait)
	})
}

func TestBrokenKVFileStopsTheStart(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	if err := vfs.WriteFileAtomic(fs, "/kvConfig.json", []byte("{]"), false); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{FS: fs, Properties: map[string]string{"kvConfigPath": "/kvConfig.json"}}); err == nil {
		t.Fatal("a broken file was taken")
	}
}
