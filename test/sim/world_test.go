package sim

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	nsHost, brokerHost, clientHost = "10.0.0.1", "10.0.0.2", "10.0.0.3"
	nsAddr, brokerAddr             = nsHost + ":9876", brokerHost + ":10911"
	topic                          = "sim"
	group                          = "sim_group"
	queues                         = 3
)

// world is one cluster with its clients.
type world struct {
	*testing.T
	rng  *rand.Rand
	net  *memnet.Network
	disk *vfs.Mem          // of the broker
	conf map[string]string // more lines of broker.conf
	sync bool              // SYNC_FLUSH: what is acknowledged survives power cuts
	pace time.Duration     // between the sends of a producer
	slow atomic.Int64      // a sync of the log takes up to that many ms
	set  atomic.Int64      // the broker's time of day is off by that many ns

	ns, broker *node.Node
	crashes    int
	faults     map[string]int // how often each happened

	addr atomic.Pointer[string] // the broker's address as clients know it, from the last route they got

	mu        sync.Mutex // guards what follows
	cuts      int        // power cuts
	producers [queues]producer
	consumers [queues]consumer
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{
		T: t, rng: rand.New(rand.NewPCG(seed, 7)), net: memnet.New(), disk: vfs.NewMem(vfs.MemOptions{}), pace: 200 * time.Millisecond,
		faults: map[string]int{},
	}
	w.sync = w.rng.IntN(2) == 0
	for q := range queues {
		w.consumers[q].at = map[int64]int64{}
	}
	return w
}

// start starts both servers, makes the topic and waits until clients can find it.
func (w *world) start() {
	w.Helper()
	w.startNamesrv()
	w.startBroker()
	c := w.client(brokerAddr)
	w.must(c.CreateTopic(topic, queues))
	w.must(c.Close())
	w.routeReturns()
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) options(host string) node.Options {
	h := w.net.Host(host)
	return node.Options{
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return h.Listen(net.JoinHostPort(host, port))
		},
		Dial: h.Dial,
	}
}

func (w *world) startNamesrv() {
	w.Helper()
	c, _, err := config.LoadNamesrv(config.Sources{Host: &config.Host{Name: "ns", IP: nsHost, Home: "/ns"}})
	w.must(err)
	o := w.options(nsHost)
	o.Namesrv, o.FS = c, vfs.NewMem(vfs.MemOptions{})
	w.ns, err = node.Start(w.Context(), o)
	w.must(err)
}

func (w *world) startBroker() {
	w.Helper()
	flags := map[string]string{
		"storePathRootDir": "/store", "flushDiskType": config.FlushAsync, "mappedFileSizeCommitLog": "65536", "mappedFileSizeConsumeQueue": "4000",
		"maxHashSlotNum": "64", "maxIndexNum": "512",
	}
	if w.sync {
		flags["flushDiskType"] = config.FlushSync
	}
	maps.Copy(flags, w.conf)
	c, _, err := config.LoadBroker(config.Sources{
		Host: &config.Host{Name: "broker-a", IP: brokerHost, Home: "/home", NameServers: []string{nsAddr}}, Flags: flags,
	})
	w.must(err)
	o := w.options(brokerHost)
	o.Broker, o.FS, o.Now = c, vfs.NewFaulty(w.disk, w.diskRule), w.timeOfDay
	w.broker, err = node.Start(w.Context(), o)
	w.must(err)
}

// timeOfDay is what the clock of the broker's machine shows. Durations are not measured by it.
func (w *world) timeOfDay() time.Time { return time.Now().Round(0).Add(time.Duration(w.set.Load())) }

// setClock sets the broker's clock forwards or backwards, by milliseconds or by hours, and perhaps right again.
func (w *world) setClock(wait time.Duration) {
	most := []time.Duration{time.Second, time.Minute, 3 * time.Hour}[w.rng.IntN(3)]
	w.set.Store(w.rng.Int64N(2*int64(most)) - int64(most))
	if w.rng.IntN(2) == 0 {
		w.crash()
	}
	w.progress("after the clock was set", func() { time.Sleep(wait + settle) })
	if w.rng.IntN(2) == 0 {
		w.set.Store(0)
	}
}

// diskRule makes syncs of the log take long. Other files are left alone: some are synced under a mutex, and a goroutine
// that waits for one stops the bubble's clock.
func (w *world) diskRule(op vfs.Op) error {
	if slow := w.slow.Load(); slow > 0 && op.Kind == vfs.OpDatasync && strings.Contains(op.Name, "/commitlog/0") {
		time.Sleep(time.Duration(int64(op.N)*7919%slow) * time.Millisecond)
	}
	return nil
}

func (w *world) stop(n *node.Node) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), time.Minute)
	defer cancel()
	w.must(n.Shutdown(ctx))
}

// live lets clients work while n faults happen, each after a pause up to apart, then heals everything.
func (w *world) live(n int, apart time.Duration) {
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	for q := range queues {
		wg.Go(func() { w.produce(ctx, q) })
		wg.Go(func() { w.consume(ctx, q) })
	}
	wg.Go(func() { w.followRoutes(ctx) })
	for range n {
		time.Sleep(200*time.Millisecond + time.Duration(w.rng.Int64N(int64(apart))))
		w.fault()
	}
	w.slow.Store(0)
	for _, pair := range [][2]string{{clientHost, brokerHost}, {brokerHost, nsHost}, {clientHost, nsHost}} {
		w.net.Heal(pair[0], pair[1])
		w.net.Delay(pair[0], pair[1], 0)
	}
	w.routeReturns()
	w.progress("after all faults", func() { time.Sleep(settle) })
	cancel()
	wg.Wait()
}

// settle is how long clients may take to get on after a fault has ended.
const settle = 30 * time.Second

