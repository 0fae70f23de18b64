package sim

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

const setName = "broker-a"

// mode is how a set of brokers is configured, and what that promises (docs/operations/high-availability.md).
type mode struct {
	name      string
	brokers   int
	conf      map[string]string
	keeps     bool // what was acknowledged survives fail-overs
	confirmed bool // readers see nothing that may go away
}

var modes = []mode{
	{"all in sync acknowledge, two of three at least", 3, map[string]string{"allAckInSyncStateSet": "true", "minInSyncReplicas": "2", "totalReplicas": "3"}, true, true},
	{"all in sync acknowledge, in a set of two", 2, map[string]string{"allAckInSyncStateSet": "true", "totalReplicas": "2"}, true, true},
	{"two copies in a set of two", 2, map[string]string{"inSyncReplicas": "2", "totalReplicas": "2"}, true, false},
	{"nobody waits", 3, nil, false, false},
}

// kind is what a machine runs.
type kind uint8

const (
	isNamesrv kind = iota
	isController
	isBroker
)

// machine is a host with a disk.
type machine struct {
	f    *fleet
	kind kind
	at   int // its number among those of its kind
	ip   string
	disk *vfs.Mem
	raft *raftlog.Memory // of a controller
	slow *atomic.Int64   // a sync of the log takes up to that many ms

	mu   sync.Mutex // guards what follows, for readers other than the test itself
	node *node.Node // nil when it is off
}

func (m *machine) running() *node.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

func (m *machine) set(n *node.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = n
}

func (m *machine) addr() string { return m.ip + [...]string{":9876", ":19876", ":10911"}[m.kind] }

// fleet is a set of brokers in controller mode, with controllers, name servers and clients, each on a host of its own.
type fleet struct {
	*testing.T
	seed  uint64
	rng   *rand.Rand
	net   *memnet.Network
	mode  *mode
	sync  bool // SYNC_FLUSH: what is acknowledged survives power cuts of all brokers at once
	diary diary
	eye   *remoting.Client // of the test itself; its links never fail

	names, ctl, brokers []*machine
	clients             []string // hosts

	did   map[string]int // faults by name
	kills int            // of processes, machines that lost their power included
	cuts  int            // machines that lost their power
	loss  atomic.Int64   // times that positions of consumers may have been lost: a disk lost what was not synced

	ledger
}

const eyeHost = "10.3.0.9"

func newFleet(t *testing.T, seed uint64) *fleet {
	t.Helper()
	f := &fleet{
		T: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 11)), net: memnet.New(), clients: []string{"10.3.0.1", "10.3.0.2"}, did: map[string]int{}, ledger: newLedger(),
	}
	f.mode = &modes[[]int{0, 0, 0, 1, 1, 2, 3}[f.rng.IntN(7)]]
	f.sync = f.rng.IntN(2) == 0
	f.eye = remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host(eyeHost).Dial})
	add := func(list *[]*machine, k kind, n int) {
		for i := range n {
			*list = append(*list, &machine{
				f: f, kind: k, at: i, ip: fmt.Sprintf("10.%d.1.%d", k, i+1), disk: vfs.NewMem(vfs.MemOptions{}), raft: new(raftlog.Memory), slow: new(atomic.Int64),
			})
		}
	}
	add(&f.names, isNamesrv, 1+f.rng.IntN(2))
	add(&f.ctl, isController, 3)
	add(&f.brokers, isBroker, f.mode.brokers)
	t.Cleanup(func() {
		if t.Failed() || *tell {
			t.Log(f.diary.tail())
		}
	})
	for _, m := range slices.Concat(f.names, f.ctl, f.brokers) {
		m.start()
	}
	return f
}

// diary is the log of all machines.
type diary struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.Write(p)
}

func (d *diary) tail() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.buf.Bytes()
	if most := 30_000; *only == 0 && len(b) > most {
		b = b[len(b)-most:]
	}
	return string(b)
}

// note writes a line of the test into the diary.
func (f *fleet) note(format string, args ...any) {
	_, _ = fmt.Fprintf(&f.diary, "time=%s TEST %s\n", time.Now().Format("2006-01-02T15:04:05.000Z07:00"), fmt.Sprintf(format, args...))
}

