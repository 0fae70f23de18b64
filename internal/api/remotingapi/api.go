package remotingapi

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Options are the settings of the door.
type Options struct {
	StoreHost netip.AddrPort // the advertised address, part of message ids
	Region    string         // MSG_REGION of send responses, default DefaultRegion
	// TraceOff makes TRACE_ON of send responses "false" (Java traceOn=false).
	TraceOff bool
	// Config reads and changes the configuration; nil: such requests are refused.
	Config mq.ConfigAdmin
	// Set answers what the brokers of the set ask each other; nil: this broker has no others.
	Set mq.Set
	// Auth keeps users and policies; nil: requests about them are refused. Whether requests are checked is for the Gate.
	Auth *auth.Guard
	Log  *slog.Logger
}

// API is the door of one core: a broker in one role. Attach it to the server of each listener, or give the server its Handlers.
// Sessions of connections outlive it, see sessionOf.
type API struct {
	svc mq.Service
	adm mq.Admin
	o   Options
	ctx context.Context //nolint:containedctx // the lifetime of the door: handlers have no other context

	cold    coldLimits
	late    atomic.Int64 // answers that wait because of quotas
	traceOn atomic.Bool
	bursts  sync.Pool // *burst
	pulls   sync.Pool // *parkedPull
	popped  sync.Pool // *parkedPop
}

// New returns a door on svc and adm. ctx ends what the door's handlers wait for.
func New(ctx context.Context, svc mq.Service, adm mq.Admin, o Options) *API {
	o.Region = o.region()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Config == nil {
		o.Config = noConfig{}
	}
	if o.Set == nil {
		o.Set = alone{}
	}
	a := &API{svc: svc, adm: adm, o: o, ctx: ctx}
	a.traceOn.Store(!o.TraceOff)
	return a
}

func (o *Options) region() string { return cmp.Or(o.Region, "DefaultRegion") }

func (o *Options) traceOn() string { return strconv.FormatBool(!o.TraceOff) }

// Retrace changes TRACE_ON of send responses (Java traceOn).
func (a *API) Retrace(on bool) { a.traceOn.Store(on) }

// tracing is TRACE_ON of send responses.
func (a *API) tracing() string { return strconv.FormatBool(a.traceOn.Load()) }

// handler is a request handler of the door. Unlike remoting.Handler it knows the connection's state.
type handler func(a *API, s *session, r *remoting.Request)

// handlers is the door's table: those of messages, positions and clients here, one table for each feature in a file of its own.
func handlers() map[int32]handler {
	all := basicHandlers()
	for _, part := range []map[int32]handler{
		retryHandlers(), transactionHandlers(), popHandlers(), replyHandlers(), callHandlers(), setHandlers(), adminHandlers(), authHandlers(),
	} {
		maps.Copy(all, part)
	}
	return all
}

func basicHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqSendMessage:                      sendMessage,
		protocol.ReqSendMessageV2:                    sendMessageV2,
		protocol.ReqSendBatchMessage:                 sendMessageV2,
		protocol.ReqPullMessage:                      pullMessage,
		protocol.ReqLitePullMessage:                  pullMessage,
		protocol.ReqQueryMessage:                     queryMessage,
		protocol.ReqQueryConsumerOffset:              queryConsumerOffset,
		protocol.ReqUpdateConsumerOffset:             updateConsumerOffset,
		protocol.ReqUpdateAndCreateTopic:             updateAndCreateTopic,
		protocol.ReqUpdateAndCreateStaticTopic:       updateStaticTopic,
		protocol.ReqSearchOffsetByTimestamp:          searchOffset,
		protocol.ReqGetMaxOffset:                     maxOffset,
		protocol.ReqGetMinOffset:                     minOffset,
		protocol.ReqGetEarliestMsgStoreTime:          earliestStoreTime,
		protocol.ReqViewMessageByID:                  viewMessage,
		protocol.ReqHeartBeat:                        heartBeat,
		protocol.ReqUnregisterClient:                 unregisterClient,
		protocol.ReqGetConsumerListByGroup:           consumerList,
		protocol.ReqLockBatchMQ:                      lockQueues,
		protocol.ReqUnlockBatchMQ:                    unlockQueues,
		protocol.ReqCheckClientConfig:                checkClientConfig,
		protocol.ReqQueryAssignment:                  queryAssignment,
		protocol.ReqGetAllTopicConfig:                allTopicConfig,
		protocol.ReqGetAllConsumerOffset:             allConsumerOffset,
		protocol.ReqGetAllDelayOffset:                allDelayOffset,
		protocol.ReqGetTimerCheckPoint:               timerCheckpoint,
		protocol.ReqGetTimerMetrics:                  timerMetrics,
		protocol.ReqFollowTables:                     followTables,
		protocol.ReqGetBrokerRuntimeInfo:             runtimeInfo,
		protocol.ReqUpdateAndCreateSubscriptionGroup: updateGroup,
		protocol.ReqGetAllSubscriptionGroupConfig:    allGroupConfig,
		protocol.ReqDeleteTopicInBroker:              deleteTopic,
		protocol.ReqDeleteSubscriptionGroup:          deleteGroup,
		protocol.ReqGetTopicConfig:                   topicConfig,
		protocol.ReqGetSubscriptionGroupConfig:       groupConfig,
	}
}

