package cluster

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers every request at addr with what answer says.
func serve(t *testing.T, n *memnet.Network, addr string, answer func(c *remoting.Conn, r *remoting.Request)) {
	t.Helper()
	l, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	s := remoting.NewServer(remoting.ServerOptions{})
	for _, code := range []int32{protocol.ReqGetBrokerClusterInfo, protocol.ReqGetRouteInfoByTopic, protocol.ReqPullMessage, protocol.ReqGetBrokerConfig} {
		s.Handle(code, answer)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(context.WithoutCancel(t.Context()), l)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		<-done
	})
}

func open(t *testing.T, n *memnet.Network, names ...string) *Cluster {
	t.Helper()
	c := New(Options{NameServers: names, Dial: n.Dial, Timeout: time.Minute})
	t.Cleanup(c.Close)
	return c
}

func TestErrorsNameAddressStepAndCode(t *testing.T) {
	t.Parallel()
	n := memnet.New()
	const up, down = "10.0.0.1:9876", "10.0.0.2:9876"
	serve(t, n, up, func(c *remoting.Conn, r *remoting.Request) {
		c.Reply(r.ReplyTo(), protocol.RespTopicNotExist, "no such topic\nSee the FAQ", nil, nil)
	})
	_, err := open(t, n, up).NameServer("").Route(t.Context(), "T")
	if want := "GET_ROUTEINFO_BY_TOPIC at 10.0.0.1:9876: CODE: 17  DESC: no such topic"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if mq.KindOf(err) != mq.KindTopicNotExist {
		t.Errorf("kind %v", mq.KindOf(err))
	}
	_, err = open(t, n, down).NameServer("").ClusterInfo(t.Context())
	ce, ok := errors.AsType[*mq.CallError](err)
	if !ok || ce.Addr != down || ce.Code != 0 || !strings.HasPrefix(err.Error(), "GET_BROKER_CLUSTER_INFO at 10.0.0.2:9876 failed after ") {
		t.Errorf("error %v", err)
	}
	// The next name server is asked when one is gone, but not when one has said no.
	if _, err := open(t, n, down, up).NameServer("").Route(t.Context(), "T"); mq.KindOf(err) != mq.KindTopicNotExist {
		t.Errorf("second name server: %v", err)
	}
	if _, err := open(t, n).NameServer("").ClusterInfo(t.Context()); !errors.Is(err, errNoNameServer) {
		t.Errorf("without name servers: %v", err)
	}
}

// TestSilentServer: the time bound is that of the cluster, and the error says so.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		serve(t, n, "10.0.0.1:9876", func(*remoting.Conn, *remoting.Request) {})
		c := New(Options{NameServers: []string{"10.0.0.1:9876"}, Dial: n.Dial, Timeout: 50 * time.Millisecond})
		t.Cleanup(c.Close)
		_, err := c.NameServer("").ClusterInfo(t.Context())
		if !errors.Is(err, errNoAnswer) || !strings.Contains(err.Error(), "failed after 50ms") {
			t.Errorf("error %v", err)
		}
	})
}

// TestAnswersThatMakeNoSense: what a server sends is not believed.
func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "[]", "{", "\x00\x00\x00\xff", strings.Repeat("[", 100_000)} {
		n := memnet.New()
		serve(t, n, "10.0.0.1:1", func(c *remoting.Conn, r *remoting.Request) {
			c.Reply(r.ReplyTo(), protocol.RespSuccess, "", &protocol.PullMessageResponseHeader{}, []byte(body))
		})
		c := open(t, n, "10.0.0.1:1")
		if _, err := c.NameServer("").ClusterInfo(t.Context()); err == nil {
			t.Errorf("cluster of %.10q: no error", body)
		}
		if _, err := c.Broker("10.0.0.1:1").Pull(t.Context(), &mq.PullRequest{}, nil); err == nil && body != "" {
			t.Errorf("records of %.10q: no error", body)
		}
		if _, err := c.Broker("10.0.0.1:1").Config(t.Context()); err != nil { // any text is a properties file
			t.Errorf("configuration of %.10q: %v", body, err)
		}
	}
}

func TestConnectionIsShared(t *testing.T) {
	t.Parallel()
	n := memnet.New()
	serve(t, n, "10.0.0.1:1", func(c *remoting.Conn, r *remoting.Request) {
		c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, []byte("a=1\n#c\n b = 2=3 \n"))
	})
	dials := 0
	c := New(Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return n.Dial(ctx, network, addr)
	}})
	t.Cleanup(c.Close)
	for range 3 {
		got, err := c.Broker("10.0.0.1:1").Config(t.Context())
		if err != nil || len(got) != 2 || got[1] != (mq.Setting{Key: "b", Value: "2=3"}) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections", dials)
	}
}
