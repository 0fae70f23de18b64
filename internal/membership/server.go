package membership

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// server is one name server as this broker sees it.
type server struct {
	r    *Registrar
	addr string
	wake chan struct{} // has room for one: something was posted

	mu sync.Mutex // guards what follows
	// known: the last registration succeeded and Run is at work, so that a post will be dealt with.
	known   bool
	at      time.Time // of the last registration
	pending map[string]mq.TopicConfig
	full    bool
	version mq.DataVersion // of what is pending
	waiters []chan error

	registered mq.DataVersion // what the server was told last; only for the server's own goroutine
	as         int64          // the id it was told, -1 when it does not know us; likewise
	down       bool           // a failure has been logged; only for the server's own goroutine
}

func newServer(r *Registrar, addr string) *server {
	return &server{r: r, addr: addr, as: -1, wake: make(chan struct{}, 1), pending: make(map[string]mq.TopicConfig)}
}

// post queues changed topics, all topics when there are none, and returns where the outcome will be told. It returns
// nil when the server does not know this broker: a full registration will bring the change, after the one that may be
// under way and have read the table before the change.
func (s *server) post(changed []mq.TopicConfig, v mq.DataVersion) <-chan error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		s.full = true
		s.wakeUp()
		return nil
	}
	for _, t := range changed {
		s.pending[t.Name] = t
	}
	s.full = s.full || len(changed) == 0
	if v.StateVersion > s.version.StateVersion || v.StateVersion == s.version.StateVersion && v.Counter >= s.version.Counter {
		s.version = v
	}
	done := make(chan error, 1)
	s.waiters = append(s.waiters, done)
	s.wakeUp()
	return done
}

// lost asks for a full registration, unless there has just been one.
func (s *server) lost(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && now.Sub(s.at) >= calm {
		s.full = true
		s.wakeUp()
	}
}

func (s *server) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// batch is what was posted since the last time.
type batch struct {
	topics  []mq.TopicConfig
	full    bool
	version mq.DataVersion
	waiters []chan error
}

func (b *batch) tell(err error) {
	for _, w := range b.waiters {
		w <- err
	}
}

func (s *server) take() batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := batch{full: s.full, version: s.version, waiters: s.waiters}
	if !s.full {
		b.topics = slices.Collect(maps.Values(s.pending))
	}
	clear(s.pending)
	s.full, s.waiters = false, nil
	return b
}

func (s *server) setKnown(known bool, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.at = known, at
}

// run is the server's goroutine. tried is called after the first attempt.
func (s *server) run(ctx context.Context, tried func()) {
	defer func() {
		s.setKnown(false, time.Time{})
		b := s.take()
		b.tell(context.Cause(ctx))
	}()
	known := s.registerFull(ctx)
	tried()
	full := time.Now()
	backoff := backoffFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		period := s.r.as.Load().period
		wait, wake := min(s.r.o.Probe, time.Until(full.Add(period))), s.wake
		if known {
			backoff = backoffFirst
		} else {
			wait, wake = backoff, nil // what is posted waits for the next attempt
			backoff = min(2*backoff, backoffMax)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-wake:
			known = s.registerPosted(ctx)
		case <-timer.C:
			if known && time.Since(full) < period && s.probe(ctx) {
				continue
			}
			known = s.registerFull(ctx)
			full = time.Now()
		}
	}
}

// registerFull registers the whole table and answers everything that was posted before.
func (s *server) registerFull(ctx context.Context) bool {
	b := s.take()
	topics, v := s.r.o.Topics()
	err := s.register(ctx, topics, v)
	b.tell(err)
	return s.note(ctx, err)
}

// registerPosted sends what was posted, and everything when the server refuses that because it does not know us.
func (s *server) registerPosted(ctx context.Context) bool {
	b := s.take()
	if len(b.waiters) == 0 && !b.full {
		return !s.down
	}
	var err error
	topics, v := b.topics, b.version
	if !b.full {
		err = s.register(ctx, topics, v)
	}
	if b.full || err != nil && ctx.Err() == nil {
		topics, v = s.r.o.Topics()
		err = s.register(ctx, topics, v)
	}
	b.tell(err)
	return s.note(ctx, err)
}

// note keeps the state after an attempt and logs when it changed.
func (s *server) note(ctx context.Context, err error) bool {
	s.setKnown(err == nil, time.Now())
	switch {
	case err == nil && s.down:
		s.r.o.Log.Info("registered with name server again", "peer", s.addr)
	case err != nil && !s.down && ctx.Err() == nil:
		s.r.o.Log.Warn("register with name server, will try again", "peer", s.addr, "err", err)
	}
	s.down = err != nil
	return err == nil
}

// register sends topics in as many registrations as are needed to keep frames small enough.
func (s *server) register(ctx context.Context, topics []mq.TopicConfig, v mq.DataVersion) error {
	o := s.r.options()
	if o.ID < 0 {
		return s.leave(ctx)
	}
	v = s.r.dated(v)
	for i := 0; ; i++ {
		n := min(len(topics), chunkTopics)
		part := v
		if n < len(topics) {
			// A name server rewrites topics only for a version that it has not seen, so each part has its own. The
			// last one carries the real version.
			part.Timestamp -= int64(i + 1)
		}
		if err := s.registerPart(ctx, o, topics[:n], part); err != nil {
			return err
		}
		if topics = topics[n:]; len(topics) == 0 {
			s.registered = v
			return nil
		}
	}
}

// leave tells the server that this broker goes, if it has been told that it is there.
func (s *server) leave(ctx context.Context) error {
	if s.as < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	o := s.r.o
	o.ID = s.as
	if err := s.call(ctx, unregisterCommand(&o), nil); err != nil {
		return err
	}
	s.as = -1
	return nil
}

func (s *server) registerPart(ctx context.Context, o *Options, topics []mq.TopicConfig, v mq.DataVersion) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.as = o.ID // also when the answer is lost
	return s.call(ctx, registerCommand(o, topics, v), func(resp *remoting.Command) error {
		s.r.learn(s.addr, resp)
		return nil
	})
}

// probe asks whether the server knows this broker with the version it was told last. It counts as a sign of life.
func (s *server) probe(ctx context.Context) bool {
	o := s.r.options()
	if o.ID != s.as {
		return o.ID < 0 && s.as < 0
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	same := false
	err := s.call(ctx, versionCommand(o, s.registered), func(resp *remoting.Command) error {
		same = resp.Ext["changed"] == "false"
		return nil
	})
	return err == nil && same
}

// call makes one call and gives a successful response to ok.
func (s *server) call(ctx context.Context, cmd *remoting.Command, ok func(*remoting.Command) error) error {
	resp, err := s.r.o.Client.Invoke(ctx, s.addr, cmd)
	if err != nil {
		return fmt.Errorf("call name server %s: %w", s.addr, err)
	}
	if resp.Code != protocol.RespSuccess {
		return &refusal{addr: s.addr, code: resp.Code, remark: resp.Remark}
	}
	if ok == nil {
		return nil
	}
	return ok(resp)
}

// refusal is an answer that is not a success.
type refusal struct {
	addr   string
	code   int32
	remark string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("name server %s answered code %d: %s", r.addr, r.code, r.remark)
}
