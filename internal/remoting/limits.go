package remoting

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// Limits bound the connections of a server. The zero value bounds nothing.
type Limits struct {
	Total   int // 0: no limit
	PerAddr int // from one IP address, 0: no limit
	// Proxies are whose PROXY headers are believed; from anybody else such a header ends the connection. Connections of theirs count for
	// the address in the header. Empty: everybody's headers are believed, and connections count for the address they come from.
	Proxies []netip.Prefix
}

// errTooMany ends a connection that is above a limit.
var errTooMany = errors.New("too many connections")

// Reasons for which connections are refused, as metrics name them.
const (
	refusedTotal = iota
	refusedAddr
	refusedProxy
	refusals
)

var refusalNames = [refusals]string{"total", "address", "proxy"}

// limiter is how a core keeps to its Limits. Its counts are guarded by core.mu.
type limiter struct {
	limits  atomic.Pointer[Limits]
	perAddr map[netip.Addr]int
	refused [refusals]atomic.Int64
	warned  atomic.Int64 // unix time in s
}

// warnEvery is how often a refusal is logged, in s.
const warnEvery = 10

// Limit changes the limits. Connections that are there stay.
func (s *Server) Limit(l Limits) {
	l.Proxies = slices.Clone(l.Proxies)
	s.core.limiter.limits.Store(&l)
}

// CollectRefused tells sink how many connections were refused. role says whose server it is.
func (s *Server) CollectRefused(sink *telemetry.Sink, role string) {
	for i := range s.core.limiter.refused {
		if n := s.core.limiter.refused[i].Load(); n > 0 {
			sink.Int(telemetry.ConnsRefused, n, role, refusalNames[i])
		}
	}
}

func (l *Limits) proxy(a netip.Addr) bool {
	return slices.ContainsFunc(l.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// refusal is why a connection is refused.
type refusal struct {
	why  int
	from netip.Addr
	error
}

// Unwrap returns errTooMany or ErrMalformed.
func (r *refusal) Unwrap() error { return r.error }

func refuse(why int, from netip.Addr, format string, args ...any) error {
	return &refusal{why, from, fmt.Errorf(format, args...)}
}

// countLocked counts a new connection unless there are too many.
func (co *core) countLocked(c *Conn) error {
	l, a := co.limiter.limits.Load(), c.socket.Addr()
	if l != nil {
		if l.Total > 0 && len(co.conns) >= l.Total {
			return refuse(refusedTotal, a, "%w: %d, maxConnections is %d", errTooMany, len(co.conns), l.Total)
		}
		if !l.proxy(a) {
			if err := co.roomLocked(l, a); err != nil {
				return err
			}
		}
	}
	c.counted = a
	co.limiter.perAddr[a]++
	return nil
}

func (co *core) roomLocked(l *Limits, a netip.Addr) error {
	if n := co.limiter.perAddr[a]; l.PerAddr > 0 && n >= l.PerAddr {
		return refuse(refusedAddr, a, "%w from %s: %d, maxConnectionsPerAddress is %d", errTooMany, a, n, l.PerAddr)
	}
	return nil
}

func (co *core) uncountLocked(c *Conn) {
	if co.limiter.perAddr[c.counted]--; co.limiter.perAddr[c.counted] <= 0 {
		delete(co.limiter.perAddr, c.counted)
	}
}

// proxied is called when a PROXY header says that c comes from another address.
func (co *core) proxied(c *Conn, from netip.AddrPort) error {
	l := co.limiter.limits.Load()
	if l == nil || len(l.Proxies) == 0 {
		return nil
	}
	if !l.proxy(c.socket.Addr()) {
		return refuse(refusedProxy, c.socket.Addr(), "%w: a PROXY header from %s, which is none of proxyAddresses", ErrMalformed, c.socket.Addr())
	}
	co.mu.Lock()
	defer co.mu.Unlock()
	if err := co.roomLocked(l, from.Addr()); err != nil {
		return err
	}
	co.uncountLocked(c)
	c.counted = from.Addr()
	co.limiter.perAddr[c.counted]++
	return nil
}

// noteRefused counts err if it is a refusal, and logs one now and then.
func (co *core) noteRefused(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		return
	}
	n := co.limiter.refused[r.why].Add(1)
	now := time.Now().Unix()
	if last := co.limiter.warned.Load(); now-last >= warnEvery && co.limiter.warned.CompareAndSwap(last, now) {
		co.log.Warn("a connection is refused", "peer", r.from, "reason", refusalNames[r.why], "refused", n, "err", r.error)
	}
}
