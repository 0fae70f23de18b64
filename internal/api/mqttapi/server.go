package mqttapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/retained"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
)

// sweepEvery is how often cursors are saved, and wills, ends of sessions and new topics are looked for.
const sweepEvery = time.Second

// Server is the door.
type Server struct {
	o      Options
	ctx    context.Context //nolint:containedctx // ends with the server; what waits for the core takes it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // guards what follows
	sessions map[string]*session
	feeds    map[place]*feed
	shares   map[string]*share // by the text of the subscription
	conns    map[*conn]struct{}
	closed   bool
	loading  bool // shares do not run yet

	trieMu sync.RWMutex // guards trie; nothing is locked with it
	trie   topic.Trie[*session, *sub]

	retained *retained.Table
}

// New loads the sessions and retained messages and returns a server, which is to be closed.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		loading: true,
		o:       o.withDefaults(), sessions: map[string]*session{}, feeds: map[place]*feed{}, shares: map[string]*share{}, conns: map[*conn]struct{}{}, retained: retained.New(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		s.cancel()
		return nil, fmt.Errorf("load the MQTT sessions: %w", err)
	}
	s.runShares()
	s.wg.Go(s.sweepAll)
	return s, nil
}

// Serve takes connections until ln is closed.
func (s *Server) Serve(ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accept MQTT connections: %w", err)
		}
		s.Take(nc)
	}
}

// Take serves one connection, which the server owns then.
func (s *Server) Take(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	full := s.closed || len(s.conns) >= s.o.MaxConnections
	if !full {
		s.conns[c] = struct{}{}
		s.wg.Go(c.run)
	}
	s.mu.Unlock()
	if full {
		nc.Close() //nolint:errcheck // nothing can be done about it
	}
}

// Close ends all connections, saves the sessions and waits for all that runs. The store stays open.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.end(packet.ServerShuttingDown)
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	for _, x := range s.all() {
		x.save()
	}
	for _, sh := range s.allShares() {
		sh.settle()
		sh.save()
	}
}

func (s *Server) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sessions))
}

func (s *Server) sweepAll() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		for _, x := range s.all() {
			x.sweep(now)
		}
		for _, sh := range s.allShares() {
			sh.sweep(now)
		}
	}
}

// Figures are what the server has now.
type Figures struct {
	Connections, Sessions, Subscriptions, Retained int
}

// Figures counts.
func (s *Server) Figures() Figures {
	s.mu.Lock()
	f := Figures{Connections: len(s.conns), Sessions: len(s.sessions)}
	for _, sh := range s.shares {
		f.Subscriptions += sh.size()
	}
	s.mu.Unlock()
	s.trieMu.RLock()
	f.Subscriptions += s.trie.Len()
	s.trieMu.RUnlock()
	f.Retained = s.retained.Len()
	return f
}
