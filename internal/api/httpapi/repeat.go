package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// repeats remembers answers by Idempotency-Key, so that a request that is sent twice is done once.
type repeats struct {
	now func() time.Time

	mu    sync.Mutex // guards table
	table map[string]*repeat
}

// repeat is one answer; done is closed when it is there.
type repeat struct {
	key         string
	sum         [32]byte
	at          time.Time
	done        chan struct{}
	status      int // 0: there will be none, the request may be tried again
	contentType string
	body        []byte
}

const (
	repeatValid = 24 * time.Hour
	maxRepeats  = 2000
	maxRepeat   = 256 << 10 // bytes of an answer
)

func newRepeats(now func() time.Time) *repeats {
	return &repeats{now: now, table: map[string]*repeat{}}
}

var (
	errReused  = problemf(http.StatusUnprocessableEntity, "idempotencyKeyReused", "the Idempotency-Key was used for another request")
	errRepeats = problemf(http.StatusServiceUnavailable, "tooManyKeys", "too many requests with an Idempotency-Key are under way")
)

// enter returns mine = true when the request is to be done; leave must follow. Otherwise the answer is in the entry.
func (p *repeats) enter(ctx context.Context, key string, sum [32]byte) (e *repeat, mine bool, err error) {
	for {
		p.mu.Lock()
		e = p.table[key]
		if e == nil || p.now().Sub(e.at) > repeatValid {
			e = &repeat{key: key, sum: sum, at: p.now(), done: make(chan struct{})}
			ok := p.room()
			if ok {
				p.table[key] = e
			}
			p.mu.Unlock()
			if !ok {
				return nil, false, errRepeats
			}
			return e, true, nil
		}
		p.mu.Unlock()
		if e.sum != sum {
			return nil, false, errReused
		}
		select {
		case <-e.done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		if e.status != 0 {
			return e, false, nil
		}
	}
}

// room drops what is old, and the oldest when there is too much. The caller holds mu.
func (p *repeats) room() bool {
	if len(p.table) < maxRepeats {
		return true
	}
	var oldest *repeat
	for k, e := range p.table {
		select {
		case <-e.done:
		default:
			continue
		}
		if p.now().Sub(e.at) > repeatValid {
			delete(p.table, k)
			continue
		}
		if oldest == nil || e.at.Before(oldest.at) {
			oldest = e
		}
	}
	if len(p.table) >= maxRepeats && oldest != nil {
		delete(p.table, oldest.key)
	}
	return len(p.table) < maxRepeats
}

// leave stores the answer. Failures of servers are not kept: trying again is right then.
func (p *repeats) leave(e *repeat, status int, contentType string, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if status == 0 || status >= 500 || status == http.StatusTooManyRequests || len(body) >= maxRepeat {
		delete(p.table, e.key)
	} else {
		e.status, e.contentType, e.body = status, contentType, body
	}
	close(e.done)
}