// collects reports whether code's handler adds to the connection's burst instead of answering.
func collects(code int32) bool {
	switch code {
	case protocol.ReqSendMessage, protocol.ReqSendMessageV2, protocol.ReqSendBatchMessage, protocol.ReqSendReplyMessage, protocol.ReqSendReplyMessageV2,
		protocol.ReqEndTransaction:
		return true
	}
	return false
}

// handle is where request handlers are registered: a *remoting.Server that is not serving yet, or *remoting.Handlers.
type handle interface {
	Handle(code int32, h remoting.Handler)
}

// Attach registers the door's handlers. Its Hooks are needed, too.
func (a *API) Attach(to handle) {
	for code, h := range handlers() {
		flush := !collects(code)
		to.Handle(code, func(c *remoting.Conn, r *remoting.Request) {
			s := a.sessionOf(c)
			if flush {
				s.flushSends()
				s.flushReplies()
			}
			h(a, s, r)
		})
	}
}

// Handlers are the door's handlers and hooks.
func (a *API) Handlers() *remoting.Handlers {
	h := remoting.NewHandlers()
	h.OnBurstEnd, h.OnClose = a.Hooks()
	a.Attach(h)
	return h
}

// Hooks are the connection hooks that the server of each listener must call: pass them in its options.
func (a *API) Hooks() (onBurstEnd, onClose func(*remoting.Conn)) {
	return func(c *remoting.Conn) {
			if s, ok := c.State().(*session); ok {
				s.flushSends()
				s.flushReplies()
				s.flushPops()
			}
		}, func(c *remoting.Conn) {
			if s, ok := c.State().(*session); ok {
				s.closed.Store(true)
				if s.member != nil {
					a.svc.Detach(s.member)
				}
			}
		}
}

// session is what the door keeps for a connection.
type session struct {
	a      *API
	conn   *remoting.Conn
	closed atomic.Bool
	parked atomic.Int32 // pulls that wait for a message
	room   atomic.Int32 // how large the pull buffers had better be

	// The rest is the reader goroutine's own: handlers and hooks of one connection run one after the other. Headers and
	// the pull are reused; what they refer to is gone when the handler has returned.
	burst   *burst            // sends collected in this read, nil when none
	replies []mq.ReplyRequest // answers to request messages, likewise
	member  *mq.Session       // what the heartbeat registered, nil before
	names   map[string]string // interned topic and group names
	client  string            // whose quota sends count for: the client id, before a heartbeat the address; "": not known yet

	sendV1 protocol.SendMessageRequestHeader
	sendV2 protocol.SendMessageRequestHeaderV2
	end    protocol.EndTransactionRequestHeader
	pull   protocol.PullMessageRequestHeader
	pullRQ mq.PullRequest
	pullRP protocol.PullMessageResponseHeader

	pops   []popReply // answers that wait for the journal
	popRQ  protocol.PopMessageRequestHeader
	popRes mq.PopResult
	ackRQ  protocol.AckMessageRequestHeader
	ack    mq.AckRequest
}

// sessionOf returns the session of a connection. When another door has made it, what is known of the client goes on: who it is, as
// the register of clients has it. That door has answered everything and is closed.
func (a *API) sessionOf(c *remoting.Conn) *session {
	old, _ := c.State().(*session)
	if old != nil && old.a == a {
		return old
	}
	s := &session{a: a, conn: c}
	if old != nil {
		s.member, s.names, s.client = old.member, old.names, old.client
	}
	c.SetState(s)
	return s
}

// maxNames and maxName bound the interned names of a connection, so that a hostile peer cannot grow them without end.
const (
	maxNames = 1024
	maxName  = 256
)

// intern returns a string equal to the borrowed name that may be kept.
func (s *session) intern(name string) string {
	if v, ok := s.names[name]; ok {
		return v
	}
	v := strings.Clone(name)
	if len(v) > maxName {
		return v
	}
	switch {
	case s.names == nil:
		s.names = make(map[string]string)
	case len(s.names) >= maxNames:
		clear(s.names)
	}
	s.names[v] = v
	return v
}

// fail answers r with err.
func (s *session) fail(r *remoting.Request, err error) {
	code, remark := failure(err)
	s.conn.Reply(r.ReplyTo(), code, remark, nil, nil)
}

// ok answers r with success.
func (s *session) ok(r *remoting.Request, h remoting.HeaderAppender, body []byte) {
	s.conn.Reply(r.ReplyTo(), protocol.RespSuccess, "", h, body)
}

// later runs f, which answers to, on the server's workers: for requests that may take long. f must not use the request or
// anything borrowed from it.
func (s *session) later(to remoting.ReplyTo, f func()) { s.conn.GoReply(to, f) }
