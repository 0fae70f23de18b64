package controller

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/protocol"
)

// Answer is what a command comes to: a response code of Java with Java's remark, and the state of the set that goes into
// the header and the body of the response.
type Answer struct {
	Code   int32
	Remark string

	// Set is the set after the command, nil when there is none or when the answer does not tell.
	Set *Set
	// Elected: the command made Set.Master the master.
	Elected bool
	// HasMaster: the response names the master.
	HasMaster bool
}

func refuse(code int32, format string, args ...any) Answer {
	return Answer{Code: code, Remark: fmt.Sprintf(format, args...)}
}

// Apply returns the state after c, which is s itself when nothing changes, and the answer to whoever asked. It depends on s
// and c alone.
func (s *State) Apply(c *Command) (*State, Answer) {
	switch c.Op {
	case OpRead:
		return s, Answer{}
	case OpAlter:
		return s.alter(c)
	case OpElect:
		return s.elect(c)
	case OpRegister:
		return s.register(c)
	case OpApplyID:
		return s.applyID(c)
	case OpClean:
		return s.clean(c)
	}
	return s, refuse(protocol.RespControllerInvalidRequest, "unknown command %d", c.Op)
}

// alter changes the sync-state set. The checks are Java's, in its order.
func (s *State) alter(c *Command) (*State, Answer) {
	t := s.Set(c.Name)
	if t == nil {
		return s, refuse(protocol.RespControllerAlterSyncStateSetFailed, "Broker metadata is not existed")
	}
	if slices.Equal(t.Sync, c.Sync) {
		return s, refuse(protocol.RespControllerAlterSyncStateSetFailed,
			"The newSyncStateSet is equal with oldSyncStateSet, no needed to update syncStateSet")
	}
	const rejecting = "Rejecting alter syncStateSet request because "
	if t.Master == 0 || t.Master != c.ID {
		return s, refuse(protocol.RespControllerInvalidMaster, rejecting+"the current leader is:{%s}, not {%s}", orNull(t.Master), orNull(c.ID))
	}
	if t.MasterEpoch != c.MasterEpoch {
		return s, refuse(protocol.RespControllerFencedMasterEpoch, rejecting+"the current master epoch is:{%d}, not {%d}", t.MasterEpoch, c.MasterEpoch)
	}
	if t.SyncEpoch != c.SyncEpoch {
		return s, refuse(protocol.RespControllerFencedSyncStateSetEpoch,
			rejecting+"the current syncStateSet epoch is:{%d}, not {%d}", t.SyncEpoch, c.SyncEpoch)
	}
	for _, id := range c.Sync {
		if _, ok := t.Replica(id); !ok {
			return s, refuse(protocol.RespControllerInvalidReplicas, rejecting+"the replicas {%d} don't exist", id)
		}
		if _, ok := c.View.alive(id); !ok {
			return s, refuse(protocol.RespControllerBrokerNotAlive, rejecting+"the replicas {%d} don't alive", id)
		}
	}
	if !slices.Contains(c.Sync, t.Master) {
		return s, refuse(protocol.RespControllerAlterSyncStateSetFailed,
			rejecting+"the newSyncStateSet don't contains origin leader {%d}", t.Master)
	}
	u := *t
	u.Sync = slices.Clone(c.Sync)
	u.SyncEpoch++
	return s.with(&u), Answer{Set: &u}
}

// orNull is Java's text of an id that may be missing.
func orNull(id int64) string {
	if id == 0 {
		return "null"
	}
	return strconv.FormatInt(id, 10)
}

// register takes notice of a broker that has started.
//
// Differs from Java: when the recorded master registers, its epoch ends. A process registers when it starts, so what
// acted under that epoch has died, perhaps with messages that its replicas have and it has not. Java makes it master again
// under the same epoch, and then two logs differ within one epoch, which no handshake can find. And a broker that lives at
// one address cannot move to another: that is a copy of its folder, which Java lets take its place.
func (s *State) register(c *Command) (*State, Answer) {
	t := s.Set(c.Name)
	if t == nil {
		return s, refuse(protocol.RespControllerBrokerNeedToBeRegistered, "Broker-set: %s hasn't been registered in controller", c.Name)
	}
	i, ok := t.find(c.ID)
	if !ok {
		return s, refuse(protocol.RespControllerBrokerNeedToBeRegistered, "BrokerId: %d hasn't been registered in broker-set: %s", c.ID, c.Name)
	}
	if a := foreign(t, c.Cluster); a != nil {
		return s, *a
	}
	if c.Addr == "" || len(c.Addr) > maxText {
		return s, refuse(protocol.RespControllerInvalidRequest, "a broker without an address, or with a very long one")
	}
	if _, ok := c.View.alive(c.ID); ok && t.Replicas[i].Addr != c.Addr {
		return s, refuse(protocol.RespControllerBrokerIDInvalid, "broker %d of set %s is alive at %s: %s has a copy of its identity",
			c.ID, c.Name, t.Replicas[i].Addr, c.Addr)
	}
	next := t
	if t.Master == c.ID {
		next = t.unled()
	}
	if t.Replicas[i].Addr != c.Addr {
		u := *next
		u.Replicas = slices.Clone(u.Replicas)
		u.Replicas[i].Addr = c.Addr
		next = &u
	}
	out := Answer{Set: next, HasMaster: next.Master != 0 && c.View.mayAct(t)}
	if next == t {
		return s, out
	}
	return s.with(next), out
}

