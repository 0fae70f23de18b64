package remoting

import (
	"sync/atomic"
	"time"
)

// denseCodes is the range of request codes that are looked up in an array.
const denseCodes = 512

// Handlers is who answers: a handler for each request code, and the hooks of their owner. Fill it before a server has it; it is
// not changed after that, but a server may be given another one (Server.Swap).
type Handlers struct {
	// OnBurstEnd and OnClose are those of ServerOptions.
	OnBurstEnd, OnClose func(*Conn)

	dense    []Handler
	sparse   map[int32]Handler
	fallback Handler
	held     atomic.Int64 // tasks and OnClose hooks that run with these handlers
}

// NewHandlers returns a set without handlers: every request is answered with code 3.
func NewHandlers() *Handlers {
	return &Handlers{dense: make([]Handler, denseCodes), sparse: map[int32]Handler{}, fallback: notSupported}
}

// Handle makes f the handler of a request code.
func (h *Handlers) Handle(code int32, f Handler) {
	if uint32(code) < denseCodes {
		h.dense[code] = f
		return
	}
	h.sparse[code] = f
}

// HandleDefault makes f the handler of all codes without one.
func (h *Handlers) HandleDefault(f Handler) { h.fallback = f }

func (h *Handlers) of(code int32) Handler {
	var f Handler
	if uint32(code) < denseCodes {
		f = h.dense[code]
	} else {
		f = h.sparse[code]
	}
	if f == nil {
		f = h.fallback
	}
	return f
}

// roster is the handlers that a core has at the moment, and how they are exchanged while connections are busy.
//
// A burst says which handlers it runs with before it runs any (Conn.using), and looks again whether they are still the current
// ones; tasks and closing hooks count themselves in the handlers. So an exchange that has stored the new ones needs only wait until
// nobody says the old ones any more. A burst pays two stores and three loads of memory that is its own or never changes.
type roster struct {
	now      atomic.Pointer[Handlers]
	awaited  atomic.Bool   // somebody waits for let
	released chan struct{} // one token: something was let go while awaited
}

func (r *roster) init(h *Handlers) {
	r.now.Store(h)
	r.released = make(chan struct{}, 1)
}

// let tells who waits that somebody has let go of handlers.
func (r *roster) let() {
	if r.awaited.Load() {
		poke(r.released)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hold keeps the current handlers until release: for what is no burst.
func (r *roster) hold() *Handlers {
	for {
		h := r.now.Load()
		h.held.Add(1)
		if r.now.Load() == h {
			return h
		}
		r.release(h)
	}
}

func (r *roster) release(h *Handlers) {
	h.held.Add(-1)
	r.let()
}

// begin chooses the handlers of the burst that follows.
func (c *Conn) begin() {
	if c.core.latencies != nil {
		c.req.at, c.req.turn = time.Now().UnixNano(), c.turn.Add(1)
	}
	for {
		h := c.core.roster.now.Load()
		c.using.Store(h)
		if c.core.roster.now.Load() == h {
			c.set = h
			return
		}
		c.end()
	}
}

// end lets go of them.
func (c *Conn) end() {
	c.set = nil
	c.using.Store(nil)
	c.core.roster.let()
}

// holdMine keeps the handlers of the burst that is under way on c, else the current ones.
func (c *Conn) holdMine() *Handlers {
	if h := c.using.Load(); h != nil {
		h.held.Add(1)
		if c.using.Load() == h {
			return h // the burst holds them, so nobody has stopped waiting for them before we were counted
		}
		c.core.roster.release(h)
	}
	return c.core.roster.hold()
}

// swap makes h the current handlers. quiet returns when nothing runs with the former ones any more.
func (co *core) swap(h *Handlers) (quiet func()) {
	old := co.roster.now.Swap(h)
	return func() {
		if old == h {
			return
		}
		co.roster.awaited.Store(true)
		defer co.roster.awaited.Store(false)
		for co.uses(old) {
			<-co.roster.released
		}
	}
}

// uses reports whether something runs with h.
func (co *core) uses(h *Handlers) bool {
	co.mu.Lock()
	defer co.mu.Unlock()
	for c := range co.conns {
		if c.using.Load() == h {
			return true
		}
	}
	return h.held.Load() != 0 // last: a burst that has ended may have left tasks
}
