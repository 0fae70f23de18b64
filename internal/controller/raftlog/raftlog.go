package raftlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrNotLeader is what Propose returns on a member that does not lead, or is not ready to. Nothing was proposed.
var ErrNotLeader = errors.New("not the leader")

// ErrUnknown is wrapped by errors of Propose after which nobody knows whether the proposal will be applied.
var ErrUnknown = errors.New("outcome unknown")

// Machine is what the log drives. Its methods are called one at a time.
type Machine interface {
	// Apply takes a committed entry. It must depend on nothing but the entries before and this one.
	Apply(data []byte) any
	// Snapshot returns the state; the caller owns it.
	Snapshot() []byte
	// Restore replaces the state by that of a snapshot. After an error the state is as it was.
	Restore(data []byte) error
}

// Peer is a member of the group.
type Peer struct {
	ID   string
	Addr string // host:port
}

// Leadership is who leads, as this member knows it.
type Leadership struct {
	Peer // zero when nobody is known to lead
	// Self: this member leads and has applied all that was committed before it did. Since says since when.
	Self  bool
	Since time.Time
}

// Options of a member. Group, Self, Peers, Machine, Listener and Dial are required; Dir is, unless there is Memory.
type Options struct {
	Dir     string  // folder of this member alone
	Memory  *Memory // in place of the folder, for simulations
	Group   string
	Self    string // id
	Peers   []Peer // all members, this one too; the first one founds the group
	Machine Machine
	// Listener gives the connections that other members open: Mux.Raft().
	Listener net.Listener
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Log      *slog.Logger
	// Changed is called after this member became ready to lead, or stopped leading. It must not block.
	Changed func()

	// Election is how long members wait for a leader before they elect another one, up to twice that. Default 500 ms.
	Election time.Duration
	// SnapshotEvery and SnapshotAfter: a snapshot is taken after so much time if there are so many new entries. Defaults
	// 2 min and 4096. KeepEntries stay behind it for members that are late, default 4096.
	SnapshotEvery              time.Duration
	SnapshotAfter, KeepEntries uint64

	wrap func(raft.LogStore) raft.LogStore // by tests: a disk that fails
}

const (
	defaultElection = 500 * time.Millisecond
	aloneElection   = 20 * time.Millisecond // nobody can answer, so there is nobody to wait for
	ioTimeout       = 2 * time.Second
	barrierTimeout  = 5 * time.Second
	barrierPause    = 100 * time.Millisecond
	answerTimeout   = 10 * time.Second // by then a leader has committed what it was asked to, or does not lead any more
	maxEntry        = 1 << 20
)

func (o *Options) defaults() error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Election == 0 {
		o.Election = defaultElection
	}
	if len(o.Peers) == 1 {
		o.Election = min(o.Election, aloneElection)
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = 2 * time.Minute
	}
	if o.SnapshotAfter == 0 {
		o.SnapshotAfter = 4096
	}
	if o.KeepEntries == 0 {
		o.KeepEntries = 4096
	}
	if !slices.ContainsFunc(o.Peers, func(p Peer) bool { return p.ID == o.Self }) {
		return fmt.Errorf("%s is not among the members of the group", o.Self)
	}
	return nil
}

// Log is a member of the group. Its four methods are all that the controller knows of the library below.
type Log struct {
	opts  Options
	log   *slog.Logger
	raft  *raft.Raft
	disk  *disk
	trans *raft.NetworkTransport
	net   *streams

	notify chan bool
	done   chan struct{}
	wg     sync.WaitGroup
	asked  sync.WaitGroup // what waits for an answer of raft
	once   sync.Once

	mu      sync.Mutex // guards the fields below
	turn    uint64     // counts changes of leadership
	since   time.Time  // not zero: ready to lead since then
	closing bool       // nothing is asked any more
}

