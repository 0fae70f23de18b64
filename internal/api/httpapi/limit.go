package httpapi

import (
	"net/netip"
	"sync"
	"time"
)

// loginLimit slows down guessing: after 5 failures of a user from a network within a minute each further one doubles the wait, up to
// 15 minutes. Somebody else's failures from another network lock nobody out.
type loginLimit struct {
	now func() time.Time

	mu    sync.Mutex // guards table
	table map[loginKey]*failures
}

type loginKey struct {
	user string
	from netip.Prefix
}

type failures struct {
	n     int
	last  time.Time
	until time.Time
}

const (
	freeFailures  = 5
	failureWindow = time.Minute
	maxWait       = 15 * time.Minute
	maxLoginKeys  = 10_000
)

func newLoginLimit(now func() time.Time) *loginLimit {
	return &loginLimit{now: now, table: map[loginKey]*failures{}}
}

// keyOf counts a whole network of a provider's customer as one: /24, or /64.
func keyOf(user string, from netip.Addr) loginKey {
	bits := 24
	if from.Is6() {
		bits = 64
	}
	p, _ := from.Prefix(bits) // an address that is none is a network of its own
	if len(user) > 64 {
		user = user[:64]
	}
	return loginKey{user, p}
}

// wait is how long the next try must wait.
func (l *loginLimit) wait(user string, from netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.table[keyOf(user, from)]
	if f == nil {
		return 0
	}
	return max(f.until.Sub(l.now()), 0)
}

func (l *loginLimit) failed(user string, from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if len(l.table) >= maxLoginKeys {
		for k, f := range l.table {
			if now.Sub(f.last) > maxWait {
				delete(l.table, k)
			}
		}
	}
	k := keyOf(user, from)
	f := l.table[k]
	switch {
	case f == nil && len(l.table) >= maxLoginKeys:
		return // whoever fills the table is in it
	case f == nil, now.Sub(f.last) > failureWindow && now.After(f.until.Add(failureWindow)):
		f = &failures{}
		l.table[k] = f
	}
	f.n++
	f.last = now
	if over := f.n - freeFailures; over >= 0 {
		f.until = now.Add(min(time.Second<<min(over, 10), maxWait))
	}
}

func (l *loginLimit) good(user string, from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.table, keyOf(user, from))
}