// Errorf is a broken promise.
func (f *fleet) Errorf(format string, args ...any) {
	f.Helper()
	text := fmt.Sprintf(format, args...)
	f.note("WRONG: %s", text)
	f.T.Errorf("seed %d at %s: %s", f.seed, time.Now().Format("04:05.000"), text)
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func addrs(list []*machine) string {
	var all []string
	for _, m := range list {
		all = append(all, m.addr())
	}
	return strings.Join(all, ";")
}

func (m *machine) start() {
	f := m.f
	f.Helper()
	h := f.net.Host(m.ip)
	o := node.Options{
		FS: m.disk, Dial: h.Dial, ControllerMemory: m.raft, ShutdownWait: time.Second,
		Log:    slog.New(slog.NewTextHandler(&f.diary, nil)).With("host", m.ip),
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) { return h.Listen(addr) },
	}
	host := &config.Host{Name: "host", IP: m.ip, Home: "/home"}
	flags := map[string]string{"bindAddress": m.ip}
	var err error
	switch m.kind {
	case isNamesrv:
		o.Namesrv, _, err = config.LoadNamesrv(config.Sources{Flags: flags, Host: host})
	case isController:
		var peers []string
		for i, c := range f.ctl {
			peers = append(peers, fmt.Sprintf("n%d-%s", i, c.addr()))
		}
		maps.Copy(flags, map[string]string{
			"listenPort": "19876", "controllerDLegerGroup": "g", "controllerDLegerPeers": strings.Join(peers, ";"),
			"controllerDLegerSelfId": fmt.Sprintf("n%d", m.at), "controllerStorePath": "/ctl",
		})
		o.Controller, _, err = config.LoadController(config.Sources{Flags: flags, Host: host})
	case isBroker:
		maps.Copy(flags, map[string]string{
			"brokerIP1": m.ip, "brokerIP2": m.ip, "brokerName": setName, "listenPort": "10911", "namesrvAddr": addrs(f.names), "storePathRootDir": "/store",
			"mappedFileSizeCommitLog": "262144", "mappedFileSizeConsumeQueue": "4000", "maxHashSlotNum": "64", "maxIndexNum": "512", "blockCacheBytes": "2097152",
			"enableControllerMode": "true", "controllerAddr": addrs(f.ctl), "defaultTopicQueueNums": "4", "slaveReadEnable": "true",
			"flushDiskType": config.FlushAsync,
		})
		if f.sync {
			flags["flushDiskType"] = config.FlushSync
		}
		maps.Copy(flags, f.mode.conf)
		o.Broker, _, err = config.LoadBroker(config.Sources{Flags: flags, Host: host})
		o.FS = vfs.NewFaulty(m.disk, slowLog(m.slow))
	}
	f.must(err)
	n, err := node.Start(context.Background(), o)
	if err != nil {
		f.Fatalf("start of %s: %v", m.ip, err)
	}
	m.set(n)
}

// slowLog makes syncs of the log take up to so many ms.
func slowLog(ms *atomic.Int64) func(vfs.Op) error {
	return func(op vfs.Op) error {
		if n := ms.Load(); n > 0 && op.Kind == vfs.OpDatasync && strings.Contains(op.Name, "/commitlog/0") {
			time.Sleep(time.Duration(int64(op.N)*7919%n) * time.Millisecond)
		}
		return nil
	}
}

func (f *fleet) machines() []*machine { return slices.Concat(f.names, f.ctl, f.brokers) }

// others are the hosts that m has links with.
func (m *machine) others() []string {
	all := slices.Clone(m.f.clients)
	for _, o := range m.f.machines() {
		if o != m {
			all = append(all, o.ip)
		}
	}
	return all
}