// progress fails when no message was accepted while f ran.
func (w *world) progress(what string, f func()) {
	w.Helper()
	before := w.acked()
	f()
	if w.acked() == before {
		w.Errorf("no message was accepted %s", what)
	}
}

func (w *world) acked() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for q := range queues {
		n += len(w.producers[q].acked)
	}
	return n
}

// fault is one accident. When it returns the accident is over.
func (w *world) fault() {
	wait := time.Duration(100+w.rng.IntN(30000)) * time.Millisecond
	list := []struct {
		name string
		do   func(wait time.Duration)
	}{
		{"crash", func(time.Duration) { w.crash() }},
		{"crash", func(time.Duration) { w.crash() }},
		{"crash while the name server is away", func(d time.Duration) {
			w.stop(w.ns)
			w.crash()
			time.Sleep(d)
			w.startNamesrv()
			w.routeReturns()
		}},
		{"clients lose the broker", func(d time.Duration) { w.apart(clientHost, brokerHost, d) }},
		{"the broker loses the name server", w.silence},
		{"clients lose the name server", func(d time.Duration) {
			w.staleRoute(d, func() { w.apart(clientHost, nsHost, d) })
		}},
		{"the name server restarts", func(d time.Duration) {
			// It forgets everything and must be told again.
			w.stop(w.ns)
			w.staleRoute(d, func() { time.Sleep(d) })
			w.startNamesrv()
			w.routeReturns()
		}},
		{"the clock is set", w.setClock},
		{"connections break", func(time.Duration) { w.net.Cut(clientHost, brokerHost) }},
		{"a connection breaks inside a frame", func(d time.Duration) {
			from, to := clientHost, brokerHost
			if w.rng.IntN(2) == 0 {
				from, to = to, from
			}
			w.must(w.net.CutAfter(from, to, w.rng.IntN(2000)))
			time.Sleep(d)
		}},
		{"slow network", func(d time.Duration) {
			w.net.Delay(clientHost, brokerHost, time.Duration(1+w.rng.IntN(400))*time.Millisecond)
			time.Sleep(d)
			w.net.Delay(clientHost, brokerHost, 0)
		}},
		{"slow disk", func(d time.Duration) {
			w.slow.Store(1 + w.rng.Int64N(3000))
			time.Sleep(d)
			w.slow.Store(0)
		}},
		{"slow disk, then a crash", func(d time.Duration) {
			w.slow.Store(1 + w.rng.Int64N(3000))
			time.Sleep(d / 10)
			w.crash()
			w.slow.Store(0)
		}},
	}
	f := list[w.rng.IntN(len(list))]
	w.faults[f.name]++
	f.do(wait)
}

func (w *world) apart(a, b string, d time.Duration) {
	w.net.Partition(a, b)
	time.Sleep(d)
	w.net.Heal(a, b)
}

// staleRoute runs f, which takes d and keeps clients from the name server: they go on with the route that they have.
func (w *world) staleRoute(d time.Duration, f func()) {
	w.Helper()
	if d < settle/2 {
		f()
		return
	}
	w.progress("while clients had no name server", f)
}

// brokerExpiry is Java's: a broker that is silent that long loses its routes, at the next look (10 s).
const brokerExpiry = 130 * time.Second

// silence keeps the broker from the name server for up to four minutes.
func (w *world) silence(wait time.Duration) {
	wait *= 8
	w.routeReturns() // it is known before
	w.net.Partition(brokerHost, nsHost)
	w.staleRoute(wait, func() { time.Sleep(wait) })
	if r, err := w.route(); wait > brokerExpiry+30*time.Second && err == nil && len(r.Write) > 0 {
		w.Errorf("the route is still there after the broker was silent for %v", wait)
	} else if wait < 80*time.Second && err != nil { // up to 30 s may have passed since the last heartbeat
		w.Errorf("the route is gone after the broker was silent for %v: %v", wait, err)
	}
	w.net.Heal(brokerHost, nsHost)
	w.routeReturns()
}

// crash takes the disk as it is at this moment and starts a new broker on it. The old one cannot answer any more when the
// picture is taken, so what it does later does not count.
func (w *world) crash() {
	mode := vfs.ProcessKill
	if w.sync && w.rng.IntN(2) == 0 {
		mode = vfs.PowerCut
	}
	w.crashes++
	w.net.Partition(clientHost, brokerHost)
	w.net.Cut(clientHost, brokerHost)
	w.net.Cut(brokerHost, nsHost)
	if mode == vfs.PowerCut { // offsets survive a kill of the process, not the loss of what is not synced
		w.mu.Lock()
		w.cuts++
		for q := range queues {
			w.consumers[q].committed = 0
		}
		w.mu.Unlock()
	}
	after := w.disk.CrashClone(w.rng, mode)
	w.stop(w.broker) // on its own disk, which nobody looks at again
	w.disk = after
	time.Sleep(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	w.startBroker()
	w.net.Heal(clientHost, brokerHost)
}

func (w *world) route() (bench.Route, error) {
	ctx, cancel := context.WithTimeout(w.Context(), 3*time.Second)
	defer cancel()
	return bench.RouteOf(ctx, w.net.Host(clientHost).Dial, nsAddr, topic)
}

// routeReturns waits until the name server knows the topic.
func (w *world) routeReturns() {
	w.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		r, err := w.route()
		if err == nil && len(r.Write) == queues {
			w.addr.Store(&r.Write[0].Addr)
			return
		}
		if time.Now().After(end) {
			w.Fatalf("no route after a minute: %v", err)
		}
	}
}

// finish reads everything back and ends the cluster.
func (w *world) finish() {
	w.Helper()
	w.verify()
	w.stop(w.broker)
	w.stop(w.ns)
}
