package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

// fleet is a name server, controllers and brokers of one set, each on a host of its own.
type fleet struct {
	*world
	t       *testing.T
	names   *Node
	ctl     []*machine
	brokers []*machine
	rng     *rand.Rand
	set     map[string]string // configuration of all brokers
}

// machine is a host with a disk.
type machine struct {
	f      *fleet
	ip     string
	broker bool
	disk   *vfs.Mem
	node   *Node
	set    map[string]string
}

const fleetNames = "10.9.0.100:9876"

func (m *machine) addr() string { return m.ip + ":10911" }

// newFleet starts everything.
func newFleet(t *testing.T, controllers, brokers int, set map[string]string) *fleet {
	t.Helper()
	f := &fleet{world: newWorld(t), t: t, rng: rand.New(rand.NewPCG(1, 2)), set: set}
	ns, _, err := config.LoadNamesrv(config.Sources{Flags: map[string]string{"bindAddress": "10.9.0.100"}, Host: &host})
	must(t, err)
	o := f.on("10.9.0.100", f.mem)
	o.Namesrv = ns
	f.names = f.start(o)
	for i := range controllers {
		f.ctl = append(f.ctl, &machine{f: f, ip: fmt.Sprintf("10.9.0.%d", i+1), disk: vfs.NewMem(vfs.MemOptions{})})
	}
	var wg sync.WaitGroup
	for _, c := range f.ctl {
		wg.Go(c.start)
	}
	wg.Wait()
	for i := range brokers {
		m := &machine{f: f, ip: fmt.Sprintf("10.9.1.%d", i+1), broker: true, disk: vfs.NewMem(vfs.MemOptions{})}
		f.brokers = append(f.brokers, m)
		m.start()
	}
	t.Cleanup(func() {
		if t.Failed() {
			lines := f.diary.String()
			t.Log(lines[max(0, len(lines)-20000):])
		}
	})
	return f
}

// on are the options of a node on a host.
func (f *fleet) on(ip string, disk *vfs.Mem) Options {
	h := f.net.Host(ip)
	return Options{
		FS: disk, Dial: h.Dial, ControllerMemory: new(raftlog.Memory), ShutdownWait: time.Second,
		Log:    slog.New(slog.NewTextHandler(&f.diary, nil)).With("host", ip),
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) { return h.Listen(addr) },
	}
}

func (f *fleet) controllerAddrs() string {
	var all []string
	for _, c := range f.ctl {
		all = append(all, c.ip+":19876")
	}
	return strings.Join(all, ";")
}

func (m *machine) start() {
	m.f.t.Helper()
	o := m.f.on(m.ip, m.disk)
	if m.broker {
		flags := map[string]string{
			"bindAddress": m.ip, "brokerIP1": m.ip, "brokerIP2": m.ip, "brokerName": "broker-a", "listenPort": "10911", "namesrvAddr": fleetNames,
			"storePathRootDir": "/store", "mappedFileSizeCommitLog": "1048576", "mappedFileSizeConsumeQueue": "6000", "maxHashSlotNum": "100",
			"maxIndexNum": "400", "blockCacheBytes": "2097152", "enableControllerMode": "true", "controllerAddr": m.f.controllerAddrs(),
			"defaultTopicQueueNums": "4",
		}
		maps.Copy(flags, m.f.set)
		maps.Copy(flags, m.set)
		b, _, err := config.LoadBroker(config.Sources{Flags: flags, Host: &host})
		must(m.f.t, err)
		o.Broker = b
	} else {
		var peers []string
		for i, c := range m.f.ctl {
			peers = append(peers, fmt.Sprintf("n%d-%s:19876", i, c.ip))
		}
		flags := map[string]string{
			"bindAddress": m.ip, "listenPort": "19876", "controllerDLegerGroup": "g", "controllerDLegerPeers": strings.Join(peers, ";"),
			"controllerDLegerSelfId": fmt.Sprintf("n%d", slices.Index(m.f.ctl, m)), "controllerStorePath": "/ctl",
		}
		if inner, ok := m.f.set["innerClientAuthenticationCredentials"]; ok {
			flags["innerClientAuthenticationCredentials"] = inner
		}
		c, _, err := config.LoadController(config.Sources{Flags: flags, Host: &host})
		must(m.f.t, err)
		o.Controller = c
	}
	n, err := Start(context.Background(), o)
	must(m.f.t, err)
	m.node = n
}

