package chaos

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/relay"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

// world is one deployment.
type world struct {
	t    *testing.T
	kind target.Kind
	dir  string
	net  *relay.Net // nil: processes talk to each other directly
	shim string     // Java: library to load first, "" for none

	clock *clock // nil: the machine's

	ns          []*host
	brokers     []*host
	controllers []*host

	controllerAddr string // of all of them
}

// host is one process with a place to live.
type host struct {
	*target.Process
	name   string
	addr   string // what it tells the world
	direct string // where it listens
	store  string
}

// public is where fronts listen.
const public = "127.0.0.2"

// taken are ports that were given out already: what is killed does not hold its own.
var taken = map[int]bool{}

func freePorts(t *testing.T, n int) int {
	t.Helper()
	for {
		base := target.FreePorts(t, n)
		if !taken[base/8] && !taken[(base+n-1)/8] {
			taken[base/8], taken[(base+n-1)/8] = true, true
			return base
		}
	}
}

// newWorld starts name servers. With lines, each connection goes through the relay.
func newWorld(t *testing.T, kind target.Kind, lines bool, nameServers int) *world {
	t.Helper()
	w := &world{t: t, kind: kind, dir: t.TempDir()}
	if lines {
		w.net = relay.New(t)
		w.net.Host(relay.Client, os.Getpid)
		w.shim = buildShim(t)
	}
	w.nameServers(nameServers)
	return w
}

func (w *world) nameServers(n int) {
	w.t.Helper()
	for i := range n {
		name := fmt.Sprintf("ns-%d", i)
		port := freePorts(w.t, 1)
		w.ns = append(w.ns, w.host(w.kind, "namesrv", name, port, map[string]string{
			"listenPort": fmt.Sprint(port), "bindAddress": "127.0.0.1", "kvConfigPath": filepath.Join(w.home(name), "kvConfig.json"),
		}, "256m", 0))
	}
	for _, h := range w.ns {
		h.WaitPort(h.direct, 3*time.Minute)
	}
}