// Open starts a member. ctx bounds nothing but the start.
func Open(ctx context.Context, o Options) (*Log, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	d, err := openDisk(&o)
	if err != nil {
		return nil, err
	}
	if o.wrap != nil {
		d.log = o.wrap(d.log)
	}
	l := &Log{opts: o, log: o.Log, disk: d, notify: make(chan bool, 16), done: make(chan struct{})}
	l.net = newStreams(ctx, &o)
	l.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: l.net, MaxPool: 2, Timeout: ioTimeout, Logger: newLogger(o.Log), ServerAddressProvider: addresses(o.Peers),
	})
	if err := l.start(); err != nil {
		l.closeNet()
		return nil, errors.Join(err, d.close())
	}
	l.wg.Go(l.follow)
	return l, nil
}

func (l *Log) start() error {
	o := &l.opts
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(o.Self)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = o.Election, o.Election, o.Election*4/5
	c.CommitTimeout = min(c.CommitTimeout, o.Election/4)
	c.SnapshotInterval, c.SnapshotThreshold, c.TrailingLogs = o.SnapshotEvery, o.SnapshotAfter, o.KeepEntries
	c.NotifyCh = l.notify
	c.Logger = newLogger(o.Log)
	c.ShutdownOnRemove = false
	known, err := raft.HasExistingState(l.disk.log, l.disk.stable, l.disk.snaps)
	if err != nil {
		return fmt.Errorf("look into the log in %s: %w", o.Dir, err)
	}
	switch {
	case known:
	case o.Peers[0].ID == o.Self:
		if err = raft.BootstrapCluster(c, l.disk.log, l.disk.stable, l.disk.snaps, l.trans, configuration(o.Peers)); err != nil {
			return fmt.Errorf("found the group: %w", err)
		}
	default:
		o.Log.Info("new member, waits for the group", "founder", o.Peers[0].ID, "addr", o.Peers[0].Addr)
	}
	l.raft, err = raft.NewRaft(c, &machine{o.Machine}, l.disk.log, l.disk.stable, l.disk.snaps, l.trans)
	if err != nil {
		return fmt.Errorf("start from the log and the snapshots in %s (when they are damaged and other members live, remove the folder): %w", o.Dir, err)
	}
	return nil
}

func configuration(peers []Peer) raft.Configuration {
	var c raft.Configuration
	for _, p := range peers {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	return c
}

// addresses finds members where the configuration file says they are now, not where they were when they joined.
type addresses []Peer

func (a addresses) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	for _, p := range a {
		if p.ID == string(id) {
			return raft.ServerAddress(p.Addr), nil
		}
	}
	return "", fmt.Errorf("member %s is not configured here", id)
}

// Propose appends data to the log of the group and returns what the machine of this member makes of it, after a majority
// has it on disk.
func (l *Log) Propose(ctx context.Context, data []byte) (any, error) {
	if !l.Leader().Self {
		return nil, ErrNotLeader
	}
	if len(data) > maxEntry {
		return nil, fmt.Errorf("proposal of %d bytes, the limit is %d", len(data), maxEntry)
	}
	if !l.ask() {
		return nil, ErrNotLeader
	}
	f := l.raft.Apply(data, 0)
	failed := make(chan error, 1)
	go func() {
		defer l.asked.Done()
		failed <- f.Error()
	}()
	select {
	case err := <-failed:
		switch {
		case err == nil:
			return f.Response(), nil
		case errors.Is(err, raft.ErrNotLeader):
			return nil, ErrNotLeader
		}
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
	}
}

// ask counts a question, until asked.Done. It returns false when there must be none any more.
func (l *Log) ask() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.asked.Add(1)
	}
	return !l.closing
}

// answered waits until nothing waits for an answer, as long as one may take.
//
// Raft forgets what it was asked when it is shut down: who waits for what is committed, but not applied, would wait for ever.
func (l *Log) answered() bool {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	all := make(chan struct{})
	go func() {
		l.asked.Wait()
		close(all)
	}()
	select {
	case <-all:
		return true
	case <-time.After(answerTimeout):
		return false
	}
}

