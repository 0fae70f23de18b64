package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// SwitchMasterOptions configure a SwitchMaster. Keys in comments are the operator's names; zero values mean Java's defaults.
type SwitchMasterOptions struct {
	Store  *storage.Store
	Epochs *Epochs // of the store

	ID       int64   // of this broker, as the controller counts
	Epoch    int32   // in which it was elected
	Set      []int64 // the sync-state set that the controller knows
	SetEpoch int32

	AllAck      bool          // allAckInSyncStateSet: a message counts as replicated when all of the set have it
	Copies      int           // inSyncReplicas, 1: else, when so many of the set have it, the master included
	MinInSync   int           // minInSyncReplicas, 1: with a smaller set no message is accepted
	NotCaughtUp time.Duration // haMaxTimeSlaveNotCatchup, 15 s: a slave that is behind for so long leaves the set
	CheckPeriod time.Duration // checkSyncStateSetPeriod, 5 s
	// LimitReaders: what is not confirmed is not shown to readers. It changes nothing unless AllAck is set.
	LimitReaders bool
	// Propose asks the controller to make set the sync-state set and returns what it is then. ErrRefused and ErrFenced say what
	// the controller has answered; with any other error it is not known whether the set has changed.
	Propose func(ctx context.Context, set []int64) (now []int64, epoch int32, err error)
	// Held, if not nil, says whether this broker may act as the master at the moment. As long as not nothing more is counted as
	// replicated; Adopt makes it count again.
	Held func() bool

	Heartbeat      time.Duration // haSendHeartbeatInterval, 5 s
	Housekeeping   time.Duration // haHousekeepingInterval, 20 s: a slave that is silent for so long is dropped
	Batch          int           // haTransferBatchSize, 32 KiB
	BytesPerSecond int64         // maxHaTransferByteInSecond, to each slave; 0: no limit
	Log            *slog.Logger
}

// What Propose may answer.
var (
	// ErrRefused says that the controller does not want the set; nothing has changed.
	ErrRefused = errors.New("the controller has refused the sync-state set")
	// ErrFenced says that there is a newer epoch: this broker is master no more.
	ErrFenced = errors.New("there is a newer epoch, this broker is no longer the master")
)

// NotEnoughError says that too few brokers are in sync for a message to be accepted (minInSyncReplicas).
type NotEnoughError struct{ Have, Want int }

func (e *NotEnoughError) Error() string {
	return fmt.Sprintf("%d brokers are in sync, minInSyncReplicas is %d", e.Have, e.Want)
}

// SwitchMaster serves the slaves of a store by AutoSwitchHA, for one epoch.
type SwitchMaster struct {
	*server
	o    SwitchMasterOptions
	list []Epoch // for labels

	moving sync.WaitGroup // marks that are just being moved; Fence waits for them
	kick   chan struct{}  // the set may have to change

	// Guarded by the server's mutex.
	sets
}

// NewSwitchMaster writes down that the epoch begins where the log ends and returns its master; Serve makes it work. The epoch
// must not be older than one that the log knows.
//
// A master that comes back in its own epoch goes on with it when its log has all that it ever had. Else the epoch begins anew at
// the end of the log, as it always does with Java: what slaves have of the epoch may not be in this log.
func NewSwitchMaster(o SwitchMasterOptions) (*SwitchMaster, error) {
	o.Copies, o.MinInSync = max(o.Copies, 1), max(o.MinInSync, 1)
	o.NotCaughtUp = cmp.Or(o.NotCaughtUp, 15*time.Second)
	o.CheckPeriod = cmp.Or(o.CheckPeriod, 5*time.Second)
	if o.ID < 1 || o.ID > maxID {
		return nil, fmt.Errorf("broker id %d: the controller counts from 1", o.ID)
	}
	if len(o.Set) == 0 {
		o.Set = []int64{o.ID}
	}
	if !slices.Contains(o.Set, o.ID) {
		return nil, fmt.Errorf("the sync-state set %v is without the master, broker %d", o.Set, o.ID)
	}
	if err := beginEpoch(&o); err != nil {
		return nil, err
	}
	m := &SwitchMaster{o: o, list: o.Epochs.List(), kick: make(chan struct{}, 1)}
	m.server = newServer(serveOptions{
		store: o.Store, heartbeat: o.Heartbeat, housekeeping: o.Housekeeping, batch: o.Batch, bytesPerSecond: o.BytesPerSecond, log: o.Log,
	})
	m.talk = func(s *sender) dialogue { return &switchTalk{m: m, s: s} }
	m.gone = m.lost
	m.initSets(time.Now())
	m.recount()
	return m, nil
}

// beginEpoch writes down where the master's epoch begins.
func beginEpoch(o *SwitchMasterOptions) error {
	end := o.Store.Appended()
	if err := o.Epochs.cut(end); err != nil {
		return err
	}
	last, known := o.Epochs.Last(), len(o.Epochs.List()) > 0
	switch {
	case known && o.Epoch < last.Number:
		return fmt.Errorf("%w: elected for epoch %d, the log knows epoch %d", ErrFenced, o.Epoch, last.Number)
	case known && o.Epoch == last.Number && (o.Store.Whole() || last.Start == end):
		return nil
	}
	if o.Store.Unused() {
		end = o.Store.MinOffset()
	}
	return o.Epochs.edit(func(list []Epoch) []Epoch {
		if known && o.Epoch == last.Number {
			list = list[:len(list)-1]
		}
		return addEpoch(list, Epoch{o.Epoch, end})
	})
}