// mayAct reports whether the master of t may be acting as far as the view tells.
func (v *View) mayAct(t *Set) bool {
	return t.Master != 0 && (v.MayAct || v.MasterEpoch != t.MasterEpoch)
}

// foreign refuses a broker of another cluster, whose set has the same name by accident.
//
// Differs from Java: it takes such a broker for a replica.
func foreign(t *Set, cluster string) *Answer {
	if t.Cluster == cluster {
		return nil
	}
	a := refuse(protocol.RespControllerInvalidRequest, "broker set %s belongs to cluster %s, not %s", t.Name, t.Cluster, cluster)
	return &a
}

// applyID gives a new broker its id. The same broker may ask again.
//
// Differs from Java: only the next id is given. Java gives any that is free, so that ids of cleaned brokers, which stand in
// epochs and files of others, come back and its counter can run into ids that are taken.
func (s *State) applyID(c *Command) (*State, Answer) {
	if c.Name == "" || len(c.Name) > maxText || len(c.Cluster) > maxText || len(c.Addr) > maxText || len(c.CheckCode) > maxText {
		return s, refuse(protocol.RespControllerInvalidRequest, "a name, address or check code is missing or too long")
	}
	t := s.Set(c.Name)
	if t != nil {
		if a := foreign(t, c.Cluster); a != nil {
			return s, *a
		}
		if r, ok := t.Replica(c.ID); ok && r.CheckCode == c.CheckCode {
			return s, Answer{Set: t}
		}
	}
	switch {
	case c.ID != s.NextID(c.Name) && t == nil:
		return s, refuse(protocol.RespControllerBrokerIDInvalid,
			"Broker-set: %s hasn't been registered in controller, but broker try to apply brokerId: %d", c.Name, c.ID)
	case c.ID != s.NextID(c.Name):
		return s, refuse(protocol.RespControllerBrokerIDInvalid, "Fail to apply brokerId: %d in broker-set: %s", c.ID, c.Name)
	case len(s.sets) >= maxSets && s.sets[c.Name] == nil:
		return s, refuse(protocol.RespControllerInvalidRequest, "there are %d broker sets, no more are taken", len(s.sets))
	case t != nil && len(t.Replicas) >= maxReplicas:
		return s, refuse(protocol.RespControllerInvalidRequest, "broker set %s has %d brokers, no more are taken", c.Name, len(t.Replicas))
	}
	u := Set{Cluster: c.Cluster, Name: c.Name, Lease: defaultLease}
	if old := s.sets[c.Name]; old != nil {
		u = *old
		u.Cluster = c.Cluster
	}
	u.NextID = c.ID + 1
	u.Replicas = append(slices.Clip(u.Replicas), Replica{ID: c.ID, Addr: c.Addr, CheckCode: c.CheckCode})
	return s.with(&u), Answer{Set: &u}
}

// clean forgets brokers, or a whole set.
//
// Differs from Java: ids are honoured together with cleanLivingBroker, where Java then forgets the whole set; a cleaned
// master is no master any more; ids and epochs go on when a cleaned set comes back.
func (s *State) clean(c *Command) (*State, Answer) {
	const invalid = protocol.RespControllerInvalidCleanBrokerMetadata
	t := s.Set(c.Name)
	if !c.Living && t != nil {
		if len(c.IDs) == 0 && t.Master != 0 {
			return s, refuse(invalid, "Broker %s is still alive, clean up failure", c.Name)
		}
		for _, id := range c.IDs {
			if _, ok := c.View.alive(id); ok {
				return s, refuse(invalid, "Broker [%s,  %d] is still alive, clean up failure", c.Name, id)
			}
		}
	}
	if t == nil {
		return s, refuse(invalid, "Broker %s is not existed,clean broker data failure.", c.Name)
	}
	gone := func(id int64) bool { return len(c.IDs) == 0 || slices.Contains(c.IDs, id) }
	u := *t
	u.Replicas = slices.DeleteFunc(slices.Clone(t.Replicas), func(r Replica) bool { return gone(r.ID) })
	u.Sync = slices.DeleteFunc(slices.Clone(t.Sync), gone)
	if len(u.Replicas) == len(t.Replicas) {
		return s, Answer{Set: t}
	}
	if len(u.Sync) != len(t.Sync) {
		u.SyncEpoch++
	}
	next := &u
	if t.Master != 0 && gone(t.Master) {
		next = u.unled()
	}
	return s.with(next), Answer{Set: next}
}