// Leader says who leads.
func (l *Log) Leader() Leadership {
	_, id := l.raft.LeaderWithID()
	lead := Leadership{Peer: Peer{ID: string(id)}}
	if i := slices.IndexFunc(l.opts.Peers, func(p Peer) bool { return p.ID == lead.ID }); i >= 0 {
		lead.Peer = l.opts.Peers[i]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if lead.ID == l.opts.Self && !l.since.IsZero() && l.raft.State() == raft.Leader {
		lead.Self, lead.Since = true, l.since
	}
	return lead
}

// Term is the term of the log that this member knows.
func (l *Log) Term() uint64 { return l.raft.CurrentTerm() }

// Members returns the configured members.
func (l *Log) Members() []Peer { return slices.Clone(l.opts.Peers) }

// Close stops this member; the others count it as dead until it is opened again. A leader hands over before.
func (l *Log) Close() error {
	var err error
	l.once.Do(func() {
		if l.raft.State() == raft.Leader && len(l.opts.Peers) > 1 {
			if err = l.raft.LeadershipTransfer().Error(); err != nil {
				l.log.Info("no other controller takes over now", "group", l.opts.Group, "err", err)
			}
		}
		answered := l.answered()
		close(l.done)
		err = l.raft.Shutdown().Error()
		l.closeNet()
		if answered {
			l.wg.Wait()
		} else {
			l.log.Warn("raft has not answered all that it was asked", "group", l.opts.Group)
		}
		err = errors.Join(err, l.disk.close())
	})
	return err
}

func (l *Log) closeNet() {
	l.trans.CloseStreams()
	_ = l.trans.Close()
}

// follow notes when this member begins and stops to lead.
func (l *Log) follow() {
	for {
		select {
		case <-l.done:
			return
		case leads := <-l.notify:
			l.mu.Lock()
			l.turn++
			turn := l.turn
			was := !l.since.IsZero()
			l.since = time.Time{}
			l.mu.Unlock()
			switch {
			case leads:
				l.wg.Go(func() { l.ready(turn) })
			case was:
				l.log.Info("stopped leading the controllers", "group", l.opts.Group, "self", l.opts.Self)
			}
			l.opts.Changed()
		}
	}
}

// ready waits until everything that earlier leaders committed is applied here; before that this member would answer from
// an old state.
func (l *Log) ready(turn uint64) {
	for {
		if !l.ask() {
			return
		}
		err := l.raft.Barrier(barrierTimeout).Error()
		l.asked.Done()
		l.mu.Lock()
		now := l.turn == turn
		if err == nil && now {
			l.since = time.Now()
		}
		l.mu.Unlock()
		switch {
		case !now || errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrRaftShutdown):
			return
		case err != nil:
			l.log.Warn("the leader of the controllers cannot commit", "group", l.opts.Group, "err", err)
			select {
			case <-l.done:
				return
			case <-time.After(barrierPause): // some errors come at once, as that of a leader that is handing over
				continue
			}
		}
		l.log.Info("leads the controllers", "group", l.opts.Group, "self", l.opts.Self)
		l.opts.Changed()
		l.grow()
		return
	}
}

// grow makes members of those that are configured and not in the group yet. Nobody is removed that way: files that
// differ for a while must not shrink the majority.
func (l *Log) grow() {
	f := l.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return
	}
	has := f.Configuration().Servers
	for _, p := range l.opts.Peers {
		if slices.ContainsFunc(has, func(s raft.Server) bool { return string(s.ID) == p.ID }) {
			continue
		}
		l.log.Info("a member joins the controllers", "group", l.opts.Group, "id", p.ID, "addr", p.Addr)
		if err := l.raft.AddVoter(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, ioTimeout).Error(); err != nil {
			l.log.Warn("add a member to the controllers", "group", l.opts.Group, "id", p.ID, "err", err)
		}
	}
	for _, s := range has {
		if !slices.ContainsFunc(l.opts.Peers, func(p Peer) bool { return p.ID == string(s.ID) }) {
			l.log.Warn("a member of the controllers is not configured here; it still counts for the majority", "group", l.opts.Group, "id", s.ID)
		}
	}
}

// path names a file of the member.
func (o *Options) path(name string) string { return filepath.Join(o.Dir, name) }