// Serve accepts slaves and keeps the sync-state set until ctx ends. It closes l and returns when all connections are closed.
func (m *SwitchMaster) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { m.keepSet(ctx) })
	return m.serve(ctx, l)
}

// Fence ends this master's power: nothing is counted as replicated any more, no message is admitted, the slaves are let go. When
// it returns no acknowledgement follows that waits for replicas. It must not be called by an Await's Done.
func (m *SwitchMaster) Fence() {
	m.mu.Lock()
	already := m.fenced.Swap(true)
	m.o.Store.SetAlone(false)
	slaves := slices.Collect(maps.Keys(m.slaves))
	m.mu.Unlock()
	for _, s := range slaves {
		_ = s.c.Close()
	}
	m.moving.Wait()
	if !already {
		m.server.o.log.Warn("this broker is master no more", "epoch", m.o.Epoch)
	}
}

// Fenced reports whether this master's power has ended.
func (m *SwitchMaster) Fenced() bool { return m.fenced.Load() }

// Admit returns nil when a message may be accepted, else ErrFenced or a *NotEnoughError.
func (m *SwitchMaster) Admit() error {
	switch n := m.inSync.Load(); {
	case m.fenced.Load():
		return ErrFenced
	case int(n) < m.o.MinInSync:
		return &NotEnoughError{Have: int(n), Want: m.o.MinInSync}
	}
	return nil
}

// SwitchMasterState is how a master in controller mode stands to its slaves.
type SwitchMasterState struct {
	ID        int64
	Epoch     int32
	Fenced    bool
	Set       []int64 // the sync-state set
	SetEpoch  int32
	Pending   bool          // a change of the set is under way
	End       record.Offset // of the log
	Confirmed record.Offset
	Epochs    []Epoch
	Slaves    []SlaveInfo // by id
}

// State tells how it goes.
func (m *SwitchMaster) State() SwitchMasterState {
	end := m.o.Store.Appended()
	st := SwitchMasterState{ID: m.o.ID, Epoch: m.o.Epoch, End: end, Confirmed: m.Confirmed(), Epochs: m.o.Epochs.List()}
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Fenced, st.Set, st.SetEpoch, st.Pending = m.fenced.Load(), slices.Clone(m.set), m.setEpoch, len(m.maybe) > 0
	for s := range m.slaves {
		if !s.started.Load() {
			continue
		}
		t := s.d.(*switchTalk)
		i := s.info(end)
		i.ID, i.Learner, i.InSync = t.who.id, t.who.learner, slices.Contains(m.set, t.who.id)
		if p := m.peers[i.ID]; p != nil {
			i.CaughtUp = p.caughtUp
		}
		st.Slaves = append(st.Slaves, i)
	}
	slices.SortFunc(st.Slaves, func(a, b SlaveInfo) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Addr, b.Addr)) })
	return st
}

// switchTalk is a conversation by AutoSwitchHA.
type switchTalk struct {
	m   *SwitchMaster
	s   *sender
	in  sayings
	who handshake // does not change once met

	// Under the server's mutex.
	met      bool // who is known
	replaced bool // there is a newer connection of the same broker
	goal     record.Offset
	since    time.Time // when the log ended at goal, which was sent then; zero: no such mark
}

// hear implements dialogue.
func (t *switchTalk) hear(p []byte) error {
	before, started := t.s.acked.Load(), t.s.started.Load()
	heard := false
	err := t.in.feed(p, t.greet, func(end record.Offset) error {
		heard = true
		if !t.s.started.Load() {
			return t.s.start(end, t.who.lastFile)
		}
		return t.s.ack(end)
	})
	if err == nil && heard {
		t.m.reported(t, !started || t.s.acked.Load() != before)
	}
	return err
}

// greet answers a handshake. Java's slave repeats it when the answer comes in pieces, so a second answer would confuse it.
func (t *switchTalk) greet(h handshake) error {
	switch {
	case t.met && h == t.who && !t.s.started.Load():
		return nil
	case t.met:
		return errors.New("a second handshake")
	case h.id == t.m.o.ID:
		return &refusal{fmt.Sprintf("it says that it is broker %d, which is this one: two stores have the same identity", h.id)}
	case t.m.fenced.Load():
		return ErrFenced
	}
	t.m.mu.Lock()
	t.who, t.met = h, true
	t.m.mu.Unlock()
	t.m.replace(t)
	a := answer{end: t.m.o.Store.Visible(), last: t.m.o.Epoch, epochs: t.m.o.Epochs.List()}
	if err := t.s.c.SetWriteDeadline(time.Now().Add(t.m.server.o.housekeeping)); err != nil {
		return err
	}
	_, err := t.s.c.Write(a.encode()) // nobody else writes before the first report
	return err
}

// patience implements dialogue.
func (t *switchTalk) patience() time.Duration { return t.m.server.o.housekeeping }

// late implements dialogue.
func (t *switchTalk) late() error {
	if !t.met {
		return errors.New("no handshake for too long")
	}
	return errSilent
}

// header implements dialogue.
//
// Differs from Java: the last frame of an epoch says that it is of this epoch; Java's says the next one.
func (t *switchTalk) header(dst []byte, off record.Offset, n int) []byte {
	f := frame{off: off, n: n, confirm: t.m.Confirmed()}
	f.epoch, _ = epochAt(t.m.list, off)
	return appendSwitchHeader(dst, &f)
}

// border implements dialogue.
func (t *switchTalk) border(off record.Offset) record.Offset {
	_, end := epochAt(t.m.list, off)
	return end
}

// offered implements dialogue.
func (t *switchTalk) offered(end record.Offset) { t.m.offered(t, end) }
