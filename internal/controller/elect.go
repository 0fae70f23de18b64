package controller

import (
	"cmp"
	"slices"

	"github.com/cometmq/cometmq/internal/protocol"
)

// elect finds a master for a set.
//
//   - The first master of a set is whoever asks first.
//   - A master that may be acting stays, unless another broker is designated.
//   - Else the best live broker of the sync-state set, or the designated one if it is live and in it. The leader proposes the election
//     when it knows how long the logs are that can be longer (liveTable.unheard).
//   - Else, with enableElectUncleanMaster, the same among all brokers: messages that were acknowledged may be lost.
//
// Differs from Java: a controller that has just started, or has just become the leader, has not heard from the master yet.
// Java takes it for dead then and elects another one while it works; here it has the time of its lease to be heard.
func (s *State) elect(c *Command) (*State, Answer) {
	t := s.Set(c.Name)
	if t == nil {
		return s, refuse(protocol.RespControllerBrokerNeedToBeRegistered, "Broker hasn't been registered")
	}
	asked := c.ID != noID
	if _, ok := t.Replica(c.ID); asked && !ok {
		return s, refuse(protocol.RespControllerBrokerNeedToBeRegistered, "BrokerId: %d hasn't been registered in broker-set: %s", c.ID, c.Name)
	}
	var next int64
	if t.first() && asked && !c.Designate {
		next = c.ID
	} else {
		next = t.best(c)
	}
	switch {
	case next != 0 && next == t.Master:
		a := refuse(protocol.RespControllerMasterStillExist,
			"The old master %d is still alive, not need to elect new master for broker %s", t.Master, t.Name)
		a.Set, a.HasMaster = t, true
		return s, a
	case next != 0:
		lease := t.Lease
		if a, ok := c.View.alive(next); ok && a.Lease > 0 {
			lease = a.Lease
		}
		u := t.led(next, lease, c.View.epoch())
		return s.with(u), Answer{Set: u, Elected: true, HasMaster: true}
	case asked:
		return s, refuse(protocol.RespControllerElectMasterFailed, "Failed to elect a new master")
	}
	a := refuse(protocol.RespControllerMasterNotAvailable, "Old master has down and failed to elect a new broker master")
	if t.Master == 0 {
		return s, a
	}
	return s.with(t.unled()), a
}

// best returns who should be master, 0 when nobody can.
func (t *Set) best(c *Command) int64 {
	var wanted int64
	if c.Designate && c.ID != noID {
		wanted = c.ID
	}
	if c.View.mayAct(t) && (wanted == 0 || wanted == t.Master) {
		return t.Master
	}
	pick := func(allowed func(id int64) bool) int64 {
		in := slices.DeleteFunc(slices.Clone(c.View.Alive), func(a Candidate) bool {
			_, member := t.Replica(a.ID)
			return !member || !allowed(a.ID) || (wanted != 0 && a.ID != wanted)
		})
		if len(in) == 0 {
			return 0
		}
		return slices.MinFunc(in, better).ID
	}
	if id := pick(t.InSync); id != 0 {
		return id
	}
	if c.View.Unclean || t.first() {
		return pick(func(int64) bool { return true })
	}
	return 0
}

// maxKnownEpoch bounds what a broker can say about epochs, so that none can bring them to their end.
const maxKnownEpoch = 1 << 30

// epoch is the latest one that a live broker has in its log. It is above the set's only when the controllers have lost their
// state: brokers refuse a master whose epoch they have seen already.
//
// Differs from Java: its epochs begin again with 1 then, and no broker can become master.
func (v *View) epoch() int32 {
	var latest int32
	for i := range v.Alive {
		if e := v.Alive[i].Epoch; e <= maxKnownEpoch {
			latest = max(latest, e)
		}
	}
	return latest
}

// better orders candidates, the best one first: the latest epoch, the longest log, the lowest priority, the lowest id.
//
// Differs from Java: it casts the difference of two offsets to 32 bits, so that of two logs that are more than 2 GiB apart
// the shorter one may win.
func better(a, b Candidate) int {
	return cmp.Or(
		cmp.Compare(b.Epoch, a.Epoch), cmp.Compare(b.MaxOffset, a.MaxOffset), cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
}
