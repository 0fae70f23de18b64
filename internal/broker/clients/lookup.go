package clients

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// Consumer returns the connection of one client of a consumer group, nil when it is not there. Of several connections with
// the same client id it is the one that was heard of last.
func (r *Registry) Consumer(groupName, clientID string) *mq.Session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.consumers[groupName]
	if g == nil {
		return nil
	}
	var found *mq.Session
	for s := range g.members {
		if s.ClientID != clientID {
			continue
		}
		if found == nil || r.sessions[found].consumes[g.name].Before(r.sessions[s].consumes[g.name]) {
			found = s
		}
	}
	return found
}

// Consumers returns the connections of a consumer group, sorted by client id.
func (r *Registry) Consumers(groupName string) []*mq.Session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.consumers[groupName]
	if g == nil {
		return nil
	}
	return sorted(g.members)
}

func sorted(set map[*mq.Session]struct{}) []*mq.Session {
	out := make([]*mq.Session, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *mq.Session) int {
		return cmp.Or(strings.Compare(a.ClientID, b.ClientID), a.Remote.Compare(b.Remote))
	})
	return out
}

// Producing is one connection of a producer group.
type Producing struct {
	*mq.Session
	Seen time.Time // its last heartbeat
}

// AllProducers returns who produces, by group.
func (r *Registry) AllProducers() map[string][]Producing {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make(map[string][]Producing, len(r.producers))
	for name, members := range r.producers {
		for s := range members {
			out[name] = append(out[name], Producing{s, r.sessions[s].produces[name]})
		}
	}
	return out
}

// Consuming is a consumer group with its connections.
type Consuming struct {
	Consumer
	Sessions []*mq.Session // sorted by client id
}

// AllConsumers returns who consumes, by group.
func (r *Registry) AllConsumers() map[string]Consuming {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make(map[string]Consuming, len(r.consumers))
	for name, g := range r.consumers {
		out[name] = Consuming{g.state(), sorted(g.members)}
	}
	return out
}

// Producer returns the connection of a client that sends for any group: the one that came last. nil when there is none.
func (r *Registry) Producer(clientID string) *mq.Session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if list := r.senders[clientID]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// Subscriptions returns what a consumer group subscribes to, sorted by topic.
func (r *Registry) Subscriptions(groupName string) []*Subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.consumers[groupName]
	if g == nil {
		return nil
	}
	out := make([]*Subscription, 0, len(g.subs))
	for _, s := range g.subs {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Subscription) int { return strings.Compare(a.Topic, b.Topic) })
	return out
}

// GroupsOf returns the consumer groups that subscribe to a topic.
func (r *Registry) GroupsOf(topic string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []string
	for name, g := range r.consumers {
		if g.subs[topic] != nil {
			out = append(out, name)
		}
	}
	return out
}

// Each calls produces for each producer group of each connection, and consumes for each consumer group likewise. They run under the
// registry's lock: they must be quick and must not call it.
func (r *Registry) Each(produces func(group string, s *mq.Session), consumes func(group string, kind mq.ConsumeType, s *mq.Session)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, sessions := range r.producers {
		for s := range sessions {
			produces(name, s)
		}
	}
	for name, g := range r.consumers {
		for s := range g.members {
			consumes(name, g.kind, s)
		}
	}
}
