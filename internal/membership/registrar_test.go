package membership_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/nameserver"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ns1      = "10.0.0.1:9876"
	ns2      = "10.0.0.2:9876"
	brokerIP = "10.0.1.1"
)

// world is a broker's registrar with name servers that come and go, all in one bubble.
type world struct {
	t   *testing.T
	net *memnet.Network
	log *logBuffer

	mu      sync.Mutex
	topics  []mq.TopicConfig
	version mq.DataVersion

	client *remoting.Client // the broker's
	asker  *remoting.Client
	reg    *membership.Registrar
}

// logBuffer keeps log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func topic(name string, queues int32) mq.TopicConfig {
	return mq.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: 6}
}

// bubble runs f with a registrar for the name servers; Run is under way when f is called.
func bubble(t *testing.T, change func(*membership.Options), f func(t *testing.T, w *world), servers ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: memnet.New(), log: &logBuffer{}}
		w.topics = []mq.TopicConfig{topic("T", 4), topic("U", 8), {Name: "W", ReadQueues: 2, WriteQueues: 2, Perm: 2}}
		w.version = mq.DataVersion{Counter: 1, Timestamp: 7}
		var reg *membership.Registrar
		w.client = remoting.NewClient(remoting.ClientOptions{
			Dial: w.net.Host(brokerIP).Dial, OnClose: func(addr string, _ *remoting.Conn) { reg.Lost(addr) },
		})
		w.asker = remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
		defer w.asker.Close()
		o := membership.Options{
			NameServers: servers, Client: w.client, Cluster: "C", Name: "broker-a", Addr: brokerIP + ":10911", HAAddr: brokerIP + ":10912",
			Topics: w.table, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		}
		if change != nil {
			change(&o)
		}
		reg = membership.New(o)
		w.reg = reg
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- reg.Run(ctx) }()
		f(t, w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		reg.Unregister(context.Background())
		w.client.Close()
	})
}

func (w *world) table() ([]mq.TopicConfig, mq.DataVersion) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.topics), w.version
}

// add changes the broker's table and returns the change.
func (w *world) add(topics ...mq.TopicConfig) ([]mq.TopicConfig, mq.DataVersion) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topics = append(w.topics, topics...)
	w.version.Counter++
	return topics, w.version
}

// serve starts a name server; the result stops it.
func (w *world) serve(addr string) (stop func()) {
	w.t.Helper()
	s, err := nameserver.New(nameserver.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	rs := remoting.NewServer(remoting.ServerOptions{OnClose: s.Closed})
	s.Attach(rs)
	l, err := w.net.Listen(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	wg.Go(func() { _ = rs.Serve(ctx, l) })
	return func() {
		cancel()
		if err := rs.Shutdown(context.Background()); err != nil {
			w.t.Error(err)
		}
		wg.Wait()
	}
}

// names returns the topics that a name server lists, "-" when it does not answer.
func (w *world) names(addr string) string {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	resp, err := w.asker.Invoke(ctx, addr, &remoting.Command{Code: protocol.ReqGetAllTopicListFromNameServer})
	if err != nil {
		return "-"
	}
	var l protocol.TopicList
	if err := l.Decode(resp.Body); err != nil {
		return err.Error()
	}
	return strings.Join(l.TopicList, " ")
}

func (w *world) want(addr, names string) {
	w.t.Helper()
	if got := w.names(addr); got != names {
		w.t.Errorf("at %v: %s lists %q, want %q", time.Now().Unix(), addr, got, names)
	}
}

func TestRegistersWithAllNameServersAndUnregisters(t *testing.T) {
	t.Parallel()
	var stops []func()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		// The name servers are there before the first attempt.
		<-w.reg.Tried()
		w.want(ns1, "-")
		stops = append(stops, w.serve(ns1), w.serve(ns2))
		time.Sleep(time.Second + time.Millisecond)
		w.want(ns1, "T U W")
		w.want(ns2, "T U W")
		time.Sleep(10 * time.Minute) // registered all the time
		w.want(ns1, "T U W")
		if n := w.log.count("will try again"); n != 2 {
			t.Errorf("%d warnings, want one for each name server", n)
		}
		if n := w.log.count("registered with name server again"); n != 2 {
			t.Errorf("%d infos, want one for each name server", n)
		}
		w.reg.Unregister(t.Context())
		w.want(ns1, "")
		w.want(ns2, "")
		for _, stop := range stops {
			stop()
		}
	}, ns1, ns2)
}

