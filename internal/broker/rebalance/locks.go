package rebalance

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// LockTime is how long a queue lock lives without being renewed.
const LockTime = time.Minute

// Locks is the table of queue locks: group, queue, holder.
type Locks struct {
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex // guards groups
	groups map[string]map[mq.Queue]held
}

type held struct {
	client string
	since  time.Time
}

// NewLocks returns an empty table.
func NewLocks(now func() time.Time, log *slog.Logger) *Locks {
	return &Locks{now: now, log: log, groups: make(map[string]map[mq.Queue]held)}
}

// Lock takes or renews what it can of queues and returns that. Strings of r may be borrowed. Taking over from a client that
// was silent for too long is logged, once for a request; Java also logs each queue that is refused, again and again.
func (l *Locks) Lock(r *mq.LockRequest) []mq.Queue {
	got, taken, from := l.lock(r)
	if taken > 0 {
		l.log.Warn("queue locks of a silent client were taken over", "group", r.Group, "client", r.ClientID, "from", from, "queues", taken)
	}
	return got
}

// lock also returns how many of the queues were another client's, and whose the last of them was.
func (l *Locks) lock(r *mq.LockRequest) (got []mq.Queue, over int, from string) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	group := l.groups[r.Group]
	got = make([]mq.Queue, 0, len(r.Queues))
	for _, q := range r.Queues {
		h, taken := group[q]
		if taken && h.client != r.ClientID {
			if now.Sub(h.since) <= LockTime {
				continue
			}
			over, from = over+1, h.client
		}
		if group == nil {
			group = make(map[mq.Queue]held)
			l.groups[strings.Clone(r.Group)] = group
		}
		if !taken {
			q = mq.Queue{Topic: strings.Clone(q.Topic), Broker: strings.Clone(q.Broker), ID: q.ID}
		}
		if h.client != r.ClientID {
			h.client = strings.Clone(r.ClientID)
		}
		group[q] = held{client: h.client, since: now}
		got = append(got, q)
	}
	return got, over, from
}

// Unlock gives back those of the queues that the client holds.
func (l *Locks) Unlock(r *mq.LockRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	group := l.groups[r.Group]
	for _, q := range r.Queues {
		if h, ok := group[q]; ok && h.client == r.ClientID {
			delete(group, q)
		}
	}
	if len(group) == 0 {
		delete(l.groups, r.Group)
	}
}

// Held reports whether any queue of the group is locked now: the group consumes in order.
func (l *Locks) Held(group string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.groups[group] {
		if now.Sub(h.since) <= LockTime {
			return true
		}
	}
	return false
}

// Expire forgets locks that nobody renewed for ten times their life, so that groups which are gone leave nothing.
func (l *Locks) Expire() {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, group := range l.groups {
		for q, h := range group {
			if now.Sub(h.since) > 10*LockTime {
				delete(group, q)
			}
		}
		if len(group) == 0 {
			delete(l.groups, name)
		}
	}
}
