package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// diary remembers what happened in which order: what is logged, and what the world adds.
type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// Write makes it the output of a logger.
func (d *diary) Write(p []byte) (int, error) {
	d.note("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// last returns the place of the last line that contains s, -1 when there is none.
func (d *diary) last(s string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, l := range slices.Backward(d.lines) {
		if strings.Contains(l, s) {
			return i
		}
	}
	return -1
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// world is a machine in memory.
type world struct {
	tb    testing.TB
	net   *memnet.Network
	mem   *vfs.Mem
	fs    vfs.FS
	diary diary
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, net: memnet.New(), mem: vfs.NewMem(vfs.MemOptions{})}
	w.fs = w.mem
	return w
}

const (
	nsAddr     = "127.0.0.1:9876"
	brokerAddr = "127.0.0.1:10911"
	fastAddr   = "127.0.0.1:10909"
)

var host = config.Host{Home: "/home", Name: "machine", IP: "127.0.0.1"}

// options are those of a name server and a broker with small files.
func (w *world) options(set map[string]string) Options {
	w.tb.Helper()
	flags := map[string]string{
		"bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerName": "broker-a", "listenPort": "10911", "namesrvAddr": nsAddr,
		"storePathRootDir": "/store", "mappedFileSizeCommitLog": "1048576", "mappedFileSizeConsumeQueue": "6000",
		"maxHashSlotNum": "100", "maxIndexNum": "400", "autoCreateTopicEnable": "true", "blockCacheBytes": "2097152",
	}
	maps.Copy(flags, set)
	b, _, err := config.LoadBroker(config.Sources{Flags: flags, Host: &host})
	must(w.tb, err)
	ns, _, err := config.LoadNamesrv(config.Sources{Flags: map[string]string{"bindAddress": "127.0.0.1"}, Host: &host})
	must(w.tb, err)
	return Options{
		Namesrv: ns, Broker: b, FS: w.fs, Dial: w.net.Dial, Log: slog.New(slog.NewTextHandler(&w.diary, nil)),
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) {
			l, err := w.net.Listen(addr)
			if err != nil {
				return nil, err
			}
			return &watched{l, w}, nil
		},
	}
}

// watched notes when a listener is closed.
type watched struct {
	net.Listener
	w *world
}

func (l *watched) Close() error {
	l.w.diary.note("close listener %s", l.Addr())
	return l.Listener.Close()
}

func (w *world) start(o Options) *Node {
	w.tb.Helper()
	n, err := Start(w.tb.Context(), o)
	must(w.tb, err)
	return n
}

// free fails the test when something of a node is still held.
func (w *world) free() {
	w.tb.Helper()
	for _, addr := range []string{nsAddr, brokerAddr, fastAddr} {
		l, err := w.net.Listen(addr)
		if err != nil {
			w.tb.Errorf("still in use: %v", err)
			continue
		}
		must(w.tb, l.Close())
	}
	must(w.tb, w.mem.MkdirAll("/store"))
	lock, err := w.mem.Lock("/store/lock")
	if err != nil {
		w.tb.Errorf("the store is still locked: %v", err)
		return
	}
	must(w.tb, lock.Close())
}

func (w *world) exists(name string) bool {
	w.tb.Helper()
	_, err := w.mem.Stat(name)
	return err == nil
}

// roundTrip sends and consumes some messages.
func (w *world) roundTrip(n *Node, topic string) {
	w.tb.Helper()
	v, err := bench.RunVerify(w.tb.Context(), bench.Options{
		Broker: n.BrokerAddr(), Topic: topic, Group: "g_" + topic, Queues: 4, Size: 200, Count: 500, Window: 64, Create: true, Dial: w.net.Dial,
	})
	if err != nil || !v.OK() || v.Consumed.Messages != 500 {
		w.tb.Fatalf("round trip: %+v, %v\n%s", v, err, &w.diary)
	}
}

func TestNodeServesAndEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		n := w.start(w.options(nil))
		if n.NamesrvAddr() != nsAddr || n.BrokerAddr() != brokerAddr {
			t.Errorf("addresses %s %s", n.NamesrvAddr(), n.BrokerAddr())
		}
		if !w.exists("/store/abort") {
			t.Error("a running broker has no abort file")
		}
		r, err := bench.RouteOf(t.Context(), w.net.Dial, n.NamesrvAddr(), "TBW102") // Start has waited for the registration
		if err != nil || len(r.Write) == 0 {
			t.Errorf("no route: %v", err)
		}
		w.roundTrip(n, fmt.Sprint("topic", i))
		must(t, n.Shutdown(t.Context()))
		must(t, n.Shutdown(t.Context())) // again: nothing
		if w.exists("/store/abort") {
			t.Error("the abort file is still there")
		}
		w.free()
	}
}

func TestRolesOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	o.Broker = nil
	ns := w.start(o)
	if ns.BrokerAddr() != "" {
		t.Errorf("a name server has a broker at %s", ns.BrokerAddr())
	}
	o = w.options(nil)
	o.Namesrv = nil
	b := w.start(o)
	if b.NamesrvAddr() != "" {
		t.Errorf("a broker has a name server at %s", b.NamesrvAddr())
	}
	w.roundTrip(b, "topic")
	must(t, b.Shutdown(t.Context()))
	must(t, ns.Shutdown(t.Context()))
	w.free()
	if _, err := Start(t.Context(), Options{}); err == nil {
		t.Error("no error without a role")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Wait(ctx) }()
	w.roundTrip(n, "topic")
	cancel()
	must(t, <-done)
	w.free()
}

// TestFailedStartHoldsNothing makes each step of a start fail: the error says which, and ports, store and goroutines are
// free, so that the next start succeeds.
func TestFailedStartHoldsNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	taken := func(addr string) func(*testing.T, *world) func() {
		return func(t *testing.T, w *world) func() {
			t.Helper()
			l, err := w.net.Listen(addr)
			must(t, err)
			return func() { must(t, l.Close()) }
		}
	}
	failing := func(match string) func(*testing.T, *world) func() {
		return func(_ *testing.T, w *world) func() {
			w.fs = vfs.NewFaulty(w.mem, func(op vfs.Op) error {
				if strings.Contains(op.Name, match) {
					return broken
				}
				return nil
			})
			return func() { w.fs = w.mem }
		}
	}
	for _, tc := range []struct {
		name string
		obst func(*testing.T, *world) func() // puts something in the way; the result takes it away
		set  map[string]string
		want string
	}{
		{"port of the name server", taken(nsAddr), nil, "name server: listenPort=9876"},
		{"port of the broker", taken(brokerAddr), nil, "broker: listenPort=10911"},
		{"fast port of the broker", taken(fastAddr), nil, "broker: fast port 10909"},
		{"store of somebody else", func(t *testing.T, w *world) func() {
			t.Helper()
			must(t, w.mem.MkdirAll("/store"))
			l, err := w.mem.Lock("/store/lock")
			must(t, err)
			return func() { must(t, l.Close()) }
		}, nil, "lock"},
		{"log that cannot be read", failing("commitlog"), nil, "broken disk"},
		{"tables that cannot be read", failing("/store/config"), nil, "broken disk"},
		{"journal that cannot be read", failing(".journal"), nil, "broken disk"},
		{"address that is none", func(*testing.T, *world) func() { return func() {} }, map[string]string{"brokerIP1": "nowhere"}, "brokerIP1=nowhere"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.name == "log that cannot be read" || strings.HasSuffix(tc.name, "read") { // there has to be something to read
				n := w.start(w.options(nil))
				w.roundTrip(n, "topic")
				must(t, n.Shutdown(t.Context()))
			}
			away := tc.obst(t, w)
			n, err := Start(t.Context(), w.options(tc.set))
			if err == nil {
				t.Errorf("it starts: %v", n.Shutdown(t.Context()))
			} else if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q lacks %q", err, tc.want)
			}
			away()
			w.free()
			n = w.start(w.options(nil))
			w.roundTrip(n, "again")
			must(t, n.Shutdown(t.Context()))
		})
	}
}

// TestShutdownOrder looks at the four steps: out of the routes, no more connections, the disk, and the abort file last.
func TestShutdownOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fs = vfs.NewFaulty(w.mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpRemove && strings.HasSuffix(op.Name, "/abort") || op.Kind == vfs.OpDatasync || op.Kind == vfs.OpSync {
			w.diary.note("%v %s", op.Kind, op.Name)
		}
		return nil
	})
	n := w.start(w.options(nil))
	w.roundTrip(n, "topic")
	w.diary.note("THE END")
	must(t, n.Shutdown(t.Context()))
	steps := []string{"THE END", "broker unregistered", "close listener " + brokerAddr, "/store/config/consumerOffset.json", "/store/checkpoint", "/store/abort", "close listener " + nsAddr}
	var places []int
	for _, s := range steps {
		places = append(places, w.diary.last(s))
	}
	if places[0] < 0 || !slices.IsSorted(places) {
		t.Errorf("%v come in the order %v:\n%s", steps, places, &w.diary)
	}
}

// TestAFailedPartEndsTheProcess: when a role cannot go on, Wait returns, with the reason.
func TestAFailedPartEndsTheProcess(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{brokerAddr, fastAddr, nsAddr} {
		w := newWorld(t)
		o := w.options(nil)
		listen := o.Listen
		var victim net.Listener
		o.Listen = func(ctx context.Context, network, a string) (net.Listener, error) {
			l, err := listen(ctx, network, a)
			if a == addr {
				victim = l
			}
			return l, err
		}
		n := w.start(o)
		done := make(chan error, 1)
		go func() { done <- n.Wait(t.Context()) }()
		must(t, victim.Close())
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", addr, err)
		}
		w.free()
	}
}