func TestNameServerThatIsDownIsTriedWithBackoffAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		stop := w.serve(ns1)
		defer stop()
		<-w.reg.Tried()
		time.Sleep(5 * time.Minute)
		before := time.Now()
		if err := w.reg.Register(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if d := time.Since(before); d > time.Second {
			t.Errorf("a change took %v with one of two name servers down", d)
		}
		stop2 := w.serve(ns2)
		defer stop2()
		time.Sleep(10*time.Second + time.Millisecond)
		w.want(ns2, "T U W")
		if n := w.log.count("will try again"); n > 2 {
			t.Errorf("%d warnings", n)
		}
	}, ns1, ns2)
}

func TestNameServerThatForgotIsToldAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		stop := w.serve(ns1)
		time.Sleep(7 * time.Second)
		w.want(ns1, "T U W")
		stop()
		stop = w.serve(ns1)
		defer func() { stop() }()
		time.Sleep(1100 * time.Millisecond)
		w.want(ns1, "T U W")

		// The connection breaks: the name server forgets the broker, which comes back at once.
		time.Sleep(7 * time.Second)
		w.net.Cut(brokerIP, "10.0.0.1")
		synctest.Wait()
		w.want(ns1, "T U W")
	}, ns1)
}

func TestChangesAreAnnouncedBeforeRegisterReturns(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		stop := w.serve(ns1)
		defer stop()
		stop2 := w.serve(ns2)
		defer stop2()
		time.Sleep(2 * time.Second)
		changed, v := w.add(topic("New", 1))
		if err := w.reg.Announce(t.Context(), changed, v); err != nil {
			t.Fatal(err)
		}
		w.want(ns1, "New T U W")
		w.want(ns2, "New T U W")

		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				changed, v := w.add(topic(fmt.Sprintf("c%03d", i), 1))
				if err := w.reg.Announce(t.Context(), changed, v); err != nil {
					t.Error(err)
				}
				if !strings.Contains(" "+w.names(ns2)+" ", " "+changed[0].Name+" ") {
					t.Errorf("%s was announced but is not there", changed[0].Name)
				}
			})
		}
		wg.Wait()
	}, ns1, ns2)
}

