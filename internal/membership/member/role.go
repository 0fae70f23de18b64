package member

import (
	"context"
	"fmt"
	"time"
)

const (
	roleAgain = 200 * time.Millisecond // after a change of roles that failed, doubled up to
	roleMost  = 5 * time.Second
	haAgain   = 20 * time.Millisecond // between questions to a master where its slaves connect, doubled up to
	haMost    = time.Second
)

// heard takes what a leader of the controllers says. vacant: the set has no master.
func (m *Member) heard(v view) (vacant bool, err error) {
	logged := m.o.Status().Epoch
	m.mu.Lock()
	v.Self = m.id
	m.floor = max(m.floor, logged)
	was := m.want.Epoch
	vacant, fence, err := m.heardLocked(&v)
	if fence != "" {
		m.fenced = true
	}
	var stop context.CancelFunc
	decided := m.want.Epoch != was
	if decided {
		stop = m.doing // a change to what is no longer wanted
	}
	m.mu.Unlock()
	if decided {
		m.o.Log.Info("the controllers have decided who is master", "epoch", v.Epoch, "master_id", v.MasterID, "master", v.MasterAddr, "this_broker", v.Self, "in_sync", v.InSync.IDs)
	}
	if fence != "" {
		m.fence(fence)
	}
	if stop != nil {
		stop()
	}
	kick(m.changed)
	return vacant, err
}

// heardLocked returns the reason why the engine must be fenced, "" when it must not.
func (m *Member) heardLocked(v *view) (vacant bool, fence string, err error) {
	if v.Epoch < m.floor {
		return false, "", fmt.Errorf("the controllers speak of epoch %d, and there was epoch %d: an answer from the past, or the controllers lost what they knew", v.Epoch, m.floor)
	}
	m.floor = v.Epoch
	fenceable := m.done.Master() && !m.fenced
	if v.MasterID == 0 {
		m.lease.revoke()
		if fenceable {
			fence = fmt.Sprintf("the controllers have no master for this set in epoch %d", v.Epoch)
		}
		return true, fence, nil
	}
	if v.Epoch == m.want.Epoch && v.MasterID != m.want.MasterID {
		m.lease.revoke()
		return false, "", fmt.Errorf("in epoch %d the controllers named number %d as the master and now %d: neither is believed", v.Epoch, m.want.MasterID, v.MasterID)
	}
	if v.Master() && v.MasterAddr != m.o.Addr {
		m.lease.revoke()
		return false, "", fmt.Errorf("the controllers know this broker, number %d and master in epoch %d, at %s, but its address is %s: another one has its identity", v.MasterID, v.Epoch, v.MasterAddr, m.o.Addr)
	}
	if v.Epoch > m.want.Epoch {
		m.lease.revoke() // the right belongs to one epoch
		m.want, m.word = v.Term, v.sent
		if fenceable && !v.Master() {
			fence = fmt.Sprintf("number %d is the master in epoch %d", v.MasterID, v.Epoch)
		}
		return false, fence, nil
	}
	if v.MasterAddr != m.want.MasterAddr {
		m.want.MasterAddr, m.want.MasterHA = v.MasterAddr, ""
	}
	switch {
	case v.InSync.Epoch > m.want.InSync.Epoch:
		m.want.InSync = v.InSync
	case v.InSync.Epoch == m.want.InSync.Epoch:
		m.tellSet = true // a master that waits for the outcome of a proposal learns that there is none
	}
	if v.sent.After(m.word) {
		m.word = v.sent
	}
	if m.done.Master() && m.done.Epoch == v.Epoch {
		m.lease.confirm(m.word)
	}
	return false, "", nil
}

// adopted takes a set that the controllers have agreed to.
func (m *Member) adopted(epoch int32, s SyncSet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.want.Epoch == epoch && s.Epoch > m.want.InSync.Epoch {
		m.want.InSync = s
		kick(m.changed)
	}
}

// todo is what the engine has to be told.
type todo uint8

