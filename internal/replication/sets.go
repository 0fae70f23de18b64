package replication

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// The sync-state set: the brokers one of which becomes master when this one is gone. With allAckInSyncStateSet a message is
// acknowledged when all of them have it, so nothing acknowledged is lost then.
//
// The controller has the set; the master proposes changes and learns of them late, or never when the answer is lost. Until it
// knows, it waits for everybody who is in the set or may be in it. Somebody who is to come in is waited for before that is
// proposed, from a moment on when the log ended somewhere; it is proposed when he has the log up to there. So at any time each
// member of whatever set the controller has has all that was acknowledged.

const (
	// proposeTimeout bounds a call of Propose.
	proposeTimeout = 3 * time.Second
	// proposeAgain is how long nothing is proposed after a proposal that failed.
	proposeAgain = time.Second
	// unsettled is how long a proposal whose answer was lost may still come true.
	unsettled = 15 * time.Second
	// joinTimeout is how long a slave that is to come in is waited for.
	joinTimeout = 3 * time.Second
	// joinLag is how little a slave must be behind to be waited for.
	joinLag = 250 * time.Millisecond
)

// sets is what a master knows of the sync-state set and of who is in it. The server's mutex guards it.
type sets struct {
	set      []int64 // sorted
	setEpoch int32
	maybe    []proposal // may be the set
	joining  map[int64]*join
	peers    map[int64]*peer
	quiet    time.Time // no proposal before

	others []int64                 // who may be in the set or is to come in, without the master
	sure   []int64                 // who is in the set however the proposals end, without the master
	acks   map[int64]record.Offset // scratch

	// Written under the mutex.
	fenced  atomic.Bool
	alone   atomic.Bool  // nobody is waited for
	confirm atomic.Int64 // never goes back
	inSync  atomic.Int32 // for Admit
}

// proposal is a set that the controller was asked for.
type proposal struct {
	set   []int64
	when  time.Time
	again bool // and had been before
}

// join is a slave that is to come in: once it has the log up to upTo.
type join struct {
	upTo  record.Offset
	since time.Time
}

// peer is what is known of a broker with some id, over all of its connections.
type peer struct {
	caughtUp time.Time     // when it had all that there was
	seen     bool          // it has been connected
	acked    record.Offset // the most that it has ever reported
}

func (m *SwitchMaster) initSets(now time.Time) {
	m.set, m.setEpoch = sortedSet(m.o.Set), m.o.SetEpoch
	m.joining, m.peers, m.acks = map[int64]*join{}, map[int64]*peer{}, map[int64]record.Offset{}
	for _, id := range m.set {
		m.peers[id] = &peer{caughtUp: now}
	}
	m.changedLocked()
}

func sortedSet(set []int64) []int64 {
	set = slices.Clone(set)
	slices.Sort(set)
	return slices.Compact(set)
}

// changedLocked works out what follows from a change of set, maybe or joining.
func (m *SwitchMaster) changedLocked() {
	sure, others, most := slices.Clone(m.set), slices.Clone(m.set), len(m.set)
	for _, p := range m.maybe {
		sure = slices.DeleteFunc(sure, func(id int64) bool { return !slices.Contains(p.set, id) })
		others = append(others, p.set...)
		most = max(most, len(p.set)) // as Java counts
	}
	for id := range m.joining {
		others = append(others, id)
	}
	self := func(id int64) bool { return id == m.o.ID }
	m.sure, m.others = slices.DeleteFunc(sure, self), slices.DeleteFunc(sortedSet(others), self)
	m.inSync.Store(int32(most))
	alone := m.o.Copies <= 1
	if m.o.AllAck {
		alone = len(m.others) == 0
	}
	m.alone.Store(alone)
	m.o.Store.SetAlone(alone && !m.fenced.Load())
}

// acksLocked returns how far each connected slave has the log. The map is valid until the next call.
func (m *SwitchMaster) acksLocked() map[int64]record.Offset {
	clear(m.acks)
	for s := range m.slaves {
		if !s.started.Load() {
			continue
		}
		if t := s.d.(*switchTalk); !t.who.learner && !t.replaced {
			m.acks[t.who.id] = max(m.acks[t.who.id], record.Offset(s.acked.Load()))
		}
	}
	return m.acks
}

