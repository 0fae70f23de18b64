package amqpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
)

// Admin is what the door needs of mq.Admin.
type Admin interface {
	PutTopic(ctx context.Context, t mq.TopicConfig) error
	Topic(ctx context.Context, name string) (mq.TopicConfig, error)
	PutGroup(ctx context.Context, g mq.GroupConfig) error
	DeleteGroup(ctx context.Context, name string, cleanOffsets bool) error
	Group(ctx context.Context, name string) (mq.GroupConfig, error)
	Groups(ctx context.Context) ([]mq.GroupConfig, mq.DataVersion, error)
}

// Options are those of a Server.
type Options struct {
	Service mq.Service
	Admin   Admin
	// Auth knows the users; nil: everybody is let in and may do everything.
	Auth *auth.Guard
	// Broker is the name of the broker, which is a part of the handles of messages.
	Broker string
	// Version is told to clients.
	Version string
	// CreateTopics says whether an address that names no topic makes one, of Queues queues; nil: no. Default for Queues: 1, because only
	// within one queue messages have an order.
	CreateTopics func() bool
	Queues       int32
	MaxMessage   int // bytes of a body; default 4 MiB
	// ClearPasswords offers PLAIN also on connections from elsewhere that are not encrypted.
	ClearPasswords bool
	// TextByDefault makes text of the messages of other clients that are UTF-8.
	TextByDefault  bool
	IdleTimeout    time.Duration    // a silent client is dropped after that; default 1 minute
	MaxConnections int              // default 10,000
	Now            func() time.Time // the time of day; default: the machine's
	Log            *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Queues = max(o.Queues, 1)
	o.MaxMessage = cmp.Or(o.MaxMessage, 4<<20)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, time.Minute)
	o.MaxConnections = cmp.Or(o.MaxConnections, 10_000)
	if o.CreateTopics == nil {
		o.CreateTopics = func() bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// goodbye is how long clients may take to say goodbye when the server ends.
const goodbye = time.Second

// Server is the door. Lock order: the lock of a connection's Runner, Server.mu, feed.mu, conn.mu.
type Server struct {
	o       Options
	saltKey []byte
	sent    sent
	turn    chan struct{} // one token: who has it may make or delete subscriptions

	mu         sync.Mutex // guards what follows
	conns      map[*conn]struct{}
	containers map[string]*conn  // those that no other connection may have the id of
	feeds      map[feedKey]*feed // those that links read
	closed     bool
}

// New returns a server. It holds nothing until Serve is called.
func New(o Options) *Server {
	s := &Server{
		o: o.withDefaults(), saltKey: make([]byte, 16), conns: map[*conn]struct{}{}, containers: map[string]*conn{}, feeds: map[feedKey]*feed{}, turn: make(chan struct{}, 1),
	}
	_, _ = rand.Read(s.saltKey)
	return s
}

// acceptAgain is how long is waited after an error that may pass, such as too many open files.
const acceptAgain = time.Second

// Serve takes connections until ctx ends, says goodbye to them, and returns when all that was handed out to them is given back.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := s.unsubscribe(ctx, volatileGroup); err != nil {
		s.o.Log.Warn("groups of subscriptions that have ended are left", "err", err)
	}
	var wg sync.WaitGroup
	err := s.accept(ctx, ln, func(nc net.Conn) {
		c := s.newConn(nc)
		if !s.enter(c) {
			_ = nc.Close()
			return
		}
		wg.Go(func() {
			defer s.leave(c)
			c.serve(life)
		})
	})
	_ = ln.Close()
	s.closeAll()
	gone := make(chan struct{})
	go func() {
		wg.Wait()
		close(gone)
	}()
	t := time.NewTimer(goodbye)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
	}
	cancel()
	<-gone
	return err
}

func (s *Server) accept(ctx context.Context, ln net.Listener, take func(net.Conn)) error {
	for {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener for AMQP: %w", err)
		case err != nil:
			s.o.Log.Error("accept an AMQP connection", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptAgain):
			}
		default:
			take(nc)
		}
	}
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.o.MaxConnections {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.containers[c.container] == c {
		delete(s.containers, c.container)
	}
}

// claim gives a container id to c alone. It reports false when another connection has it.
func (s *Server) claim(id string, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers[id] != nil {
		return false
	}
	s.containers[id] = c
	return true
}

// disown gives the container id of c free.
func (s *Server) disown(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers[c.container] == c {
		delete(s.containers, c.container)
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	s.closed = true
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	s.mu.Unlock()
	for _, c := range list {
		c.run.Do(func(a *amqp10.Conn) {
			c.forgetAll()
			a.Close(amqp10.NewError(amqp10.CondForced, "the broker stops serving"))
		})
	}
}

// Connections is how many there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// ensureTopic returns the topic of an address, made when it is not there and may be made.
func (s *Server) ensureTopic(ctx context.Context, name string) (mq.TopicConfig, error) {
	t, err := s.o.Admin.Topic(ctx, name)
	if mq.KindOf(err) != mq.KindTopicNotExist || !s.o.CreateTopics() {
		return t, err
	}
	made := mq.TopicConfig{
		Name: name, ReadQueues: s.o.Queues, WriteQueues: s.o.Queues, Perm: mq.PermRead | mq.PermWrite, Filter: "SINGLE_TAG",
	}
	if err := s.o.Admin.PutTopic(ctx, made); err != nil {
		return t, err
	}
	return s.o.Admin.Topic(ctx, name)
}