// others are the hosts of all other machines.
func (f *fleet) others(m *machine) []string {
	all := []string{"10.9.0.100", "10.9.2.1"}
	for _, o := range append(slices.Clone(f.ctl), f.brokers...) {
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
	f.t.Helper()
	for _, o := range f.others(m) {
		f.net.Partition(m.ip, o)
	}
	mode := vfs.ProcessKill
	if power {
		mode = vfs.PowerCut
	}
	m.disk = m.disk.CrashClone(f.rng, mode)
	dead := m.node
	m.node = nil
	if !power {
		for _, o := range f.others(m) {
			f.net.Cut(m.ip, o)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	_ = dead.Shutdown(ctx) // what it does now nobody hears
}

// revive starts it again.
func (m *machine) revive() {
	m.f.t.Helper()
	for _, o := range m.f.others(m) {
		m.f.net.Cut(m.ip, o)
		m.f.net.Heal(m.ip, o)
	}
	m.start()
}

func (f *fleet) close() {
	f.t.Helper()
	for _, m := range slices.Concat(f.brokers, f.ctl) {
		if m.node != nil {
			if err := m.node.shutdown(context.Background()); err != nil {
				f.t.Errorf("end of %s: %v", m.ip, err)
			}
		}
	}
	must(f.t, f.names.shutdown(context.Background()))
}

// master returns the broker that is the master and may be.
func (f *fleet) master() *machine {
	var found *machine
	for _, m := range f.brokers {
		if m.node == nil {
			continue
		}
		if e := m.node.broker.now(); e != nil && e.ruler != nil && e.serves() && m.node.broker.member.Held() {
			if found != nil {
				return nil
			}
			found = m
		}
	}
	return found
}

func (f *fleet) until(d time.Duration, what string, cond func() bool) time.Duration {
	f.t.Helper()
	begun := time.Now()
	for !cond() {
		if time.Since(begun) > d {
			f.t.Fatalf("after %v not: %s", d, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begun)
}

// inSync waits until all brokers that run are in the set of those in sync.
func (f *fleet) inSync(d time.Duration) {
	f.t.Helper()
	f.until(d, "all are in sync", func() bool {
		m := f.master()
		if m == nil {
			return false
		}
		n := 0
		for _, b := range f.brokers {
			if b.node != nil {
				n++
			}
		}
		st := m.node.broker.now().ruler.State()
		return len(st.Set) == n && !st.Pending && m.node.broker.now().store.Replicated() >= 0
	})
}

// producer sends numbers to whoever takes them, and remembers what was acknowledged where.
type producer struct {
	f     *fleet
	c     *caller
	at    int // the broker that took the last one
	next  uint64
	acked map[int64]uint64 // by index in queue 0
	lossy bool             // what was acknowledged may be lost
	stop  chan struct{}
	done  chan struct{}
	gap   time.Duration // the longest time without an acknowledgement since the last reset
	last  time.Time
	mu    sync.Mutex
}

func (f *fleet) produce() *producer {
	f.t.Helper()
	c := remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host("10.9.2.1").Dial, DialTimeout: 100 * time.Millisecond})
	f.t.Cleanup(c.Close)
	p := &producer{f: f, c: &caller{f.t, c}, acked: map[int64]uint64{}, stop: make(chan struct{}), done: make(chan struct{}), last: time.Now()}
	go p.run()
	return p
}

func (p *producer) run() {
	defer close(p.done)
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		m := p.f.brokers[p.at%len(p.f.brokers)]
		p.next++ // a number is sent once: what was not acknowledged may be there or not
		r := p.send(m.addr(), p.next)
		if r.Code != protocol.RespSuccess {
			p.at++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		var h protocol.SendMessageResponseHeader
		must(p.f.t, h.Decode(r.Fields))
		p.mu.Lock()
		if old, ok := p.acked[h.QueueOffset]; ok && !p.lossy {
			p.f.t.Errorf("index %d was acknowledged for %d and for %d", h.QueueOffset, old, p.next)
		}
		p.acked[h.QueueOffset] = p.next
		now := time.Now()
		p.gap, p.last = max(p.gap, now.Sub(p.last)), now
		p.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *producer) send(addr string, n uint64) *remoting.Response {
	h := protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: "load", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: 1, MaxReconsumeTimes: -1,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	r, err := p.c.c.Invoke(ctx, addr, &remoting.Command{Code: protocol.ReqSendMessageV2, Header: &h, Body: binary.BigEndian.AppendUint64(nil, n)})
	if err != nil {
		return &remoting.Response{Code: -1, Remark: err.Error()}
	}
	return r
}

// outage returns the longest time without an acknowledgement since the last call.
func (p *producer) outage() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := max(p.gap, time.Since(p.last))
	p.gap = 0
	return g
}

// end stops and returns what was acknowledged.
func (p *producer) end() map[int64]uint64 {
	close(p.stop)
	<-p.done
	return p.acked
}

// check compares what was acknowledged with what a broker has.
func (f *fleet) check(m *machine, acked map[int64]uint64) {
	f.t.Helper()
	c := remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host("10.9.2.1").Dial})
	defer c.Close()
	have := (&caller{f.t, c}).all(m.addr(), "load", 0)
	lost := 0
	for at, n := range acked {
		if at >= int64(len(have)) || binary.BigEndian.Uint64(have[at].Body) != n {
			lost++
		}
	}
	if lost > 0 {
		f.t.Errorf("%d of %d acknowledged messages are not where they were, %d are there", lost, len(acked), len(have))
	}
}

// alike waits until all brokers that run have the same log.
func (f *fleet) alike(d time.Duration) {
	f.t.Helper()
	f.until(d, "all logs are alike", func() bool {
		ends := map[any]bool{}
		for _, m := range f.brokers {
			if m.node != nil {
				ends[m.node.broker.now().store.Appended()] = true
			}
		}
		return len(ends) == 1
	})
	var first []byte
	for _, m := range f.brokers {
		if m.node == nil {
			continue
		}
		data, err := vfs.ReadFile(m.disk, "/store/commitlog/00000000000000000000")
		must(f.t, err)
		if first == nil {
			first = data
		} else if !bytes.Equal(first, data) {
			f.t.Errorf("the log of %s differs", m.ip)
		}
	}
}

var safe = map[string]string{"allAckInSyncStateSet": "true", "minInSyncReplicas": "2", "totalReplicas": "3"}

func TestControllersChooseAMasterAndTheOthersFollow(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " controllers"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, n, 3, safe)
				defer f.close()
				f.inSync(30 * time.Second)
				m := f.master()
				p := f.produce()
				time.Sleep(5 * time.Second)
				acked := p.end()
				if len(acked) < 300 {
					t.Errorf("%d messages in 5 s", len(acked))
				}
				f.check(m, acked)
				f.alike(5 * time.Second)
				for _, b := range f.brokers {
					e := b.node.broker.now()
					if want := int64(0); b == m && e.role.ID != want || b != m && e.role.ID != e.role.Term.Self {
						t.Errorf("%s registers as %d", b.ip, e.role.ID)
					}
				}
				if r, err := bench.RouteOf(t.Context(), f.net.Host("10.9.2.1").Dial, fleetNames, "load"); err != nil || len(r.Write) == 0 || r.Write[0].Addr != m.addr() {
					t.Errorf("route %+v, %v", r, err)
				}
			})
		})
	}
}

