package amqpapi

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/mq"
)

const (
	// maxUnanswered is how many bytes of messages of one connection may wait for the store before nothing more is read.
	maxUnanswered = 32 << 20
	// sectionRoom is how much longer than its body a message may be.
	sectionRoom = 128 << 10
	// renewEvery is how often what is handed out is kept from being handed out to others; it is hidden for invisible.
	renewEvery = 20 * time.Second
	invisible  = time.Minute
)

// conn is one connection. What the client says is told to it under the lock of its Runner (it is the amqp10.Handler); what is to be done
// with the broker for that is put into jobs, which one goroutine, the worker, does in their order without any lock.
type conn struct {
	s         *Server
	run       *amqp10.Runner
	remote    netip.AddrPort
	stream    net.Conn
	log       *slog.Logger
	user      string // who has logged in, known to the worker's jobs
	container string // set by Open

	outs map[*amqp10.Link]*outgoing // of the Runner's lock

	unanswered atomic.Int64 // bytes of messages that the store has not decided

	wake chan struct{}
	mu   sync.Mutex // guards jobs
	jobs []job

	// What follows is the worker's.
	ctx     context.Context //nolint:containedctx // of the calls of the worker
	busy    map[*outgoing]struct{}
	batch   *batch
	spare   sync.Pool // of *batch
	answers []answer
	acked   bool // something was settled, which is to be on disk
	res     mq.PopResult
}

// job is something for the worker.
type job struct {
	kind  jobKind
	link  *amqp10.Link
	out   *outgoing
	d     *amqp10.Delivery
	state amqp10.Composite
	// settled: the client has forgotten the delivery. forEver: a link is closed, and not to come again.
	settled, forEver bool
	called           string // of jobUnsubscribe
	list             []answer
}

type jobKind uint8

const (
	jobAttach      jobKind = iota // a link is to be answered
	jobSend                       // a message has come
	jobFetch                      // messages are wanted on a link
	jobSettle                     // the client has told the state of a delivery
	jobLeave                      // a link is gone
	jobAnswer                     // the store has decided messages
	jobUnsubscribe                // a subscription is to be deleted
)

// answer is the state of a message that came.
type answer struct {
	d     *amqp10.Delivery
	state amqp10.Composite
	size  int64
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{
		s: s, stream: nc, outs: map[*amqp10.Link]*outgoing{}, busy: map[*outgoing]struct{}{}, wake: make(chan struct{}, 1),
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort()
		c.remote = netip.AddrPortFrom(c.remote.Addr().Unmap(), c.remote.Port())
	}
	c.log = s.o.Log.With("peer", c.remote)
	c.spare.New = func() any { return &batch{c: c} }
	a := amqp10.New(amqp10.Config{
		Login: login{c}, AllowBare: !s.authenticates(), ContainerID: s.o.Broker, MaxMessageSize: uint64(s.o.MaxMessage + sectionRoom),
		IdleTimeout: s.o.IdleTimeout, OfferedCapabilities: []string{"sole-connection-for-container", "DELAYED_DELIVERY", "ANONYMOUS-RELAY", "SHARED-SUBS"},
		Properties: amqp10.MapOf(
			amqp10.SymbolValue("product"), amqp10.StringValue("CometMQ"), amqp10.SymbolValue("version"), amqp10.StringValue(s.o.Version),
		),
	}, c, time.Now())
	c.run = amqp10.NewRunner(a, nc)
	c.run.Busy = func() bool { return c.unanswered.Load() > maxUnanswered }
	c.run.Written = c.written
	return c
}

// encrypted reports whether the connection is TLS, which is known once something has come.
func (c *conn) encrypted() bool {
	t, ok := c.stream.(interface{ Secured() bool })
	return ok && t.Secured()
}

// serve runs the connection until it ends, and the worker until all is given back.
func (c *conn) serve(ctx context.Context) {
	over := make(chan struct{})
	done := make(chan struct{})
	c.ctx = ctx
	go func() {
		defer close(done)
		c.work(over)
	}()
	if err := c.run.Run(ctx); err != nil && ctx.Err() == nil {
		c.log.Info("an AMQP connection has failed", "err", err)
	}
	close(over)
	<-done
}

// post gives the worker something to do.
func (c *conn) post(j job) {
	c.mu.Lock()
	c.jobs = append(c.jobs, j)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) take(old []job) []job {
	clear(old)
	c.mu.Lock()
	defer c.mu.Unlock()
	jobs := c.jobs
	c.jobs = old[:0]
	return jobs
}

