package remoting

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// latencies counts how long requests took, from the read that brought them to the write that takes their answers: one look at the
// clock for each of the two, however many requests share them.
type latencies struct {
	dense [denseCodes]atomic.Pointer[[]*latency]
	rest  sync.Map // request code -> *atomic.Pointer[[]*latency]

	mu sync.Mutex // held while a list grows; readers take none
}

// latency is a histogram of one kind of answer to one kind of request.
type latency struct {
	code, answer int32
	parked       bool
	h            *telemetry.Histogram // ns
}

// answered is a request whose answer waits to be written.
type answered struct {
	code, answer int32
	parked       bool
	at           int64 // ns
}

// maxAnswered is for how many answers a connection keeps room.
const maxAnswered = 4096

func (l *latencies) list(code int32) *atomic.Pointer[[]*latency] {
	if uint32(code) < denseCodes {
		return &l.dense[code]
	}
	if p, ok := l.rest.Load(code); ok {
		return p.(*atomic.Pointer[[]*latency])
	}
	p, _ := l.rest.LoadOrStore(code, new(atomic.Pointer[[]*latency]))
	return p.(*atomic.Pointer[[]*latency])
}

func (l *latencies) observe(a *answered, now int64) {
	p := l.list(a.code)
	h := find(p, a)
	if h == nil {
		h = l.add(p, a)
	}
	h.Observe(max(now-a.at, 0))
}

func find(p *atomic.Pointer[[]*latency], a *answered) *telemetry.Histogram {
	list := p.Load()
	if list == nil {
		return nil
	}
	for _, x := range *list {
		if x.answer == a.answer && x.parked == a.parked {
			return x.h
		}
	}
	return nil
}

func (l *latencies) add(p *atomic.Pointer[[]*latency], a *answered) *telemetry.Histogram {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := find(p, a); h != nil {
		return h
	}
	x := &latency{code: a.code, answer: a.answer, parked: a.parked, h: telemetry.RPCLatency.New()}
	var grown []*latency
	if list := p.Load(); list != nil {
		grown = append(grown, *list...)
	}
	grown = append(grown, x)
	p.Store(&grown)
	return x.h
}

// noteLocked remembers an answer until it is written. Requests with codes that nobody knows are not told apart: they come from
// anybody.
func (c *Conn) noteLocked(to ReplyTo, code int32) {
	if c.core.latencies == nil || to.at == 0 {
		return
	}
	a := answered{code: to.code, answer: code, at: to.at, parked: parks(to.code) && c.turn.Load() != to.turn}
	if code == protocol.RespRequestCodeNotSupported {
		a.code = unknownCode
	}
	c.noted = append(c.noted, a)
}

// unknownCode stands for all codes without a handler.
const unknownCode = -1

// parks reports whether a request may wait for messages.
func parks(code int32) bool {
	switch code {
	case protocol.ReqPullMessage, protocol.ReqLitePullMessage, protocol.ReqPopMessage, protocol.ReqNotification:
		return true
	}
	return false
}

// tellLocked counts the answers that are about to be written.
func (c *Conn) tellLocked() {
	if len(c.noted) == 0 {
		return
	}
	now := time.Now().UnixNano()
	for i := range c.noted {
		c.core.latencies.observe(&c.noted[i], now)
	}
	if c.noted = c.noted[:0]; cap(c.noted) > maxAnswered {
		c.noted = nil
	}
}

// Collect tells s how long requests took.
func (s *Server) Collect(sink *telemetry.Sink) {
	l := s.core.latencies
	for i := range l.dense {
		collect(sink, l.dense[i].Load())
	}
	l.rest.Range(func(_, p any) bool {
		collect(sink, p.(*atomic.Pointer[[]*latency]).Load())
		return true
	})
}

func collect(sink *telemetry.Sink, list *[]*latency) {
	if list == nil {
		return
	}
	for _, x := range *list {
		name, parked := "unknown", "false"
		if x.code != unknownCode {
			name = strings.ToLower(protocol.RequestName(x.code))
		}
		if x.parked {
			parked = "true"
		}
		sink.Histogram(telemetry.RPCLatency, x.h, "remoting", name, strings.ToLower(protocol.ResponseName(x.answer)), parked, "success")
	}
}