// failOver kills the master n times under load and returns how long nothing was acknowledged.
func (f *fleet) failOver(p *producer, n int, power bool) []time.Duration {
	f.t.Helper()
	var outages []time.Duration
	for range n {
		f.inSync(60 * time.Second)
		time.Sleep(time.Second)
		p.outage()
		m := f.master()
		m.kill(power)
		f.until(60*time.Second, "another master takes messages", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return f.master() != nil && f.master() != m && time.Since(p.last) < 100*time.Millisecond
		})
		outages = append(outages, p.outage())
		m.revive()
	}
	return outages
}

func TestNothingAcknowledgedIsLostWhenMastersAreKilled(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " controllers"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, n, 3, safe)
				defer f.close()
				p := f.produce()
				outages := f.failOver(p, 6, false)
				t.Logf("without acknowledgements for %v", outages)
				if most := slices.Max(outages); most > 10*time.Second {
					t.Errorf("nothing was acknowledged for %v", most)
				}
				f.inSync(60 * time.Second)
				acked := p.end()
				f.check(f.master(), acked)
				f.alike(30 * time.Second)
			})
		})
	}
}

func TestAMachineThatLosesItsPowerIsReplacedAfterTheHeartbeatTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := maps.Clone(safe)
		set["flushDiskType"] = "SYNC_FLUSH" // what was acknowledged is on the disk of all that are in sync
		f := newFleet(t, 3, 3, set)
		defer f.close()
		p := f.produce()
		outages := f.failOver(p, 4, true)
		t.Logf("without acknowledgements for %v", outages)
		if most := slices.Max(outages); most > 15*time.Second {
			t.Errorf("nothing was acknowledged for %v", most)
		}
		f.inSync(60 * time.Second)
		f.check(f.master(), p.end())
		f.alike(30 * time.Second)
	})
}

