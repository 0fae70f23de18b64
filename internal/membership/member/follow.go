package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

const (
	againSoon  = 300 * time.Millisecond // after a first failure
	againMost  = 5 * time.Second        // between tries to register
	askAgain   = 500 * time.Millisecond // after a question that was not answered
	askSpacing = 50 * time.Millisecond  // between questions, whatever wakes
	jitterMost = int64(time.Second)     // brokers of one set that start together claim the same number
)

// follow registers this broker and then asks again and again who is master.
func (m *Member) follow(ctx context.Context) {
	var said complaint
	back := againSoon
	for {
		err := m.enter(ctx)
		if err == nil {
			break
		}
		pause := back
		switch {
		case errors.Is(err, ErrNoLeader): // said by the one who looks for it
		case refusedWith(err, protocol.RespControllerBrokerIDInvalid):
			// Another broker was faster: the next try is for another number.
			pause = time.Duration(1 + m.o.Jitter(jitterMost))
			said.note(ctx, m.o.Log, "register with the controllers", err)
		default:
			said.note(ctx, m.o.Log, "register with the controllers", err)
			back = min(2*back, againMost)
		}
		if !wait(ctx, pause, m.asked) {
			return
		}
	}
	said.note(ctx, m.o.Log, "register with the controllers", nil)
	close(m.entered)
	for {
		pause := m.o.SyncRoles
		err := m.round(ctx)
		if said.note(ctx, m.o.Log, "ask the controllers who is master", err); err != nil {
			pause = min(askAgain, pause)
		}
		if !wait(ctx, pause, m.asked) || !wait(ctx, askSpacing, nil) {
			return
		}
	}
}

// enter makes this broker known to the controllers: it gets a number, once for all, and registers.
func (m *Member) enter(ctx context.Context) error {
	if err := m.identify(ctx); err != nil {
		return err
	}
	if err := m.alone(ctx); err != nil {
		return err
	}
	return m.register(ctx)
}

// identify gets the number of this broker, from the file or from the controllers.
func (m *Member) identify(ctx context.Context) error {
	m.mu.Lock()
	known := m.id != 0
	m.mu.Unlock()
	if known {
		return nil
	}
	id, err := m.files.load()
	if err != nil {
		return fmt.Errorf("identity of this broker: %w", err)
	}
	if id == nil {
		if id, err = m.obtain(ctx); err != nil {
			return err
		}
	} else if err := id.belongs(m.o.Cluster, m.o.Name, m.files.path); err != nil {
		return err
	}
	if err := m.files.dropClaim(); err != nil {
		m.o.Log.Warn("remove a claim that has been fulfilled", "file", m.files.temp(), "err", err)
	}
	m.o.Log.Info("this broker has a number in its set", "broker_id", id.ID)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id = id.ID
	return nil
}

// obtain gets a number from the controllers and saves it.
func (m *Member) obtain(ctx context.Context) (*Identity, error) {
	c, err := m.files.loadClaim()
	if err != nil {
		return nil, fmt.Errorf("claim of an identity: %w", err)
	}
	if c != nil {
		if err = c.belongs(m.o.Cluster, m.o.Name, m.files.temp()); err != nil {
			return nil, err
		}
	} else {
		var next int64
		if next, err = m.nextID(ctx); err != nil {
			return nil, err
		}
		c = &claim{Identity{m.o.Cluster, m.o.Name, next}, fmt.Sprintf("%s;%d", m.o.Addr, time.Now().UnixMilli())}
		if err = m.files.saveClaim(c); err != nil {
			return nil, fmt.Errorf("save the claim of an identity: %w", err)
		}
	}
	// Differs from Java: only a refusal drops the claim. There a lost answer does, too, and the number that the controllers have
	// given is lost.
	if err = m.applyID(ctx, c); err != nil {
		if refusedWith(err, protocol.RespControllerBrokerIDInvalid) {
			err = errors.Join(err, m.files.dropClaim())
		}
		return nil, err
	}
	if err = m.files.save(c.Identity); err != nil {
		return nil, fmt.Errorf("save the identity of this broker: %w", err)
	}
	return &c.Identity, nil
}

// alone checks that nothing speaks against this broker's taking its place in the set.
//
// Differs from Java: there a second broker with the same identity takes the place of the first.
func (m *Member) alone(ctx context.Context) error {
	m.mu.Lock()
	id := m.id
	m.mu.Unlock()
	set, err := m.replicas(ctx)
	if err != nil {
		if !refusedWith(err, protocol.RespControllerBrokerMetadataNotExist, protocol.RespControllerBrokerNeedToBeRegistered) {
			return err
		}
		set = &protocol.ReplicasInfo{}
	}
	if err := m.single(id, set); err != nil {
		return err
	}
	return m.whole(id, set)
}

// single checks that no other broker lives under this identity: somebody may have copied the store. A broker that got a new
// address is let in when its old one has been silent long enough.
func (m *Member) single(id int64, set *protocol.ReplicasInfo) error {
	for _, list := range [][]protocol.ReplicaIdentity{set.InSync, set.NotInSync} {
		for i := range list {
			r := &list[i]
			if r.BrokerID == id && r.Alive && r.BrokerAddress != "" && r.BrokerAddress != m.o.Addr {
				return fmt.Errorf("the broker at %s is alive and has number %d of %s, which is the identity in %s: refused, two brokers must not have the same. "+
					"If this store is a copy of that broker's, empty it", r.BrokerAddress, id, m.o.Name, m.files.path)
			}
		}
	}
	return nil
}

// register tells the controllers this broker's address.
func (m *Member) register(ctx context.Context) error {
	m.mu.Lock()
	id := m.id
	m.mu.Unlock()
	v, err := m.registerBroker(ctx, id)
	if err != nil {
		if refusedWith(err, protocol.RespControllerBrokerNeedToBeRegistered, protocol.RespControllerBrokerMetadataNotExist) {
			err = fmt.Errorf("%w; the controllers do not know number %d of %s. If they were asked to forget it, or are new, move %s away: the broker gets a new number", err, id, m.o.Name, m.files.path)
		}
		return err
	}
	m.mu.Lock()
	m.registered = true
	m.mu.Unlock()
	m.beatLeader(ctx)
	if v.MasterID != 0 { // nobody here means only that no master lives
		_, err = m.heard(v)
	}
	return err
}

// round asks once who is master, and for an election if there is none.
func (m *Member) round(ctx context.Context) error {
	v, err := m.replicaInfo(ctx)
	if refusedWith(err, protocol.RespControllerBrokerMetadataNotExist, protocol.RespControllerBrokerNeedToBeRegistered) {
		return errors.Join(err, m.register(ctx))
	}
	if err != nil {
		return err
	}
	vacant, err := m.heard(v)
	if err != nil || !vacant {
		return err
	}
	if m.o.Learner && v.Epoch == 0 {
		return errors.New("the set has no master yet, and this broker is a learner (asyncLearner): start another one first")
	}
	m.mu.Lock()
	id := m.id
	m.mu.Unlock()
	m.beatLeader(ctx)
	v, err = m.elect(ctx, id)
	if refusedWith(err, protocol.RespControllerBrokerNeedToBeRegistered, protocol.RespControllerBrokerMetadataNotExist) {
		return errors.Join(err, m.register(ctx))
	}
	if err != nil && v.MasterID == 0 {
		return err
	}
	_, err = m.heard(v)
	return err
}