// markLocked returns up to where the log counts as replicated, if somebody is waited for.
//
// Differs from Java: without allAckInSyncStateSet only brokers of the set count, each once, whatever number of connections it
// has; Java counts connections, those of learners included.
func (m *SwitchMaster) markLocked() record.Offset {
	acks := m.acksLocked()
	if m.o.AllAck {
		mark := forever
		for _, id := range m.others {
			mark = min(mark, acks[id])
		}
		return mark
	}
	need := m.o.Copies - 1
	if len(m.sure) < need {
		return 0
	}
	have := make([]record.Offset, 0, 8)
	for _, id := range m.sure {
		have = append(have, acks[id])
	}
	slices.Sort(have)
	return have[len(have)-need]
}

// recount moves the replicated mark and what follows from it.
func (m *SwitchMaster) recount() {
	m.mu.Lock()
	if m.fenced.Load() || m.o.Held != nil && !m.o.Held() {
		m.mu.Unlock()
		return
	}
	alone := m.alone.Load()
	mark := m.o.Store.Appended() // releases who began to wait before nobody was waited for
	if !alone {
		mark = m.markLocked()
	}
	if m.o.AllAck && !alone {
		m.confirm.Store(max(m.confirm.Load(), int64(mark)))
	}
	readable := record.Offset(m.confirm.Load())
	if alone || !m.o.AllAck {
		readable = storage.NoLimit
	}
	m.moving.Add(1)
	m.mu.Unlock()
	defer m.moving.Done()
	m.o.Store.SetReplicated(mark)
	if m.o.LimitReaders {
		m.o.Store.SetReadable(readable)
	}
}

// Confirmed returns up to where the log is safe: all of the sync-state set have it. Without allAckInSyncStateSet that is, as in
// Java, the end of the log.
func (m *SwitchMaster) Confirmed() record.Offset {
	end := m.o.Store.Visible()
	if m.o.AllAck && !m.alone.Load() {
		return min(record.Offset(m.confirm.Load()), end)
	}
	return end
}

// offered notes that a slave is about to be sent everything before end.
func (m *SwitchMaster) offered(t *switchTalk, end record.Offset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.since.IsZero() {
		t.goal, t.since = end, time.Now()
	}
}

// reported is called when a slave has said how far it is.
func (m *SwitchMaster) reported(t *switchTalk, moved bool) {
	now, end := time.Now(), m.o.Store.Visible()
	acked := record.Offset(t.s.acked.Load())
	m.mu.Lock()
	p := m.peers[t.who.id]
	if p == nil {
		p = &peer{}
		m.peers[t.who.id] = p
	}
	p.seen, p.acked = true, max(p.acked, acked)
	switch {
	case acked >= end:
		p.caughtUp, t.since = now, time.Time{}
	case !t.since.IsZero() && acked >= t.goal:
		p.caughtUp, t.since = t.since, time.Time{}
	}
	kick := m.joinLocked(t, p, acked, now) || acked < p.acked
	m.mu.Unlock()
	if kick {
		m.poke()
	}
	if moved || kick {
		m.recount()
	}
}

// joinLocked decides whether a slave is to come into the set. It returns true when that may be proposed.
func (m *SwitchMaster) joinLocked(t *switchTalk, p *peer, acked record.Offset, now time.Time) bool {
	id := t.who.id
	if m.fenced.Load() || t.who.learner || slices.Contains(m.set, id) {
		return false
	}
	j := m.joining[id]
	if j == nil {
		if now.Sub(p.caughtUp) > joinLag {
			return false
		}
		j = &join{since: now}
		m.joining[id] = j
		wasAlone := m.alone.Load()
		m.changedLocked()
		// From here on nothing is acknowledged that this slave does not have; what may have been is before the end of the log.
		j.upTo = m.o.Store.Appended()
		if wasAlone {
			m.confirm.Store(max(m.confirm.Load(), int64(j.upTo)))
		}
	}
	return acked >= j.upTo
}

// replace lets go of older connections of the broker that t is with: what they have reported may be lost by now.
func (m *SwitchMaster) replace(t *switchTalk) {
	var old []*sender
	m.mu.Lock()
	for s := range m.slaves {
		if o := s.d.(*switchTalk); s != t.s && o.met && o.who.id == t.who.id && !o.replaced {
			o.replaced, old = true, append(old, s)
		}
	}
	m.mu.Unlock()
	for _, s := range old {
		m.server.o.log.Warn("a broker has connected again, its older connection is closed", "peer", s.peer, "by", t.s.peer, "id", t.who.id)
		_ = s.c.Close()
	}
}

