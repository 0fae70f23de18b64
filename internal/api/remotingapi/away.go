package remotingapi

import (
	"sync"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Absence answers while there is no core: everything is refused with SERVICE_NOT_AVAILABLE and why.
//
// Differs from Java: for a short absence pulls and pops wait until its end and are told to ask again at once. Java's clients wait for 3 s
// after a refusal.
type Absence struct {
	o       Options
	members interface{ Detach(s *mq.Session) }
	why     string

	mu    sync.Mutex // guards held and short
	short bool
	held  []asking
}

// asking is a request that waits for the end of an absence.
type asking struct {
	c    *remoting.Conn
	to   remoting.ReplyTo
	code int32
	from int64 // of a pull
}

// NewAbsence returns an absence. Clients that disconnect leave members, which knows them whatever the core. short: it ends soon, with End.
func NewAbsence(members interface{ Detach(s *mq.Session) }, o Options, why string, short bool) *Absence {
	return &Absence{o: o, members: members, why: why, short: short}
}

// Handlers are what a server needs for the absence.
func (a *Absence) Handlers() *remoting.Handlers {
	h := remoting.NewHandlers()
	sent := protocol.SendMessageResponseHeader{Region: a.o.region(), TraceOn: a.o.traceOn()}
	h.HandleDefault(func(c *remoting.Conn, r *remoting.Request) {
		var header remoting.HeaderAppender
		switch r.Code {
		case protocol.ReqSendMessage, protocol.ReqSendMessageV2, protocol.ReqSendBatchMessage:
			header = &sent // Java producers read the region without a null check
		case protocol.ReqPullMessage, protocol.ReqLitePullMessage:
			var q protocol.PullMessageRequestHeader
			if q.Decode(r.Fields) == nil && a.hold(asking{c, r.ReplyTo(), r.Code, q.QueueOffset}) {
				return
			}
			header = &protocol.PullMessageResponseHeader{}
		case protocol.ReqPopMessage:
			if a.hold(asking{c, r.ReplyTo(), r.Code, 0}) {
				return
			}
		}
		c.Reply(r.ReplyTo(), protocol.RespServiceNotAvailable, a.why, header, nil)
	})
	h.OnClose = func(c *remoting.Conn) {
		if s, ok := c.State().(*session); ok {
			s.closed.Store(true)
			if s.member != nil {
				a.members.Detach(s.member)
			}
		}
	}
	return h
}

func (a *Absence) hold(q asking) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.short || q.to.Oneway() || len(a.held) >= maxParked {
		return false
	}
	a.held = append(a.held, q)
	return true
}

// End answers what waits. What comes later is refused.
func (a *Absence) End() {
	a.mu.Lock()
	held := a.held
	a.held, a.short = nil, false
	a.mu.Unlock()
	for i := range held {
		q := &held[i]
		if q.code == protocol.ReqPopMessage {
			q.c.Reply(q.to, protocol.RespPollingTimeout, "", &protocol.PopMessageResponseHeader{}, nil)
		} else {
			q.c.Reply(q.to, protocol.RespPullRetryImmediately, mq.FetchNoMatchedMessage.String(), &protocol.PullMessageResponseHeader{NextBeginOffset: q.from}, nil)
		}
		q.c.Flush()
	}
}