// work does the jobs. When the connection is over it does those that are left and gives back what the client has not settled.
func (c *conn) work(over <-chan struct{}) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	var jobs []job
	for ended := false; ; {
		jobs = c.take(jobs)
		for i := range jobs {
			c.do(&jobs[i])
		}
		c.flush()
		if len(jobs) > 0 {
			continue
		}
		if ended {
			break
		}
		select {
		case <-c.wake:
		case <-tick.C:
			for o := range c.busy {
				o.renew()
			}
		case <-over:
			ended = true
		}
	}
	for o := range c.busy {
		o.leave(false, false) // the client is gone without a word, and may have begun with what it had
	}
	c.flush()
}

func (c *conn) do(j *job) {
	switch j.kind {
	case jobAttach:
		c.attach(j.link)
	case jobSend:
		c.add(j.d)
	case jobFetch:
		j.out.fetch()
	case jobSettle:
		j.out.settle(j.d, j.state, j.settled)
	case jobLeave:
		j.out.leave(true, j.forEver)
	case jobUnsubscribe:
		if err := c.s.unsubscribe(c.ctx, j.called); err != nil {
			c.log.Error("a subscription could not be deleted", "err", err)
		}
	case jobAnswer:
		c.answers = append(c.answers, j.list...)
	}
}

// flush sends what was collected, makes acknowledgements safe, and answers.
func (c *conn) flush() {
	c.send()
	if c.acked {
		c.acked = false
		if err := c.s.o.Service.SyncPops(); err != nil {
			c.log.Error("acknowledgements are not on disk", "err", err)
		}
	}
	if len(c.answers) > 0 {
		c.answer(c.answers)
		clear(c.answers)
		c.answers = c.answers[:0]
	}
}

// answer tells the client what became of its messages.
func (c *conn) answer(list []answer) {
	size := int64(0)
	c.run.Do(func(*amqp10.Conn) {
		for i := range list {
			a := &list[i]
			size += a.size
			a.d.Dispose(a.state, true)
			if in, ok := a.d.Link.User.(*incoming); ok {
				in.grant()
			}
		}
	})
	if was := c.unanswered.Add(-size); was <= maxUnanswered && was+size > maxUnanswered {
		c.run.Resume()
	}
}

// Open implements amqp10.Handler.
func (c *conn) Open(a *amqp10.Conn, o *amqp10.Open) *amqp10.Error {
	c.user = a.LoginName()
	c.container = o.ContainerID
	if slices.Contains(o.DesiredCapabilities, "sole-connection-for-container") && !c.s.claim(o.ContainerID, c) {
		c.container = ""
		err := amqp10.NewError(amqp10.CondInvalidField, "another connection has the container id "+o.ContainerID)
		err.Info.Put("invalid-field", amqp10.SymbolValue("container-id"))
		return err
	}
	return nil
}

// Begin implements amqp10.Handler.
func (c *conn) Begin(*amqp10.Session) {}

// Attach implements amqp10.Handler.
func (c *conn) Attach(l *amqp10.Link) { c.post(job{kind: jobAttach, link: l}) }

// Message implements amqp10.Handler.
func (c *conn) Message(d *amqp10.Delivery) {
	c.unanswered.Add(int64(len(d.Payload)))
	c.post(job{kind: jobSend, d: d})
}

// Flow implements amqp10.Handler.
func (c *conn) Flow(l *amqp10.Link) {
	if o := c.outs[l]; o != nil {
		o.drained = false
		o.want()
	}
}

// Disposition implements amqp10.Handler.
func (c *conn) Disposition(d *amqp10.Delivery, state amqp10.Composite, settled bool) {
	o := c.outs[d.Link]
	if o == nil {
		return
	}
	if _, partly := state.(*amqp10.Received); !settled && (state == nil || partly) {
		return // nothing is decided yet
	}
	c.post(job{kind: jobSettle, out: o, d: d, state: state, settled: settled})
}

// Detach implements amqp10.Handler.
func (c *conn) Detach(l *amqp10.Link, closed bool, _ *amqp10.Error) {
	if u, ok := l.User.(*unsubscriber); ok && closed {
		c.post(job{kind: jobUnsubscribe, called: u.called})
	}
	c.forget(l, closed)
}

// End implements amqp10.Handler.
func (c *conn) End(s *amqp10.Session, _ *amqp10.Error) {
	for _, l := range s.Links() {
		c.forget(l, false)
	}
}

func (c *conn) forget(l *amqp10.Link, forEver bool) {
	if o := c.outs[l]; o != nil {
		delete(c.outs, l)
		c.post(job{kind: jobLeave, out: o, forEver: forEver})
	}
}

// Close implements amqp10.Handler.
func (c *conn) Close(a *amqp10.Conn, _ *amqp10.Error) {
	c.s.disown(c)
	if !a.Lost() {
		c.forgetAll()
	}
}

func (c *conn) forgetAll() {
	for l := range c.outs {
		c.forget(l, false)
	}
}

// written goes on with links that waited until the client had read.
func (c *conn) written(*amqp10.Conn) {
	for _, o := range c.outs {
		if o.stalled {
			o.want()
		}
	}
}