func (w *world) home(name string) string {
	w.t.Helper()
	dir := filepath.Join(w.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// host starts a server that listens on port, with fronts for the ports at the given distances from it.
func (w *world) host(kind target.Kind, role, name string, port int, conf map[string]string, heap string, fronts ...int) *host {
	w.t.Helper()
	dir := w.home(name)
	h := &host{name: name, direct: fmt.Sprintf("127.0.0.1:%d", port), store: conf["storePathRootDir"]}
	h.addr = h.direct
	if w.net != nil {
		h.addr = fmt.Sprintf("%s:%d", public, port)
		for _, d := range fronts {
			w.net.Front(w.t, name, fmt.Sprintf("%s:%d", public, port+d), fmt.Sprintf("127.0.0.1:%d", port+d))
		}
	}
	s := target.Server{
		Kind: kind, Role: role, Conf: target.WriteConf(w.t, filepath.Join(dir, role+".conf"), conf), Log: filepath.Join(dir, role+".log"),
		Heap: heap, Full: true, Home: filepath.Join(dir, "home"),
	}
	if kind == target.Java && w.shim != "" {
		s.Env = []string{"LD_PRELOAD=" + w.shim, "CHAOS_BIND=1"}
	}
	if w.clock != nil {
		s.Env = append(s.Env, "CHAOS_CLOCK="+w.clock.path)
		s.Binary = w.clock.binary
	}
	h.Process = target.Run(w.t, s)
	if w.net != nil {
		w.net.Host(name, h.Running)
	}
	return h
}

func (w *world) nsAddrs() string {
	var out []string
	for _, h := range w.ns {
		out = append(out, h.addr)
	}
	return strings.Join(out, ";")
}

// broker starts a broker of the world's kind and waits until it listens.
func (w *world) broker(id int, conf map[string]string) *host {
	w.t.Helper()
	return w.brokerOf(w.kind, id, conf)
}

func (w *world) brokerOf(kind target.Kind, id int, conf map[string]string) *host {
	w.t.Helper()
	name := fmt.Sprintf("broker-%d", len(w.brokers))
	port := freePorts(w.t, 4) + 2
	ip := "127.0.0.1"
	if w.net != nil {
		ip = public
	}
	store := filepath.Join(w.home(name), "store")
	role := "ASYNC_MASTER"
	if id > 0 {
		role = "SLAVE"
	}
	lines := map[string]string{
		"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerId": fmt.Sprint(id), "brokerRole": role,
		"brokerIP1": ip, "brokerIP2": ip, "bindAddress": "127.0.0.1", "listenPort": fmt.Sprint(port), "haListenPort": fmt.Sprint(port + 1),
		"namesrvAddr": w.nsAddrs(), "autoCreateTopicEnable": "true", "mappedFileSizeCommitLog": fmt.Sprint(16 << 20),
		"storePathRootDir": store, "storePathCommitLog": filepath.Join(store, "commitlog"),
	}
	maps.Copy(lines, conf)
	h := w.host(kind, "broker", name, port, lines, "512m", 0, -2, 1)
	h.store = lines["storePathRootDir"]
	w.brokers = append(w.brokers, h)
	h.WaitPort(h.direct, 120*time.Second)
	return h
}

// again starts a host that was killed or stopped and waits until it listens.
func (h *host) again() {
	h.Start()
	h.WaitPort(h.direct, 120*time.Second)
}

func (h *host) pause()  { h.Signal(syscall.SIGSTOP) }
func (h *host) resume() { h.Signal(syscall.SIGCONT) }

// topic creates a topic at a broker, which may still be coming up, and waits until name servers know it.
func (w *world) topic(h *host, topic string, queues int) {
	w.t.Helper()
	until(w.t, 90*time.Second, "create topic "+topic, func() error {
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
		defer cancel()
		c, err := bench.Dial(ctx, nil, h.addr, protocol.JSON)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.CreateTopic(topic, queues)
	})
	if len(w.ns) > 0 {
		until(w.t, 90*time.Second, "route of "+topic, func() error {
			r, err := w.route(w.t.Context(), topic)
			if err == nil && len(r.Write) == 0 {
				err = fmt.Errorf("nothing to write to: %+v", r)
			}
			return err
		})
	}
}

// route asks the first name server that answers.
func (w *world) route(ctx context.Context, topic string) (r bench.Route, err error) {
	for _, ns := range w.ns {
		if ns.Running() == 0 {
			continue
		}
		nctx, cancel := context.WithTimeout(ctx, time.Second)
		r, err = bench.RouteOf(nctx, nil, ns.addr, topic)
		cancel()
		if err == nil {
			return r, nil
		}
	}
	return r, err
}

// master is the target that the route of a topic names, as clients see it.
func (w *world) master(topic string) history.Target {
	return func(ctx context.Context) (string, error) {
		r, err := w.route(ctx, topic)
		if err != nil || len(r.Write) == 0 {
			time.Sleep(40 * time.Millisecond)
			return "", fmt.Errorf("no route: %w", err)
		}
		return r.Write[0].Addr, nil
	}
}

// at is the target that stays.
func at(h *host) history.Target { return history.At(h.addr) }

func clone(m map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, m)
	return out
}

// until repeats f until it returns nil.
func until(t *testing.T, atMost time.Duration, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(atMost); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v after %v", what, err, atMost)
}

// running is a load that runs beside the faults.
type running struct {
	*history.Load
	w     *world
	out   *outcome
	stop  context.CancelFunc
	leave context.CancelFunc
	wg    sync.WaitGroup
	seen  sync.WaitGroup
}

// send starts a load of numbered messages on four queues with a reader beside it.
func (w *world) send(out *outcome, topic string, to history.Target, set ...func(*history.Load)) *running {
	w.t.Helper()
	r := &running{Load: history.NewLoad(topic, 4, to), w: w, out: out}
	r.Retry, r.Window, r.Pause, r.Size, r.Patience = true, 16, 5*time.Millisecond, 256, 4*time.Second
	for _, f := range set {
		f(r.Load)
	}
	var sctx, wctx context.Context
	sctx, r.stop = context.WithCancel(w.t.Context())
	wctx, r.leave = context.WithCancel(w.t.Context())
	r.wg.Go(func() { r.Run(sctx) })
	r.seen.Go(func() { r.Watch(wctx) })
	if _, ok := r.Again(60 * time.Second); !ok {
		w.t.Fatalf("no message is accepted\n%s", w.logs())
	}
	return r
}

// fault does f and waits until messages that were sent after it are acknowledged.
func (r *running) fault(f func()) {
	r.w.t.Helper()
	r.Mark()
	f()
	d, ok := r.Again(2 * time.Minute)
	if !ok {
		r.out.Stuck++
		r.w.t.Logf("no message is accepted 2 minutes after the fault\n%s", r.w.logs())
		return
	}
	r.out.Again = append(r.out.Again, d.Seconds())
	r.out.Faults++
}

// after waits for the acknowledgement of a message that is sent from now on, without losing what Gap knows.
func (r *running) after(atMost time.Duration) (int64, bool) {
	from := r.Acked.Load()
	for end := time.Now().Add(atMost); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		// More than what can have been in flight.
		if n := r.Acked.Load() - from; n > int64(len(r.Senders)*r.Window) {
			return n, true
		}
	}
	return 0, false
}

// end stops the load and judges what can be read at addr.
func (r *running) end(addr string) {
	r.w.t.Helper()
	time.Sleep(300 * time.Millisecond)
	r.stop()
	r.wg.Wait()
	time.Sleep(200 * time.Millisecond)
	r.leave()
	r.seen.Wait()
	ctx, cancel := context.WithTimeout(r.w.t.Context(), 2*time.Minute)
	defer cancel()
	var v history.Verdict
	until(r.w.t, time.Minute, "read all", func() (err error) {
		v, err = r.Verify(ctx, addr, r.Window)
		return err
	})
	r.out.Refused += r.Refused.Load()
	r.out.Add(v)
}

func (w *world) logs() string {
	var b strings.Builder
	for _, l := range [][]*host{w.brokers, w.controllers, w.ns} {
		for _, h := range l {
			s := h.Log()
			fmt.Fprintf(&b, "== %s\n%s\n", h.name, s[max(0, len(s)-1500):])
		}
	}
	return b.String()
}

// sameLogs waits until two replicas hold the same and notes what was compared.
func (w *world) sameLogs(out *outcome, a, b *host) {
	w.t.Helper()
	var r history.Replicas
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		var err error
		if r, err = history.CompareLogs(a.store, b.store); err == nil && r.Equal() {
			break
		}
	}
	out.Replicas = r.String()
	out.Differ = !r.Equal()
}
