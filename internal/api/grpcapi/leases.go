package grpcapi

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// leases are messages that stay with the client that has them for as long as it is there: push consumers do not say how long they need
// (Java DefaultReceiptHandleManager). The client keeps the handle that it got; what it says about that is about the one that counts now.
//
// One goroutine looks after all of them. It runs while there are any.
type leases struct {
	mu       sync.Mutex                   // guards the rest
	of       map[string]map[string]*lease // by client, then by group and the handle that the client has
	running  bool
	stopped  bool
	stopping chan struct{} // closed with stopped; nil before the goroutine ran
}

// lease is one message.
type lease struct {
	d      *Door
	client string
	group  string
	since  int64 // ms, of the pop
	until  int64 // ms, guarded by leases.mu: when it is visible again

	// turn is a token: who has it may renew the message, or read what follows. It may be taken when leases.mu is not held.
	turn   chan struct{}
	ask    mq.AckRequest // with the handle that counts
	handle mq.Receipt
	times  int // that it was renewed
	failed int // times in a row
}

const (
	renewEvery  = 5 * time.Second
	renewBefore = 10 * time.Second // the end of its time
	renewTries  = 3
	returnIn    = time.Second // when a client has left
)

// renewals are for how long a message is renewed, by how often it was.
var renewals = [...]time.Duration{time.Minute, 3 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}

func leaseKey(group, handle string) string { return group + "\x00" + handle }

// add keeps a message that was delivered.
func (l *leases) add(rc *receipt, it *item) {
	q := rc.request(it)
	q.LiteTopic = strings.Clone(it.lite)
	e := &lease{
		d: rc.d, client: rc.id, group: rc.q.Group, since: it.receipt.PopTime, until: it.receipt.PopTime + it.receipt.Invisible,
		turn: make(chan struct{}, 1), ask: q, handle: it.receipt,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	if l.of == nil {
		l.of, l.stopping = map[string]map[string]*lease{}, make(chan struct{})
	}
	mine := l.of[rc.id]
	if mine == nil {
		mine = map[string]*lease{}
		l.of[rc.id] = mine
	}
	mine[leaseKey(rc.q.Group, it.handle)] = e
	if !l.running {
		l.running = true
		rc.d.wg.Go(l.run)
	}
}

// end ends the lease of a handle and returns the handle that counts.
func (l *leases) end(client, group, handle string) string {
	key := leaseKey(group, handle)
	l.mu.Lock()
	e := l.of[client][key]
	l.mu.Unlock()
	if e == nil || !l.drop(key, e) {
		return handle
	}
	e.turn <- struct{}{} // kept: it is renewed no more
	return e.ask.Receipt
}

// drop forgets a lease, and reports whether it was there.
func (l *leases) drop(key string, e *lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.of[e.client]
	if mine[key] != e {
		return false
	}
	if delete(mine, key); len(mine) == 0 {
		delete(l.of, e.client)
	}
	return true
}

// count is how many a client has.
func (l *leases) count(client string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.of[client])
}

// endAll ends those of a client that has left: its messages come again soon.
func (l *leases) endAll(client string) {
	l.mu.Lock()
	mine := l.of[client]
	delete(l.of, client)
	l.mu.Unlock()
	for _, e := range mine {
		e.turn <- struct{}{} // kept
		e.letGo(returnIn)
	}
}

// stop ends the goroutine.
func (l *leases) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.stopped = true
		if l.stopping != nil {
			close(l.stopping)
		}
	}
}

func (l *leases) run() {
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		select {
		case <-l.stopping:
			return
		case <-t.C:
		}
		if !l.look() {
			return
		}
	}
}

// look renews what ends soon. It reports false when there is nothing left to look after: then the goroutine ends.
func (l *leases) look() bool {
	type due struct {
		key string
		e   *lease
	}
	var list []due
	l.mu.Lock()
	if len(l.of) == 0 {
		l.running = false
		l.mu.Unlock()
		return false
	}
	for _, mine := range l.of {
		for key, e := range mine {
			if e.until-e.d.o.Now().UnixMilli() < renewBefore.Milliseconds() {
				list = append(list, due{key, e})
			}
		}
	}
	l.mu.Unlock()
	for _, x := range list {
		l.renew(x.key, x.e)
	}
	return true
}

// renew renews one, or ends it.
func (l *leases) renew(key string, e *lease) {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	default:
		return // it has just ended
	}
	if e.d.o.Now().UnixMilli()-e.since > e.d.o.Limits.Renewal.Milliseconds() {
		if l.drop(key, e) {
			e.letGo(time.Duration(0))
		}
		return
	}
	handle, err := e.hide(renewals[min(e.times, len(renewals)-1)])
	if err != nil {
		if e.failed++; e.failed >= renewTries || statusOf(err).GetCode() == v2.Code_INVALID_RECEIPT_HANDLE {
			l.drop(key, e)
		}
		return
	}
	e.times, e.failed = e.times+1, 0
	r, err := mq.ParseReceipt(handle)
	if err != nil {
		return // it is ours
	}
	e.ask.Receipt, e.handle = handle, r
	l.mu.Lock()
	defer l.mu.Unlock()
	e.until = r.PopTime + r.Invisible
}

// hide hides the message for another time and returns the new handle.
func (e *lease) hide(d time.Duration) (string, error) {
	core, err := e.d.enter()
	if err != nil {
		return "", err
	}
	defer core.leave()
	q := mq.ChangeInvisibleRequest{AckRequest: e.ask, Invisible: d.Milliseconds()}
	return hide(context.Background(), core.Service, &q, e.handle)
}

// letGo lets the message come again after a time.
//
// Differs from Java: a message that was renewed for too long comes again at once. There it waits first for as long as the retry policy of
// its group says.
func (e *lease) letGo(after time.Duration) {
	if _, err := e.hide(after); err != nil {
		e.d.o.Log.Debug("a message comes again when its time is over", "group", e.group, "client", e.client, "err", err)
	}
}