const (
	nothing todo = iota
	changeRole
	changeSet
)

func (m *Member) todoLocked() todo {
	w, d := &m.want, &m.done
	switch {
	case w.Epoch == 0:
		return nothing
	case w.Epoch != d.Epoch || w.MasterID != d.MasterID:
		return changeRole
	case !w.Master():
		if w.MasterAddr != d.MasterAddr || w.MasterHA != d.MasterHA {
			return changeRole
		}
	case m.fenced && m.Held():
		return changeRole
	case w.InSync.Epoch > d.InSync.Epoch, m.tellSet:
		return changeSet
	}
	return nothing
}

// apply makes the engine do what the controllers decided.
func (m *Member) apply(ctx context.Context) {
	var said complaint
	back, pause, ha := roleAgain, time.Duration(0), haAgain
	for {
		if pause == 0 {
			pause = m.o.Expire
		}
		if !wait(ctx, pause, m.changed) {
			return
		}
		pause = 0
		for ctx.Err() == nil {
			m.mu.Lock()
			do, t := m.todoLocked(), m.want
			m.tellSet = false
			m.mu.Unlock()
			if do == nothing {
				break
			}
			if do == changeSet {
				m.o.Engine.SetInSync(t.InSync)
				m.mu.Lock()
				m.done.InSync = t.InSync
				m.mu.Unlock()
				continue
			}
			err := m.become(ctx, t)
			said.note(ctx, m.o.Log, "change of roles", err)
			if err != nil {
				pause, back = back, min(2*back, roleMost)
				break
			}
			back = roleAgain
		}
		if ctx.Err() != nil || !m.needsHA() {
			ha = haAgain
			continue
		}
		if m.findHA(ctx); pause == 0 {
			pause, ha = ha, min(2*ha, haMost)
		}
	}
}

// become tells the engine its role, unless it has been overtaken meanwhile.
func (m *Member) become(ctx context.Context, t Term) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	if m.want.Epoch != t.Epoch {
		m.mu.Unlock()
		return nil
	}
	m.doing = cancel
	m.mu.Unlock()
	begun := time.Now()
	var err error
	if t.Master() {
		err = m.o.Engine.BecomeMaster(ctx, t)
	} else {
		err = m.o.Engine.BecomeSlave(ctx, t)
	}
	fresh, err := m.became(t, err)
	if fresh {
		m.o.Log.Info("the role has changed", "epoch", t.Epoch, "master", t.Master(), "master_id", t.MasterID, "master_addr", t.MasterAddr, "took", time.Since(begun))
	}
	return err
}

// became keeps what came of a change of roles. fresh: in this epoch it is the first.
func (m *Member) became(t Term, err error) (fresh bool, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doing = nil
	if err != nil {
		if m.want.Epoch != t.Epoch {
			return false, nil // it was told to stop
		}
		return false, fmt.Errorf("epoch %d, master %d: %w", t.Epoch, t.MasterID, err)
	}
	first, was := m.done.Epoch == 0, m.done.Epoch
	m.done, m.fenced = t, false
	if first {
		close(m.settled)
	}
	if t.Master() && m.want.Epoch == t.Epoch {
		m.lease.confirm(m.word)
	}
	return was != t.Epoch, nil
}

// needsHA reports whether this broker is a slave that does not know where to connect.
func (m *Member) needsHA() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want.Epoch != 0 && !m.want.Master() && m.want.MasterHA == ""
}

// findHA asks the master where its slaves connect. It may not know yet that it is the master; then it is asked again.
func (m *Member) findHA(ctx context.Context) {
	m.mu.Lock()
	t := m.want
	m.mu.Unlock()
	ha, err := m.haAddress(ctx, t.MasterAddr)
	if err != nil {
		m.o.Log.Debug("where to connect as a slave", "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.want.Epoch == t.Epoch && m.want.MasterAddr == t.MasterAddr && m.want.MasterHA == "" {
		m.want.MasterHA = ha
		kick(m.changed)
	}
}