// kill ends the machine's process without a word: what it had written is on the disk, its connections are reset. With power the
// machine goes down: what was not synced is lost, and nobody sees connections end.
func (m *machine) kill(power bool) {
	f := m.f
	f.Helper()
	if m.node == nil {
		return
	}
	f.note("kill %s, power cut %v", m.ip, power)
	f.kills++
	all := append(m.others(), eyeHost)
	for _, o := range all { // nothing that it says from here on is heard
		f.net.Partition(m.ip, o)
	}
	mode := vfs.ProcessKill
	if power {
		mode = vfs.PowerCut
		f.cuts++
	}
	if power && m.kind == isBroker {
		f.losePositions()
	}
	m.disk, m.raft = m.disk.CrashClone(f.rng, mode), m.raft.Clone()
	dead := m.node
	m.set(nil)
	for _, o := range all {
		if !power || o == eyeHost {
			f.net.Cut(m.ip, o)
		}
	}
	m.slow.Store(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	_ = dead.Shutdown(ctx) // what it does now is on a disk that nobody looks at again
}

// revive starts it again. Links that were cut while it was down are well again.
func (m *machine) revive() {
	m.f.Helper()
	if m.node != nil {
		return
	}
	m.f.note("start %s", m.ip)
	for _, o := range append(m.others(), eyeHost) {
		m.f.net.Cut(m.ip, o)
		m.f.net.Heal(m.ip, o)
	}
	m.start()
}

// wipe empties the disk of a machine that is off.
func (m *machine) wipe() { m.disk = vfs.NewMem(vfs.MemOptions{}) }

// ask sends a request over links that never fail.
func (f *fleet) ask(addr string, code int32, h remoting.HeaderAppender, body []byte) (*remoting.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	r, err := f.eye.Invoke(ctx, addr, &remoting.Command{Code: code, Header: h, Body: body})
	if err == nil && r.Code != protocol.RespSuccess {
		err = fmt.Errorf("%s answered code %d with %d %s", addr, code, r.Code, r.Remark)
	}
	return r, err
}

// state is the set as the controllers' leader knows it; the error of the last controller when none answers.
func (f *fleet) state() (s protocol.ReplicasInfo, leader *machine, err error) {
	for _, c := range f.ctl {
		if c.node == nil {
			continue
		}
		var r *remoting.Response
		if r, err = f.ask(c.addr(), protocol.ReqControllerGetSyncStateData, nil, fmt.Appendf(nil, "[%q]", setName)); err != nil {
			continue
		}
		var b protocol.BrokerReplicasInfo
		if err = b.Decode(r.Body); err == nil && len(b.Sets) == 1 {
			return b.Sets[0], c, nil
		}
	}
	return s, nil, err
}

// master is who the controllers say, nil when nobody is, or it is off.
func (f *fleet) master() *machine {
	s, _, _ := f.state()
	for _, m := range f.brokers {
		if m.addr() == s.MasterAddress && m.node != nil {
			return m
		}
	}
	return nil
}

// until waits for cond.
func (f *fleet) until(d time.Duration, what string, cond func() bool) {
	f.Helper()
	for end := time.Now().Add(d); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s, _, err := f.state()
			f.Fatalf("after %v not: %s (set %+v, %v)", d, what, s, err)
		}
	}
}

// inSync waits until all brokers are, and one of them takes messages.
func (f *fleet) inSync() {
	f.Helper()
	f.until(2*time.Minute, "all brokers are in sync with a master", func() bool {
		s, _, err := f.state()
		if err != nil || s.MasterBrokerID == 0 {
			return false
		}
		n := 0
		for _, r := range s.InSync {
			if r.Alive && slices.ContainsFunc(f.brokers, func(m *machine) bool { return m.addr() == r.BrokerAddress }) {
				n++
			}
		}
		return n == len(f.brokers)
	})
}

// calm ends all faults and waits until nothing is left of them.
func (f *fleet) calm() {
	f.Helper()
	f.note("calm")
	f.healAll()
	for _, m := range f.machines() {
		m.slow.Store(0)
		m.revive()
	}
	f.inSync()
	f.settle()
}

func (f *fleet) healAll() {
	all := slices.Clone(f.clients)
	for _, m := range f.machines() {
		if m.node != nil { // the links of a dead one are reset when it comes back
			all = append(all, m.ip)
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			f.net.Heal(a, b)
			f.net.Delay(a, b, 0)
		}
	}
}

func (f *fleet) close() {
	f.Helper()
	for _, m := range slices.Backward(f.machines()) {
		if m.node != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if err := m.node.Shutdown(ctx); err != nil {
				f.Errorf("end of %s: %v", m.ip, err)
			}
			cancel()
		}
	}
	f.eye.Close()
}