func TestChangeToANameServerThatForgotBringsEverything(t *testing.T) {
	t.Parallel()
	bubble(t, func(o *membership.Options) { o.Probe = time.Hour }, func(t *testing.T, w *world) {
		t.Helper()
		stop := w.serve(ns1)
		defer stop()
		time.Sleep(2 * time.Second)
		if _, err := w.asker.Invoke(t.Context(), ns1, &remoting.Command{
			Code:   protocol.ReqUnregisterBroker,
			Header: &protocol.UnRegisterBrokerRequestHeader{BrokerName: "broker-a", BrokerAddr: brokerIP + ":10911", ClusterName: "C"},
		}); err != nil {
			t.Fatal(err)
		}
		w.want(ns1, "")
		changed, _ := w.add(topic("New", 1))
		if err := w.reg.Register(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		w.want(ns1, "New T U W")
	}, ns1)
}

func TestHangingNameServerDelaysAChangeByThreeSecondsAtMost(t *testing.T) {
	t.Parallel()
	bubble(t, func(o *membership.Options) { o.Probe = time.Hour }, func(t *testing.T, w *world) {
		t.Helper()
		stop := w.serve(ns1)
		defer stop()
		stop2 := w.serve(ns2)
		defer stop2()
		time.Sleep(2 * time.Second)
		w.net.Partition(brokerIP, "10.0.0.1")
		changed, v := w.add(topic("New", 1))
		before := time.Now()
		if err := w.reg.Announce(t.Context(), changed, v); err != nil {
			t.Errorf("one name server took it: %v", err)
		}
		if d := time.Since(before); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
		w.want(ns2, "New T U W")
		w.net.Heal(brokerIP, "10.0.0.1")
		synctest.Wait()
		w.want(ns1, "New T U W")

		w.net.Partition(brokerIP, "10.0.0.1")
		w.net.Partition(brokerIP, "10.0.0.2")
		changed, v = w.add(topic("New2", 1))
		if err := w.reg.Announce(t.Context(), changed, v); err == nil {
			t.Error("nobody took it, but there is no error")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.reg.Announce(ctx, changed, v); err == nil {
			t.Error("ctx ended, but there is no error")
		}
		w.net.Heal(brokerIP, "10.0.0.1")
		w.net.Heal(brokerIP, "10.0.0.2")
	}, ns1, ns2)
}

func TestSlaveLearnsMasterAndOrderConfiguration(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string]bool{}
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		got[s] = true
	}
	bubble(t, func(o *membership.Options) {
		o.ID = 1
		o.OnMaster = func(addr, ha string) { note("master " + addr + " " + ha) }
		o.OnOrderTopics = func(table map[string]string) { note("order " + table["T"]) }
	}, func(t *testing.T, w *world) {
		t.Helper()
		stop := w.serve(ns1)
		defer stop()
		master := membership.New(membership.Options{
			NameServers: []string{ns1}, Client: w.asker, Cluster: "C", Name: "broker-a", Addr: "10.0.1.9:10911", HAAddr: "10.0.1.9:10912", Topics: w.table,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = master.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		<-master.Tried()
		if _, err := w.asker.Invoke(t.Context(), ns1, &remoting.Command{
			Code: protocol.ReqPutKVConfig, Header: &protocol.PutKVConfigRequestHeader{Namespace: "ORDER_TOPIC_CONFIG", Key: "T", Value: "broker-a:4"},
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"master 10.0.1.9:10911 10.0.1.9:10912", "order broker-a:4"} {
			if !got[want] {
				t.Errorf("not told %q, only %v", want, got)
			}
		}
	}, ns1)
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		stop2 := w.serve(ns2)
		defer stop2()
		time.Sleep(2 * time.Second)
		routes := func(name string) string {
			t.Helper()
			q, err := w.reg.Routes(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(q)
		}
		const four = "[{T broker-a 0} {T broker-a 1} {T broker-a 2} {T broker-a 3}]"
		if got := routes("T"); got != four {
			t.Errorf("T = %s", got)
		}
		if got := routes("W"); got != "[]" {
			t.Errorf("write-only topic = %s", got)
		}
		if got := routes("nope"); got != "[]" {
			t.Errorf("unknown topic = %s", got)
		}
		changed, v := w.add(topic("nope", 1))
		if err := w.reg.Announce(t.Context(), changed, v); err != nil {
			t.Fatal(err)
		}
		if got := routes("nope"); got != "[{nope broker-a 0}]" {
			t.Errorf("new topic = %s", got)
		}
		stop2()
		time.Sleep(time.Hour)
		if got := routes("T"); got != four {
			t.Errorf("T without name servers = %s", got)
		}
		if _, err := w.reg.Routes(t.Context(), "U"); err == nil {
			t.Error("nobody can be asked for U, but there is no error")
		}
		stop := w.serve(ns1)
		defer stop()
		time.Sleep(time.Minute)
		if got := routes("T"); got != four {
			t.Errorf("T from the other name server = %s", got)
		}
	}, ns1, ns2)
}

func TestWithoutNameServersRoutesAreTheBrokersOwn(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		<-w.reg.Tried()
		for name, want := range map[string]string{
			"T": "[{T broker-a 0} {T broker-a 1} {T broker-a 2} {T broker-a 3}]", "W": "[]", "nope": "[]",
		} {
			q, err := w.reg.Routes(t.Context(), name)
			if err != nil || fmt.Sprint(q) != want {
				t.Errorf("%s = %v, %v", name, q, err)
			}
		}
		if err := w.reg.Register(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// masterOf returns the address of id 0 in the route of a topic.
func (w *world) masterOf(addr, name string) string {
	w.t.Helper()
	resp, err := w.asker.Invoke(w.t.Context(), addr, &remoting.Command{Code: protocol.ReqGetRouteInfoByTopic, Header: &protocol.GetRouteInfoRequestHeader{Topic: name}})
	if err != nil {
		w.t.Fatal(err)
	}
	var d protocol.TopicRouteData
	if err := d.Decode(resp.Body); err != nil {
		w.t.Fatal(err)
	}
	for _, b := range d.BrokerDatas {
		if a := b.BrokerAddrs[0]; a != "" {
			return a
		}
	}
	return ""
}

func TestTheMasterOfTheNewerEpochKeepsItsPlace(t *testing.T) {
	t.Parallel()
	var stop func()
	bubble(t, nil, func(t *testing.T, w *world) {
		t.Helper()
		stop = w.serve(ns1)
		w.reg.SetEpoch(1)
		w.reg.Become(0, time.Minute)
		time.Sleep(2 * time.Second)
		if got := w.masterOf(ns1, "T"); got != brokerIP+":10911" {
			t.Errorf("the master is %q", got)
		}
		const other = "10.0.1.2"
		client := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Host(other).Dial})
		reg := membership.New(membership.Options{
			NameServers: []string{ns1}, Client: client, Cluster: "C", Name: "broker-a", Addr: other + ":10911", HAAddr: other + ":10912", Topics: w.table,
		})
		reg.SetEpoch(2)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = reg.Run(ctx) })
		time.Sleep(2 * time.Second)
		if got := w.masterOf(ns1, "T"); got != other+":10911" {
			t.Errorf("after the election the master is %q", got)
		}
		w.reg.Become(0, time.Minute) // the old one does not know yet
		time.Sleep(2 * time.Minute)
		if got := w.masterOf(ns1, "T"); got != other+":10911" {
			t.Errorf("after the old master has registered again the master is %q", got)
		}
		w.reg.SetEpoch(2)
		w.reg.Become(1, time.Minute) // now it does
		time.Sleep(2 * time.Second)
		if got := w.masterOf(ns1, "T"); got != other+":10911" {
			t.Errorf("in the end the master is %q", got)
		}
		cancel()
		wg.Wait()
		client.Close()
		stop()
	}, ns1)
}

// Another list of name servers while the broker runs: the new one gets everything, the one that is left out forgets the broker, and one that
// stays is not asked again.
func TestNameServersAreReplacedWhileTheBrokerRuns(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, w *world) {
		stop1, stop2 := w.serve(ns1), w.serve(ns2)
		defer stop1()
		defer stop2()
		time.Sleep(5 * time.Second)
		w.want(ns1, "T U W")
		w.want(ns2, "")

		w.reg.Use([]string{ns2, ns1, ns2})
		time.Sleep(5 * time.Second)
		w.want(ns1, "T U W")
		w.want(ns2, "T U W")
		if changed, _ := w.add(topic("V", 1)); w.reg.Register(t.Context(), changed) != nil {
			t.Error("a topic was not announced")
		}
		w.want(ns1, "T U V W")
		w.want(ns2, "T U V W")

		w.reg.Use([]string{ns2})
		time.Sleep(5 * time.Second)
		w.want(ns1, "")
		w.want(ns2, "T U V W")
		if n := w.log.count("name server is not used any more"); n != 1 {
			t.Errorf("%d servers were left", n)
		}
		w.reg.Use([]string{ns1, ns2})
		time.Sleep(10 * time.Second)
		w.want(ns1, "T U V W")
	}, ns1)
}