// isolate cuts a machine off from some hosts, without a word to anybody.
func (m *machine) isolate(from ...string) {
	for _, o := range from {
		m.f.net.Partition(m.ip, o)
	}
}

func (m *machine) heal() {
	for _, o := range m.f.others(m) {
		m.f.net.Heal(m.ip, o)
	}
}

func TestAMasterThatIsCutOffTakesNothingMoreAndItsTailIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, 3, nil) // Java's defaults: a send is answered at once
		defer f.close()
		f.inSync(60 * time.Second)
		p := f.produce()
		p.mu.Lock()
		p.lossy = true
		p.mu.Unlock()
		time.Sleep(3 * time.Second)
		old := f.master()
		for _, o := range f.others(old) {
			if o != "10.9.2.1" { // the producer still reaches it
				old.isolate(o)
			}
		}
		f.until(30*time.Second, "another master", func() bool { m := f.master(); return m != nil && m != old })
		if old.node.broker.member.Held() {
			t.Error("two masters at once")
		}
		end := old.node.broker.now().store.Appended()
		r := p.send(old.addr(), 0)
		if r.Code != protocol.RespServiceNotAvailable || !strings.Contains(r.Remark, "no leader of the controllers has confirmed it") {
			t.Errorf("a send is answered %d %q", r.Code, r.Remark)
		}
		time.Sleep(5 * time.Second)
		if got := old.node.broker.now().store.Appended(); got != end {
			t.Errorf("its log went on from %d to %d", end, got)
		}
		acked := p.end()
		old.heal()
		f.inSync(60 * time.Second)
		f.alike(30 * time.Second)
		if f.diary.last("the log of this slave is cut") < 0 {
			t.Error("nothing was cut")
		}
		if e := old.node.broker.now(); e.copy == nil {
			t.Error("the old master is no slave")
		}
		c := remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host("10.9.2.1").Dial})
		defer c.Close()
		have := (&caller{t, c}).all(f.master().addr(), "load", 0)
		lost := 0
		for at, n := range acked {
			if at >= int64(len(have)) || binary.BigEndian.Uint64(have[at].Body) != n {
				lost++
			}
		}
		t.Logf("%d of %d acknowledged messages were lost, as the settings allow", lost, len(acked))
	})
}

func TestWithAllAckAMasterThatIsCutOffLosesNothing(t *testing.T) {
	t.Parallel()
	for _, clients := range []bool{false, true} {
		t.Run(fmt.Sprint("clients reach it ", clients), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3, 3, safe)
				defer f.close()
				f.inSync(60 * time.Second)
				p := f.produce()
				for range 3 {
					time.Sleep(3 * time.Second)
					old := f.master()
					for _, o := range f.others(old) {
						if o != "10.9.2.1" || !clients {
							old.isolate(o)
						}
					}
					f.until(30*time.Second, "another master", func() bool { m := f.master(); return m != nil && m != old })
					time.Sleep(5 * time.Second)
					old.heal()
					f.inSync(60 * time.Second)
				}
				f.check(f.master(), p.end())
				f.alike(30 * time.Second)
			})
		})
	}
}

