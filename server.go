package cometmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/node"
)

// Server is a running name server and broker. Its methods may be called from any goroutine.
type Server struct {
	n    *node.Node
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	wait time.Duration

	broker string // its name

	alive context.Context // until Shutdown
	stop  context.CancelFunc
	work  sync.WaitGroup

	mu        sync.Mutex // guards what follows
	producers map[string]*producer
	over      bool
}

// Start runs a server until Shutdown. It returns when clients may connect and all topics and groups of the options are there. ctx
// is for the start only.
func Start(ctx context.Context, opts ...Option) (*Server, error) {
	o := options{
		host: "127.0.0.1", cluster: "DefaultCluster", broker: "broker-a", set: map[string]string{}, shutdown: 5 * time.Second,
		log: slog.New(slog.DiscardHandler),
	}
	for _, f := range opts {
		f(&o)
	}
	no, err := o.node()
	if err != nil {
		return nil, fmt.Errorf("cometmq: %w", err)
	}
	s := &Server{dial: o.network.Dial, wait: o.shutdown, broker: no.Broker.Identity.Name, producers: map[string]*producer{}}
	if s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	s.alive, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if s.n, err = node.Start(ctx, no); err != nil {
		s.stop()
		return nil, fmt.Errorf("cometmq: %w", err)
	}
	if err := s.create(ctx, &o); err != nil {
		return nil, errors.Join(fmt.Errorf("cometmq: %w", err), s.Shutdown(ctx))
	}
	return s, nil
}

func (s *Server) create(ctx context.Context, o *options) error {
	for _, t := range o.topics {
		if err := s.CreateTopic(ctx, t); err != nil {
			return err
		}
	}
	for _, g := range o.groups {
		if err := s.CreateGroup(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// NamesrvAddr is what clients are configured with.
func (s *Server) NamesrvAddr() string { return s.n.NamesrvAddr() }

// BrokerAddr is where the broker listens.
func (s *Server) BrokerAddr() string { return s.n.BrokerAddr() }

// Dial connects to an address on the network of the server. It is the way to one that WithNetwork has taken off the machine's.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.dial(ctx, network, addr)
}

// CreateTopic creates a topic, or changes it.
func (s *Server) CreateTopic(ctx context.Context, t Topic) error {
	if t.Queues == 0 {
		t.Queues = 4
	}
	c := mq.TopicConfig{Name: t.Name, ReadQueues: int32(t.Queues), WriteQueues: int32(t.Queues), Perm: mq.PermRead | mq.PermWrite}
	if t.Type != "" {
		c.Attributes = map[string]string{"+message.type": t.Type}
	}
	if err := s.n.Admin().PutTopic(ctx, c); err != nil {
		return fmt.Errorf("topic %s: %w", t.Name, err)
	}
	return nil
}

// CreateGroup creates a consumer group, or changes it.
func (s *Server) CreateGroup(ctx context.Context, g Group) error {
	c := mq.DefaultGroupConfig(g.Name)
	c.ConsumeMessageOrderly = g.FIFO
	switch {
	case g.MaxRetries < 0:
		c.RetryMaxTimes = 0
	case g.MaxRetries > 0:
		c.RetryMaxTimes = int32(g.MaxRetries)
	}
	if err := s.n.Admin().PutGroup(ctx, c); err != nil {
		return fmt.Errorf("group %s: %w", g.Name, err)
	}
	return nil
}

// Shutdown ends the server: it takes no more requests, finishes those in flight, and closes the store. ctx bounds the waiting for
// what is in flight. It may be called more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.wait)
		defer cancel()
	}
	if err := s.n.Shutdown(ctx); err != nil {
		return fmt.Errorf("cometmq: %w", err)
	}
	return nil
}
