package clients

import (
	"slices"

	"github.com/cometmq/cometmq/internal/mq"
)

// LeaveProducer removes s from one producer group.
func (r *Registry) LeaveProducer(s *mq.Session, groupName string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropProducerLocked(s, groupName)
	r.forgetLocked(s)
}

// LeaveConsumer removes s from one consumer group. notify lets the members that are left know.
func (r *Registry) LeaveConsumer(s *mq.Session, groupName string, notify bool) {
	r.mu.Lock()
	g := r.dropConsumerLocked(s, groupName)
	r.forgetLocked(s)
	var tell []mq.Peer
	if g != nil {
		tell = g.peersLocked(notify && !g.broadcast)
	}
	r.mu.Unlock()
	if g != nil {
		notifyAll(tell, g.name)
	}
	r.tellGone()
}

// notice is what the members of a group have to be told.
type notice struct {
	group string
	peers []mq.Peer
}

// Detach removes s from everything; the members of its groups are told.
func (r *Registry) Detach(s *mq.Session) {
	r.mu.Lock()
	notices := r.detachLocked(s, nil)
	r.mu.Unlock()
	r.tellGone()
	for _, n := range notices {
		notifyAll(n.peers, n.group)
	}
}

func (r *Registry) detachLocked(s *mq.Session, notices []notice) []notice {
	c := r.sessions[s]
	if c == nil {
		return notices
	}
	for name := range c.produces {
		r.dropProducerLocked(s, name)
	}
	for name := range c.consumes {
		if g := r.dropConsumerLocked(s, name); g != nil {
			if peers := g.peersLocked(!g.broadcast); len(peers) > 0 {
				notices = append(notices, notice{g.name, peers})
			}
		}
	}
	delete(r.sessions, s)
	return notices
}

// Expire removes connections from the groups for which they have not been heard of for longer than Expiry, and closes
// those that are in no group any more: their clients are gone. It returns how many were closed.
//
// Differs from Java: the members that are left are told, so that they take over the queues at once and not at their next
// rebalance; and a connection that still lives in another group stays open.
func (r *Registry) Expire() int {
	limit := r.now().Add(-Expiry)
	var notices []notice
	var closing []mq.Peer
	r.mu.Lock()
	for s, c := range r.sessions {
		for name, seen := range c.produces {
			if seen.Before(limit) {
				r.dropProducerLocked(s, name)
			}
		}
		for name, seen := range c.consumes {
			if !seen.Before(limit) {
				continue
			}
			if g := r.dropConsumerLocked(s, name); g != nil {
				notices = append(notices, notice{g.name, g.peersLocked(!g.broadcast)})
			}
		}
		if len(c.produces) == 0 && len(c.consumes) == 0 {
			delete(r.sessions, s)
			closing = append(closing, s.Peer)
		}
	}
	r.mu.Unlock()
	r.tellGone()
	for _, p := range closing {
		p.Close()
	}
	for _, n := range notices {
		notifyAll(n.peers, n.group)
	}
	return len(closing)
}

func (r *Registry) dropProducerLocked(s *mq.Session, groupName string) {
	if c := r.sessions[s]; c != nil {
		_, member := c.produces[groupName]
		delete(c.produces, groupName)
		if member && len(c.produces) == 0 {
			list := slices.DeleteFunc(r.senders[s.ClientID], func(o *mq.Session) bool { return o == s })
			if r.senders[s.ClientID] = list; len(list) == 0 {
				delete(r.senders, s.ClientID)
			}
		}
	}
	members := r.producers[groupName]
	delete(members, s)
	if members != nil && len(members) == 0 {
		delete(r.producers, groupName)
	}
}

// dropConsumerLocked returns the group when s was a member.
func (r *Registry) dropConsumerLocked(s *mq.Session, groupName string) *group {
	if c := r.sessions[s]; c != nil {
		delete(c.consumes, groupName)
	}
	g := r.consumers[groupName]
	if g == nil {
		return nil
	}
	if _, member := g.members[s]; !member {
		return nil
	}
	delete(g.members, s)
	if len(g.members) == 0 {
		delete(r.consumers, g.name)
		if r.onGone != nil {
			r.gone = append(r.gone, g.name)
		}
	}
	return g
}

// forgetLocked drops a connection that is in no group any more.
func (r *Registry) forgetLocked(s *mq.Session) {
	if c := r.sessions[s]; c != nil && len(c.consumes) == 0 && len(c.produces) == 0 {
		delete(r.sessions, s)
	}
}

// peersLocked returns the connections of the group, none unless wanted.
func (g *group) peersLocked(wanted bool) []mq.Peer {
	if !wanted {
		return nil
	}
	peers := make([]mq.Peer, 0, len(g.members))
	for s := range g.members {
		peers = append(peers, s.Peer)
	}
	return peers
}

func notifyAll(peers []mq.Peer, groupName string) {
	for _, p := range peers {
		p.ConsumerIDsChanged(groupName)
	}
}