// A slave was gone for a moment, the master asks the controllers to take it out of the set, and their answer is lost. The slave is back, and
// nothing has to change any more.
func TestSendsGoOnAfterALostAnswerOfTheControllers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, 2, map[string]string{"inSyncReplicas": "2", "totalReplicas": "2"})
		defer f.close()
		f.inSync(60 * time.Second)
		p := f.produce()
		time.Sleep(2 * time.Second)
		leader := f.master().node.broker.member.State().Leader
		c := f.ctl[slices.IndexFunc(f.ctl, func(c *machine) bool { return c.ip+":19876" == leader })]
		c.isolate(f.others(c)...) // another one leads soon; what this one is asked is lost
		defer c.heal()
		f.net.Cut(f.brokers[0].ip, f.brokers[1].ip)
		time.Sleep(30 * time.Second)
		p.outage()
		time.Sleep(10 * time.Second)
		if gap := p.outage(); gap > 5*time.Second {
			t.Errorf("nothing was acknowledged for %v", gap)
		}
		f.check(f.master(), p.end())
	})
}

func TestAMasterOfThePastShowsNobodyWhatOnlyItHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := maps.Clone(safe)
		set["slaveReadEnable"] = "true"
		f := newFleet(t, 3, 3, set)
		defer f.close()
		f.inSync(60 * time.Second)
		p := f.produce()
		time.Sleep(3 * time.Second)
		old := f.master()
		for _, o := range f.others(old) {
			if o != "10.9.2.1" { // the producer still reaches it
				old.isolate(o)
			}
		}
		f.until(30*time.Second, "another master", func() bool { m := f.master(); return m != nil && m != old })
		time.Sleep(2 * time.Second)
		acked := p.end()
		for _, c := range f.ctl { // it hears that it is a slave, and does not reach its master
			f.net.Heal(old.ip, c.ip)
		}
		f.until(30*time.Second, "the old master is a slave", func() bool { return old.node.Role().Kind == Slave })
		c := remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host("10.9.2.1").Dial})
		defer c.Close()
		want := (&caller{t, c}).all(f.master().addr(), "load", 0)
		for i, m := range (&caller{t, c}).all(old.addr(), "load", 0) {
			if i >= len(want) || !bytes.Equal(m.Body, want[i].Body) {
				t.Errorf("it shows message %x at index %d, which its master does not have there", m.Body, i)
			}
		}
		old.heal()
		f.inSync(60 * time.Second)
		f.alike(30 * time.Second)
		time.Sleep(10 * time.Second) // the master says how far all are
		f.check(old, acked)
	})
}

func TestASlaveWithoutItsStoreComesBack(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("with its identity ", keep), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 1, 3, safe)
				defer f.close()
				f.inSync(60 * time.Second)
				p := f.produce()
				time.Sleep(2 * time.Second)
				var s *machine
				for _, m := range f.brokers {
					if m != f.master() {
						s = m
					}
				}
				id := s.node.broker.member.State().ID
				s.kill(false)
				time.Sleep(time.Second) // the master notices
				file, err := vfs.ReadFile(s.disk, "/store/brokerIdentity")
				must(t, err)
				s.disk = vfs.NewMem(vfs.MemOptions{})
				if keep {
					must(t, s.disk.MkdirAll("/store"))
					must(t, vfs.WriteFileAtomic(s.disk, "/store/brokerIdentity", file, false))
				}
				s.revive()
				f.inSync(60 * time.Second)
				if got := s.node.broker.member.State().ID; keep != (got == id) {
					t.Errorf("its number was %d and is %d", id, got)
				}
				f.check(f.master(), p.end())
				f.alike(30 * time.Second)
			})
		})
	}
}

