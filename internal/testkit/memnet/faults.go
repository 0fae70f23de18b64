package memnet

import (
	"net/netip"
	"syscall"
	"time"
)

type linkKey struct{ a, b netip.Addr }

// link is what connects two hosts. Its fields are guarded by Network.mu; connections copy what they need under it.
type link struct {
	held   map[netip.Addr]bool // senders whose bytes are held back
	delay  time.Duration
	conns  map[*conn]struct{} // the dialing ends of live connections
	budget map[netip.Addr]int // sender -> bytes that still pass before the link is cut
}

func (n *Network) linkLocked(a, b netip.Addr) *link {
	if b.Less(a) {
		a, b = b, a
	}
	k := linkKey{a, b}
	lk := n.links[k]
	if lk == nil {
		lk = &link{held: map[netip.Addr]bool{}, conns: map[*conn]struct{}{}, budget: map[netip.Addr]int{}}
		n.links[k] = lk
	}
	return lk
}

func (n *Network) pair(a, b string) (*link, netip.Addr) {
	from := netip.MustParseAddr(a)
	return n.linkLocked(from, netip.MustParseAddr(b)), from
}

// Partition holds back all bytes, closes and dials between the hosts a and b until Heal.
func (n *Network) Partition(a, b string) {
	n.setHeld(a, b, true)
	n.setHeld(b, a, true)
}

// PartitionOneWay holds back what from sends to to, until Heal. What to sends still arrives, but no dial between the two succeeds: a
// handshake needs both directions.
func (n *Network) PartitionOneWay(from, to string) { n.setHeld(from, to, true) }

// Heal ends a partition, in both directions. What was written meanwhile arrives.
func (n *Network) Heal(a, b string) {
	n.setHeld(a, b, false)
	n.setHeld(b, a, false)
}

func (n *Network) setHeld(from, to string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lk, sender := n.pair(from, to)
	if on {
		lk.held[sender] = true
	} else {
		delete(lk.held, sender)
	}
	for c := range lk.conns {
		c.out.hold(lk.held[c.local.Addr()])
		c.in.hold(lk.held[c.remote.Addr()])
	}
	n.healed.Broadcast()
}

// Delay makes everything between a and b take d in each direction. Bytes already on their way keep their time.
func (n *Network) Delay(a, b string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lk, _ := n.pair(a, b)
	lk.delay = d
	for c := range lk.conns {
		c.in.setDelay(d)
		c.out.setDelay(d)
	}
}

// Cut resets all connections between a and b. Bytes in flight are lost. New connections are possible at once.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	lk, _ := n.pair(a, b)
	cs := lk.take()
	n.mu.Unlock()
	for _, c := range cs {
		c.reset(syscall.ECONNRESET)
	}
}

func (lk *link) take() []*conn {
	cs := make([]*conn, 0, len(lk.conns))
	for c := range lk.conns {
		cs = append(cs, c)
	}
	clear(lk.conns)
	return cs
}

// CutAfter lets bytes more bytes pass from a to b, then cuts the link as Cut does: a stream torn at a chosen place.
func (n *Network) CutAfter(a, b string, bytes int) error {
	if bytes < 0 {
		return errTooMuch
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	lk, from := n.pair(a, b)
	lk.budget[from] = bytes
	return nil
}

// Conns is the number of live connections between a and b.
func (n *Network) Conns(a, b string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	lk, _ := n.pair(a, b)
	return len(lk.conns)
}

// spend takes size bytes from the budget of the sender; cut = the link must be cut after pass bytes.
func (n *Network) spend(lk *link, sender netip.Addr, size int) (pass int, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left, limited := lk.budget[sender]
	if !limited {
		return size, false
	}
	if left > size {
		lk.budget[sender] = left - size
		return size, false
	}
	delete(lk.budget, sender)
	return left, true
}
