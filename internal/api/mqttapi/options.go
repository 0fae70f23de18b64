package mqttapi

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/mq"
)

// Core is what the door needs of a broker.
type Core interface {
	Send(ctx context.Context, b *mq.SendBatch) (pending bool)
	Pull(ctx context.Context, r *mq.PullRequest, dst []byte) (mq.Fetch, error)
	Park(w *mq.Waiter) bool
	MaxIndex(ctx context.Context, topic string, queue int32) (mq.Index, error)
	QueryByKey(ctx context.Context, q *mq.KeyQuery) (mq.KeyResult, error)
	Topic(ctx context.Context, name string) (mq.TopicConfig, error)
}

// Login is what a CONNECT says of who connects.
type Login struct {
	ClientID string
	User     string
	Password []byte
	Remote   netip.AddrPort
}

// Access is one thing that a client wants to do.
type Access struct {
	User, ClientID string
	Publish        bool   // else it subscribes
	Name           string // of the topic, or the filter
	Topic          string // the RocketMQ topic
	Remote         netip.AddrPort
}

// Options of a Server.
type Options struct {
	Core  Core
	State *state.Store
	// Login says whether a client may connect: packet.Success, or why not. nil: all may.
	Login func(ctx context.Context, l *Login) packet.Reason
	// May says whether it may do something. nil: all may.
	May func(a *Access) bool
	// Owned: a session is that of the user who made it, nobody else may go on with it.
	Owned bool

	// Bridge says whether messages of a topic are delivered that say nothing of MQTT. nil: none are.
	Bridge func(topic string) bool

	CreateTopics     bool          // a publish may create its topic
	MaxPacket        int           // bytes, default 1 MiB
	MaxInflight      int           // deliveries of one session that are not acknowledged, default 1024
	ReceiveMaximum   uint16        // publishes of one connection that are not acknowledged, default 1024
	MaxSubscriptions int           // of one session, default 100
	MaxLevels        int           // of a name or a filter, default 64
	MaxConnections   int           // default 100,000
	MaxAliases       int           // topic aliases of a client, default 64, negative: none
	MaxExpiry        time.Duration // of a session, default 7 days; sessions of 3.1.1 that are not clean have it, too
	KeepAlive        time.Duration // the longest one, default 12 h
	ConnectWithin    time.Duration // from the connection to CONNECT, default 10 s

	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	number := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	span := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	number(&o.MaxPacket, 1<<20)
	number(&o.MaxInflight, 1024)
	number(&o.MaxSubscriptions, 100)
	number(&o.MaxLevels, 64)
	number(&o.MaxConnections, 100_000)
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = 1024
	}
	switch {
	case o.MaxAliases == 0:
		o.MaxAliases = 64
	case o.MaxAliases < 0:
		o.MaxAliases = 0
	}
	span(&o.MaxExpiry, 7*24*time.Hour)
	span(&o.KeepAlive, 12*time.Hour)
	span(&o.ConnectWithin, 10*time.Second)
	if o.Login == nil {
		o.Login = func(context.Context, *Login) packet.Reason { return packet.Success }
	}
	if o.May == nil {
		o.May = func(*Access) bool { return true }
	}
	if o.Bridge == nil {
		o.Bridge = func(string) bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o *Options) validate() error {
	if o.Core == nil || o.State == nil {
		return errors.New("the MQTT door needs a broker and a store of sessions")
	}
	return nil
}