func TestAMasterTellsInHowManyLogsWhatItAcknowledgesIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, 3, safe)
		defer f.close()
		f.inSync(60 * time.Second)
		told := func(m *machine) string {
			info, err := m.node.broker.now().core.RuntimeInfo(t.Context())
			must(t, err)
			return info["acknowledgedCopies"] + " " + info["acknowledgedMeans"]
		}
		if got := told(f.master()); got != "3 in the logs of 3 brokers, on disk a moment later" {
			t.Errorf("all are there: %s", got)
		}
		for _, m := range f.brokers {
			if m == f.master() {
				continue
			}
			if got := told(m); got != "0 nothing: no messages are taken" {
				t.Errorf("a slave: %s", got)
			}
			m.kill(false)
			break
		}
		f.inSync(60 * time.Second)
		if got := told(f.master()); got != "2 in the logs of 2 brokers, on disk a moment later" {
			t.Errorf("one has gone: %s", got)
		}
	})
}

// TestALogThatWasLostIsNotElected kills both brokers of a set that is acknowledged by both, and takes from the slave what it has.
func TestALogThatWasLostIsNotElected(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, disk *vfs.Mem){
		"log and queues": func(t *testing.T, disk *vfs.Mem) {
			t.Helper()
			empty(t, disk, "/store/commitlog", "")
			empty(t, disk, "/store/consumequeue", "")
		},
		"all but the identity and the mark": func(t *testing.T, disk *vfs.Mem) { t.Helper(); empty(t, disk, "/store", "brokerIdentity") },
		"the newest file": func(t *testing.T, disk *vfs.Mem) {
			t.Helper()
			empty(t, disk, "/store/commitlog", "00000000000000000000")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 1, 2, map[string]string{"allAckInSyncStateSet": "true", "minInSyncReplicas": "2", "totalReplicas": "2", "mappedFileSizeCommitLog": "16384"})
				defer f.close()
				f.inSync(60 * time.Second)
				p := f.produce()
				time.Sleep(5 * time.Second)
				acked := p.end()
				m := f.master()
				s := f.brokers[0]
				if s == m {
					s = f.brokers[1]
				}
				for _, k := range []*machine{m, s} { // nobody sees their connections end: both stay in the set
					k.isolate(f.others(k)...)
					disk := k.disk.CrashClone(f.rng, vfs.ProcessKill)
					k.kill(true)
					k.disk = disk
				}
				lose(t, s.disk)
				s.revive()
				time.Sleep(time.Minute)
				if got := f.master(); got != nil {
					t.Errorf("%s is master without its log", got.ip)
				}
				if f.diary.last("A part of the log was lost") < 0 {
					t.Error("the reason is not said")
				}
				m.revive()
				f.inSync(60 * time.Second)
				f.check(f.master(), acked)
				f.alike(30 * time.Second)
				m.kill(false) // now the other one may
				f.until(30*time.Second, "the other is master", func() bool { return f.master() == s })
				m.revive()
				f.inSync(60 * time.Second)
				f.check(s, acked)
			})
		})
	}
}

// empty removes what is in a folder, but for names that begin with keep.
func empty(t *testing.T, disk *vfs.Mem, dir, keep string) {
	t.Helper()
	list, err := disk.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		if keep == "" || !strings.HasPrefix(e.Name(), keep) {
			must(t, disk.RemoveAll(dir+"/"+e.Name()))
		}
	}
}

func TestTwoBrokersWithOneStoreAreNotBothServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, 2, nil)
		defer f.close()
		f.inSync(60 * time.Second)
		twin := &machine{f: f, ip: "10.9.1.9", broker: true, disk: f.brokers[1].disk.CrashClone(f.rng, vfs.ProcessKill)}
		twin.start()
		time.Sleep(time.Minute)
		if st := twin.node.broker.member.State(); st.Registered || twin.node.Role().Kind != Fenced {
			t.Errorf("%+v", st)
		}
		if f.diary.last("refused, two brokers must not have the same") < 0 {
			t.Error("the reason is not said")
		}
		f.inSync(time.Second)
		must(t, twin.node.shutdown(t.Context()))
	})
}
