package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Client is the host of the processes that nobody has named.
const Client = "client"

// Any stands for each host in a rule.
const Any = "*"

// rule is what a line does in one direction.
type rule struct {
	drop, cut bool
	delay     time.Duration
}

// line is a direction between two hosts.
type line struct{ from, to string }

// Net holds the hosts, their fronts and the rules between them.
type Net struct {
	wg  sync.WaitGroup
	ctx context.Context //nolint:containedctx // the life of the connections, which is that of the test
	end context.CancelFunc

	mu      sync.Mutex // guards what follows
	pids    map[string]func() int
	rules   map[line]rule
	changed chan struct{} // closed when the rules change
	links   map[*link]struct{}
}

// New returns a Net that ends with the test.
func New(tb testing.TB) *Net {
	tb.Helper()
	n := &Net{pids: map[string]func() int{}, rules: map[line]rule{}, changed: make(chan struct{}), links: map[*link]struct{}{}}
	n.ctx, n.end = context.WithCancel(context.WithoutCancel(tb.Context()))
	tb.Cleanup(func() {
		n.end()
		n.wg.Wait()
	})
	return n
}

// Host names a process; pid returns its number now, 0 when it does not run.
func (n *Net) Host(name string, pid func() int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pids[name] = pid
}

// Front listens on addr for the server of a host that listens on target.
func (n *Net) Front(tb testing.TB, host, addr, target string) {
	tb.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		tb.Fatalf("front of %s: %v", host, err)
	}
	n.wg.Go(func() {
		defer context.AfterFunc(n.ctx, func() { _ = l.Close() })()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.wg.Go(func() { n.serve(c, host, target) })
		}
	})
}

// set changes rules. Names may be Any; to itself a host is never cut off.
func (n *Net) set(from, to string, f func(*rule)) {
	n.mu.Lock()
	r := n.rules[line{from, to}]
	f(&r)
	n.rules[line{from, to}] = r
	close(n.changed)
	n.changed = make(chan struct{})
	var gone []*link
	for k := range n.links {
		if n.ruleLocked(k.from, k.to).cut || n.ruleLocked(k.to, k.from).cut {
			gone = append(gone, k)
		}
	}
	n.mu.Unlock()
	for _, k := range gone {
		k.reset()
	}
}

// Drop holds back what from sends to to.
func (n *Net) Drop(from, to string) { n.set(from, to, func(r *rule) { r.drop = true }) }

// Split holds back what two hosts send to each other.
func (n *Net) Split(a, b string) {
	n.Drop(a, b)
	n.Drop(b, a)
}

// Cut resets the connections between two hosts and each new one.
func (n *Net) Cut(a, b string) { n.set(a, b, func(r *rule) { r.cut = true }) }

// Delay holds back for d what from sends to to.
func (n *Net) Delay(from, to string, d time.Duration) {
	n.set(from, to, func(r *rule) { r.delay = d })
}

// Heal takes all rules away.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.rules)
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *Net) ruleLocked(from, to string) rule {
	var out rule
	for _, l := range []line{{from, to}, {Any, to}, {from, Any}} {
		r := n.rules[l]
		out.drop, out.cut, out.delay = out.drop || r.drop, out.cut || r.cut, max(out.delay, r.delay)
	}
	return out
}

func (n *Net) rule(from, to string) (rule, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ruleLocked(from, to), n.changed
}

// pass waits until the line from one host to another lets through what has come. It returns an error when the net has ended.
func (n *Net) pass(from, to string, done <-chan struct{}) error {
	waited := false
	for {
		r, changed := n.rule(from, to)
		if !r.drop {
			if r.delay == 0 || waited {
				return nil
			}
			changed = nil
		}
		var after <-chan time.Time
		if !r.drop {
			after, waited = time.After(r.delay), true
		}
		select {
		case <-changed:
		case <-after:
		case <-done:
			return errOver
		case <-n.ctx.Done():
			return errOver
		}
	}
}

var errOver = errors.New("over")

// link is one relayed connection.
type link struct {
	from, to string
	in, out  *net.TCPConn
	once     sync.Once
	done     chan struct{}
}

func (k *link) reset() {
	k.once.Do(func() {
		close(k.done)
		_ = k.in.SetLinger(0)
		_ = k.in.Close()
		if k.out != nil {
			_ = k.out.SetLinger(0)
			_ = k.out.Close()
		}
	})
}

// serve relays one connection.
func (n *Net) serve(c net.Conn, host, target string) {
	in, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	k := &link{from: n.owner(in), to: host, in: in, done: make(chan struct{})}
	defer k.reset()
	defer context.AfterFunc(n.ctx, k.reset)()
	if r, _ := n.rule(k.from, host); r.cut {
		return
	}
	if r, _ := n.rule(host, k.from); r.cut {
		return
	}
	// The server sees a connection when what asks for it arrives.
	if n.pass(k.from, host, k.done) != nil {
		return
	}
	out, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(n.ctx, "tcp", target)
	if err != nil {
		return
	}
	k.out, _ = out.(*net.TCPConn)
	n.mu.Lock()
	n.links[k] = struct{}{}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.links, k)
	}()
	var wg sync.WaitGroup
	wg.Go(func() { n.copy(k, k.out, k.in, k.from, k.to) })
	wg.Go(func() { n.copy(k, k.in, k.out, k.to, k.from) })
	wg.Wait()
}

// copy moves bytes in one direction, and then its end.
func (n *Net) copy(k *link, dst, src *net.TCPConn, from, to string) {
	buf := make([]byte, 64<<10)
	for {
		m, err := src.Read(buf)
		if n.pass(from, to, k.done) != nil {
			return
		}
		if m > 0 {
			if _, werr := dst.Write(buf[:m]); werr != nil {
				k.reset()
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = dst.CloseWrite()
			return
		default:
			k.reset()
			return
		}
	}
}

// owner is the host whose process holds the other end of c.
func (n *Net) owner(c *net.TCPConn) string {
	inode, err := peerInode(c)
	if err != nil {
		return Client
	}
	n.mu.Lock()
	pids := make(map[string]int, len(n.pids))
	for name, pid := range n.pids {
		pids[name] = pid()
	}
	n.mu.Unlock()
	for name, pid := range pids {
		if pid > 0 && holds(pid, inode) {
			return name
		}
	}
	return Client
}

// String tells the rules.
func (n *Net) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprint(n.rules)
}
