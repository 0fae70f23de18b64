// Package retained holds the last retained message of each name, found by filter.
package retained

import (
	"strings"
	"sync"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
)

// Table is safe for use by several goroutines. Messages in it must not be changed.
type Table struct {
	mu   sync.RWMutex // guards what follows
	root level
	n    int
}

type level struct {
	next map[string]*level
	m    *message.Message
}

// New returns an empty table.
func New() *Table { return &Table{} }

// Len is the number of messages.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.n
}

// Put keeps m in place of the one that its name had.
func (t *Table) Put(m *message.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.root
	for part := range strings.SplitSeq(m.Topic, "/") {
		next := l.next[part]
		if next == nil {
			next = &level{}
			if l.next == nil {
				l.next = map[string]*level{}
			}
			l.next[part] = next
		}
		l = next
	}
	if l.m == nil {
		t.n++
	}
	l.m = m
}

// Remove forgets what a name has.
func (t *Table) Remove(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root.remove(name) {
		t.n--
	}
}

func (l *level) remove(name string) (had bool) {
	part, left, more := strings.Cut(name, "/")
	next := l.next[part]
	if next == nil {
		return false
	}
	if more {
		had = next.remove(left)
	} else {
		had, next.m = next.m != nil, nil
	}
	if next.m == nil && len(next.next) == 0 {
		delete(l.next, part)
	}
	return had
}

// Match returns the messages whose names match a filter and which have not expired at now, ms since the epoch.
func (t *Table) Match(filter string, now int64) (out []*message.Message) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.root.match(filter, true, func(m *message.Message) {
		if _, ok := m.Left(now); ok {
			out = append(out, m)
		}
	})
	return out
}

func (l *level) match(filter string, first bool, f func(*message.Message)) {
	part, left, more := strings.Cut(filter, "/")
	if part == "#" {
		if !first {
			l.emit(f) // "a/#" matches "a"
		}
		for name, next := range l.next {
			if !first || !strings.HasPrefix(name, "$") {
				next.all(f)
			}
		}
		return
	}
	step := func(next *level) {
		if more {
			next.match(left, false, f)
		} else {
			next.emit(f)
		}
	}
	if part != "+" {
		if next := l.next[part]; next != nil {
			step(next)
		}
		return
	}
	for name, next := range l.next {
		if !first || !strings.HasPrefix(name, "$") {
			step(next)
		}
	}
}

func (l *level) emit(f func(*message.Message)) {
	if l.m != nil {
		f(l.m)
	}
}

func (l *level) all(f func(*message.Message)) {
	l.emit(f)
	for _, next := range l.next {
		next.all(f)
	}
}
