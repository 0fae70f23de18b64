package auth

import (
	"cmp"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// limiter counts failed authentications by address and user, so that secrets cannot be guessed at the speed of the network. While a
// pair is over the limit its requests are refused unread. Somebody else's failures from another address lock nobody out.
type limiter struct {
	burst int
	every time.Duration
	now   func() time.Time
	some  atomic.Bool // the table is not empty

	mu    sync.Mutex // guards table
	table map[limitKey]debt
}

// limitKey is whose failures count together; user is "" for all that do not exist.
type limitKey struct {
	from netip.Addr
	user string
}

// debt is how many failures there were at a time; one is forgiven every so often.
type debt struct {
	n  int
	at time.Time
}

const (
	defaultBurst = 20
	maxDebts     = 4096
)

func newLimiter(burst int, every time.Duration, now func() time.Time) *limiter {
	return &limiter{burst: cmp.Or(burst, defaultBurst), every: cmp.Or(every, time.Second), now: now, table: map[limitKey]debt{}}
}

func (l *limiter) refuses(k limitKey) bool {
	if !l.some.Load() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.table[k]
	if !ok {
		return false
	}
	d = l.forgive(d)
	if d.n == 0 {
		delete(l.table, k)
		l.some.Store(len(l.table) > 0)
		return false
	}
	return d.n >= l.burst
}

func (l *limiter) failed(k limitKey) {
	if l.burst < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.table[k]
	switch {
	case ok:
		d = l.forgive(d)
	case len(l.table) >= maxDebts:
		l.sweep()
		d.at = l.now()
	default:
		d.at = l.now()
	}
	d.n++
	l.table[k] = d
	l.some.Store(true)
}

// forgive is d now.
func (l *limiter) forgive(d debt) debt {
	n := int(l.now().Sub(d.at) / l.every)
	if n <= 0 {
		return d
	}
	d.at = d.at.Add(time.Duration(n) * l.every)
	d.n = max(d.n-n, 0)
	return d
}

// sweep makes room: what is forgiven goes, and when that is little, any half.
func (l *limiter) sweep() {
	for k, d := range l.table {
		if l.forgive(d).n == 0 {
			delete(l.table, k)
		}
	}
	for k := range l.table {
		if len(l.table) <= maxDebts/2 {
			return
		}
		delete(l.table, k)
	}
}

// size is how many debts are remembered.
func (l *limiter) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.table)
}