// lost is called when a connection has ended.
func (m *SwitchMaster) lost(*sender) {
	m.poke()
	m.recount()
}

func (m *SwitchMaster) poke() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// keepSet proposes changes of the set until ctx ends.
func (m *SwitchMaster) keepSet(ctx context.Context) {
	t := time.NewTicker(m.o.CheckPeriod)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := m.o.Epochs.Forget(m.o.Store.MinOffset()); err != nil {
				m.grumble("epochs", "forget the epochs of the log that was deleted", "err", err)
			}
		case <-m.kick:
		}
		m.revise(ctx)
	}
}

// revise proposes the set that should be, if it is not.
func (m *SwitchMaster) revise(ctx context.Context) {
	now := time.Now()
	m.mu.Lock()
	want := m.wantLocked(now)
	if m.fenced.Load() || m.o.Propose == nil || slices.Equal(want, m.set) || now.Before(m.quiet) {
		m.mu.Unlock()
		m.recount()
		return
	}
	same := func(p proposal) bool { return slices.Equal(p.set, want) }
	if i := slices.IndexFunc(m.maybe, same); i >= 0 {
		m.maybe[i].when, m.maybe[i].again = now, true
	} else {
		m.maybe = append(m.maybe, proposal{set: want, when: now})
	}
	m.changedLocked()
	m.mu.Unlock()
	m.recount()

	cctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	got, epoch, err := m.o.Propose(cctx, slices.Clone(want))
	cancel()
	switch {
	case err == nil:
		m.Adopt(got, epoch)
		return
	case errors.Is(err, ErrFenced):
		m.Fence()
		return
	case ctx.Err() != nil:
		return
	}
	m.grumble("set", "the sync-state set cannot be changed", "set", want, "err", err)
	m.mu.Lock()
	m.quiet = time.Now().Add(proposeAgain)
	if errors.Is(err, ErrRefused) {
		// This attempt is settled; an earlier one for the same set may not be.
		m.maybe = slices.DeleteFunc(m.maybe, func(p proposal) bool { return same(p) && !p.again })
		m.changedLocked()
	}
	m.mu.Unlock()
	m.recount()
}

// wantLocked returns the set as it should be: without those that are behind or gone, with those that have come.
func (m *SwitchMaster) wantLocked(now time.Time) []int64 {
	acks := m.acksLocked()
	var want []int64
	for _, id := range m.set {
		p := m.peers[id]
		acked, here := acks[id]
		switch {
		case id == m.o.ID:
		case !here && p.seen, here && acked < p.acked: // gone, or back with less than it had
			continue
		case now.Sub(p.caughtUp) > m.o.NotCaughtUp:
			continue
		}
		want = append(want, id)
	}
	for id, j := range m.joining {
		acked, here := acks[id]
		switch {
		case slices.Contains(m.set, id), !here, acked < j.upTo && now.Sub(j.since) > joinTimeout:
			delete(m.joining, id)
			m.changedLocked()
		case acked >= j.upTo:
			want = append(want, id)
		}
	}
	return sortedSet(want)
}

// Adopt takes what the controller says about the sync-state set: its answer to Propose, or to whoever asked it.
func (m *SwitchMaster) Adopt(set []int64, epoch int32) {
	set = sortedSet(set)
	now := time.Now()
	m.mu.Lock()
	switch {
	case !slices.Contains(set, m.o.ID):
		m.mu.Unlock()
		m.grumble("without", "the controller's sync-state set is without the master, it is not taken", "set", set, "epoch", epoch)
		return
	case epoch > m.setEpoch:
		m.server.o.log.Info("sync-state set", "set", set, "was", m.set, "epoch", epoch)
		m.set, m.setEpoch, m.maybe = set, epoch, nil
		for _, id := range set {
			delete(m.joining, id)
			if m.peers[id] == nil {
				m.peers[id] = &peer{caughtUp: now}
			}
		}
		m.changedLocked()
	case epoch == m.setEpoch:
		m.maybe = slices.DeleteFunc(m.maybe, func(p proposal) bool { return now.Sub(p.when) > unsettled })
		m.changedLocked()
	}
	m.mu.Unlock()
	m.recount()
}
