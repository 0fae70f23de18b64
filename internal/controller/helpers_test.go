package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// diary keeps what is logged.
type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, strings.TrimSpace(string(p)))
	return len(p), nil
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

func logTo(d *diary) *slog.Logger { return slog.New(slog.NewTextHandler(d, nil)) }

// group is a group of controllers in memory, each on a host of its own. It lives in a synctest bubble.
type group struct {
	tb    testing.TB
	net   *memnet.Network
	diary diary
	log   *slog.Logger
	peers []raftlog.Peer
	props map[string]string
	run   map[string]*running
	made  []*broker
}

// running is one controller.
type running struct {
	c      *Controller
	server *remoting.Server
	client *remoting.Client
	mux    *raftlog.Mux
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newGroup(tb testing.TB, n int, props map[string]string) *group {
	tb.Helper()
	g := &group{tb: tb, net: memnet.New(), props: props, run: map[string]*running{}}
	g.log = logTo(&g.diary)
	for i := range n {
		g.peers = append(g.peers, raftlog.Peer{ID: fmt.Sprintf("n%d", i), Addr: fmt.Sprintf("10.0.0.%d:9878", i+1)})
	}
	for _, p := range g.peers {
		g.start(p.ID)
	}
	tb.Cleanup(g.stopAll) // in the bubble, when the test has failed too
	return g
}

func host(addr string) string {
	h, _, _ := net.SplitHostPort(addr)
	return h
}

func (g *group) peer(id string) raftlog.Peer {
	for _, p := range g.peers {
		if p.ID == id {
			return p
		}
	}
	g.tb.Fatalf("no controller %s", id)
	return raftlog.Peer{}
}

func (g *group) start(id string) {
	g.tb.Helper()
	p := g.peer(id)
	h := g.net.Host(host(p.Addr))
	l, err := h.Listen(p.Addr)
	must(g.tb, err)
	log := g.log.With("self", id)
	r := &running{mux: raftlog.NewMux(l, log, false), client: remoting.NewClient(remoting.ClientOptions{Dial: h.Dial, Log: log})}
	r.c, err = New(Options{
		Group: "group1", Properties: g.props, Client: r.client, Log: log,
		Open: func(m raftlog.Machine, changed func()) (Log, error) {
			return raftlog.Open(g.tb.Context(), raftlog.Options{
				Memory: new(raftlog.Memory), Group: "group1", Self: id, Peers: g.peers, Machine: m, Listener: r.mux.Raft(), Dial: h.Dial, Log: log, Changed: changed,
			})
		},
	})
	must(g.tb, err)
	r.server = remoting.NewServer(remoting.ServerOptions{Log: log, OnClose: r.c.Closed})
	r.c.Attach(r.server)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.wg.Go(func() { _ = r.c.Run(ctx) })
	r.wg.Go(func() { _ = r.mux.Run() })
	r.wg.Go(func() { _ = r.server.Serve(ctx, r.mux.Plain()) })
	g.run[id] = r
}

// stop ends a controller; its memory is gone.
func (g *group) stop(id string) {
	g.tb.Helper()
	r := g.run[id]
	delete(g.run, id)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r.c.Retire()
	_ = r.server.Shutdown(ctx)
	r.cancel()
	r.client.Close()
	_ = r.mux.Close()
	must(g.tb, r.c.Close())
	r.wg.Wait()
}

func (g *group) stopAll() {
	for _, b := range g.made {
		b.end()
	}
	for _, p := range g.peers {
		if g.run[p.ID] != nil {
			g.stop(p.ID)
		}
	}
}

// leader waits until a controller leads and returns it.
func (g *group) leader() *running {
	g.tb.Helper()
	for range 1000 {
		for _, r := range g.run {
			if r.c.Leader().Self {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	g.tb.Fatalf("no leader\n%s", &g.diary)
	return nil
}

// broker is one that a test plays.
type broker struct {
	g      *group
	id     int64
	addr   string
	client *remoting.Client
	lease  time.Duration
	epoch  int32
	max    atomic.Int64
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards told
	told    []protocol.NotifyBrokerRoleChangedRequestHeader
	server  *remoting.Server
	toldEnd sync.WaitGroup
}

const (
	setName = "broker-a"
	cluster = "c1"
)

// join makes a broker that applies for an id, registers and sends heartbeats to all controllers each second.
func (g *group) join(n int) *broker {
	g.tb.Helper()
	b := &broker{g: g, addr: fmt.Sprintf("10.0.1.%d:10911", n), lease: 10 * time.Second}
	g.made = append(g.made, b)
	b.serve()
	b.connect()
	var id protocol.GetNextBrokerIdResponseHeader
	must(g.tb, id.Decode(b.ask(protocol.ReqControllerGetNextBrokerID, &protocol.GetNextBrokerIdRequestHeader{ClusterName: cluster, BrokerName: setName}, nil, 0).Fields))
	b.id = id.NextBrokerID
	b.ask(protocol.ReqControllerApplyBrokerID, &protocol.ApplyBrokerIdRequestHeader{
		ClusterName: cluster, BrokerName: setName, AppliedBrokerID: b.id, HasAppliedBrokerID: true, RegisterCheckCode: b.addr + ";1",
	}, nil, 0)
	b.register()
	b.beats()
	return b
}

func (b *broker) serve() {
	l, err := b.g.net.Host(host(b.addr)).Listen(b.addr)
	must(b.g.tb, err)
	b.server = remoting.NewServer(remoting.ServerOptions{})
	b.server.Handle(protocol.ReqNotifyBrokerRoleChanged, func(_ *remoting.Conn, r *remoting.Request) {
		var h protocol.NotifyBrokerRoleChangedRequestHeader
		if h.Decode(r.Fields) != nil {
			return
		}
		h.MasterAddress = strings.Clone(h.MasterAddress)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, h)
	})
	b.toldEnd.Go(func() { _ = b.server.Serve(context.Background(), l) })
}

// heard returns the last master that a controller told.
func (b *broker) heard() (h protocol.NotifyBrokerRoleChangedRequestHeader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.told) > 0 {
		h = b.told[len(b.told)-1]
	}
	return h
}

func (b *broker) connect() {
	b.client = remoting.NewClient(remoting.ClientOptions{Dial: b.g.net.Host(host(b.addr)).Dial})
}

func (b *broker) register() {
	b.g.tb.Helper()
	b.ask(protocol.ReqControllerRegisterBroker, &protocol.RegisterBrokerToControllerRequestHeader{
		ClusterName: cluster, BrokerName: setName, BrokerID: b.id, HasBrokerID: true, BrokerAddress: b.addr,
	}, nil, 0)
}

// beats sends heartbeats until kill or silence.
func (b *broker) beats() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	client := b.client
	b.wg.Go(func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			for _, p := range b.g.peers {
				b.wg.Go(func() {
					one, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					_, _ = client.Invoke(one, p.Addr, b.beat())
				})
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
}

func (b *broker) beat() *remoting.Command {
	return &remoting.Command{Code: protocol.ReqBrokerHeartbeat, Header: &protocol.BrokerHeartbeatRequestHeader{
		ClusterName: cluster, BrokerName: setName, BrokerAddr: b.addr, BrokerID: b.id, HasBrokerID: true, Epoch: b.epoch, MaxOffset: b.max.Load(),
		ConfirmOffset: b.max.Load(), HeartbeatTimeoutMills: b.lease.Milliseconds(), ElectionPriority: 1,
	}}
}

// silence ends the heartbeats; the connections stay.
func (b *broker) silence() {
	if b.stop != nil {
		b.stop()
	}
	b.wg.Wait()
}

// kill ends the heartbeats and all connections, as kill -9 does.
func (b *broker) kill() {
	if b.stop != nil {
		b.stop()
	}
	b.client.Close()
	b.wg.Wait()
}

func (b *broker) end() {
	b.kill()
	_ = b.server.Shutdown(context.Background())
	b.toldEnd.Wait()
}

// ask asks the leader; want is the code of the answer, -1 for any.
func (b *broker) ask(code int32, h remoting.HeaderAppender, body []byte, want int32) *remoting.Command {
	b.g.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	addr := b.g.leader().c.Leader().Addr
	r, err := b.client.Invoke(ctx, addr, &remoting.Command{Code: code, Header: h, Body: body})
	if err != nil {
		b.g.tb.Fatalf("broker %d asks %s: %v\n%s", b.id, protocol.RequestName(code), err, &b.g.diary)
	}
	if want >= 0 && r.Code != want {
		b.g.tb.Fatalf("broker %d asks %s: answer %d %s, want %d\n%s", b.id, protocol.RequestName(code), r.Code, r.Remark, want, &b.g.diary)
	}
	return r
}

func (b *broker) elect(want int32) protocol.ElectMasterResponseHeader {
	b.g.tb.Helper()
	r := b.ask(protocol.ReqControllerElectMaster, &protocol.ElectMasterRequestHeader{ClusterName: cluster, BrokerName: setName, BrokerID: b.id}, nil, want)
	var h protocol.ElectMasterResponseHeader
	must(b.g.tb, h.Decode(r.Fields))
	return h
}

// alter proposes a sync-state set as the master of the present epoch.
func (b *broker) alter(want int32, ids ...int64) {
	b.g.tb.Helper()
	t := b.g.set()
	body := protocol.SyncStateSet{SyncStateSet: ids, SyncStateSetEpoch: t.SyncEpoch}
	b.ask(protocol.ReqControllerAlterSyncStateSet, &protocol.AlterSyncStateSetRequestHeader{
		BrokerName: setName, MasterBrokerID: b.id, HasMasterBrokerID: true, MasterEpoch: t.MasterEpoch, HasMasterEpoch: true,
	}, body.AppendTo(nil, false), want)
}

// set is the set as the leader has it.
func (g *group) set() *Set {
	g.tb.Helper()
	t := g.leader().c.State().Set(setName)
	if t == nil {
		g.tb.Fatalf("no set\n%s", &g.diary)
	}
	return t
}

// master waits until the master is the one with that id, and returns how long that took.
func (g *group) master(id int64, most time.Duration) time.Duration {
	g.tb.Helper()
	began := time.Now()
	for time.Since(began) <= most {
		if g.set().Master == id {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	g.tb.Fatalf("master is %d after %v, want %d\n%s", g.set().Master, most, id, &g.diary)
	return 0
}
