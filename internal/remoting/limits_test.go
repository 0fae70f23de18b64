package remoting

import (
	"bufio"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// alive reports whether the server has taken w: it answers, or closes.
func alive(w *wire) bool {
	w.t.Helper()
	if _, err := w.Write(get(JSON, 1, 1)); err != nil {
		return false
	}
	_, err := w.recv()
	return err == nil
}

// until waits for what other goroutines do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	s := remoteServer(ServerOptions{})
	r := serve(t, overTCP(), s)
	first := r.wire(t)
	if !alive(first) {
		t.Fatal("refused without a limit")
	}
	counts := func() map[string]float64 {
		m := map[string]float64{}
		telemetry.Collect([]telemetry.Source{{Collect: func(sink *telemetry.Sink) { s.CollectRefused(sink, "x") }}}, 0, func(x *telemetry.Sample) { m[x.Labels[1]] = x.Value })
		return m
	}
	s.Limit(Limits{Total: 2})
	second := r.wire(t)
	if !alive(second) || alive(r.wire(t)) || !alive(first) {
		t.Error("two connections are allowed")
	}
	s.Limit(Limits{PerAddr: 2})
	if alive(r.wire(t)) {
		t.Error("two connections from an address are allowed")
	}
	if c := counts(); c["total"] != 1 || c["address"] != 1 {
		t.Errorf("%v", c)
	}
	_ = second.Close()
	until(t, "a connection ends", func() bool { return s.core.live.Load() == 1 })
	if !alive(r.wire(t)) {
		t.Error("the place of one that has ended is not free")
	}
	s.Limit(Limits{})
	for range 5 {
		if !alive(r.wire(t)) {
			t.Error("refused without a limit")
		}
	}
	r.stop(t)
	if len(s.core.limiter.perAddr) != 0 {
		t.Errorf("left behind: %v", s.core.limiter.perAddr)
	}
}

func TestConnectionsOfProxiesCountForTheirClients(t *testing.T) {
	t.Parallel()
	s := remoteServer(ServerOptions{})
	r := serve(t, overTCP(), s)
	head := func(addr string) string { return "PROXY TCP4 " + addr + " 198.51.100.9 12345 10911\r\n" }
	open := func(header string) bool {
		w := r.wire(t)
		if _, err := io.WriteString(w, header); err != nil {
			return false
		}
		w.r = bufio.NewReader(w.Conn)
		return alive(w)
	}
	s.Limit(Limits{PerAddr: 2, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, x := range []struct {
		from string
		want bool
	}{{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false}, {"192.0.2.2", true}, {"192.0.2.3", true}, {"192.0.2.2", true}, {"192.0.2.2", false}} {
		if got := open(head(x.from)); got != x.want {
			t.Errorf("from %s: %v", x.from, got)
		}
	}
	s.Limit(Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if open(head("192.0.2.9")) || !open("") {
		t.Error("the header of somebody else was believed")
	}
	if n := s.core.limiter.refused[refusedProxy].Load(); n != 1 {
		t.Errorf("%d refused", n)
	}
	s.Limit(Limits{}) // as Java
	if !open(head("192.0.2.9")) {
		t.Error("a header was not believed")
	}
	r.stop(t)
	if len(s.core.limiter.perAddr) != 0 {
		t.Errorf("left behind: %v", s.core.limiter.perAddr)
	}
}
