package clients

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/selector"
)

// Expiry is how long a connection stays registered without a heartbeat.
const Expiry = 2 * time.Minute

// Registry knows all connected clients.
type Registry struct {
	now func() time.Time

	mu        sync.RWMutex // guards everything below, entries included
	sessions  map[*mq.Session]*client
	consumers map[string]*group
	producers map[string]map[*mq.Session]struct{}
	senders   map[string][]*mq.Session // by client id: its connections that produce, the one that came last at the end
	// prints holds the last heartbeat fingerprint of each consumer group. It outlives the group, as in Java, so that
	// a client of a group that comes back sends its full data.
	prints map[string]int32
	gone   []string // groups whose last member has left, not told to onGone yet
	onGone func(group string)
}

// client is one connection.
type client struct {
	consumes map[string]time.Time // group: last heartbeat
	produces map[string]time.Time
}

// group is one consumer group that has members.
type group struct {
	name      string
	members   map[*mq.Session]struct{}
	subs      map[string]*Subscription
	kind      mq.ConsumeType
	broadcast bool
	fromWhere string
}

// Subscription is what a group wants of one topic. It never changes after it was made.
type Subscription struct {
	mq.Subscription
	// Filter is the compiled tag expression; nil when it is none: then what the group has registered with the broker counts.
	Filter selector.Filter
}

// New returns an empty registry.
func New(now func() time.Time) *Registry {
	return &Registry{
		now: now, sessions: make(map[*mq.Session]*client), consumers: make(map[string]*group),
		producers: make(map[string]map[*mq.Session]struct{}), senders: make(map[string][]*mq.Session), prints: make(map[string]int32),
	}
}

// OnGone has f called, without a lock, for each consumer group whose last member has left from now on; nil: nobody. A call of the
// former f may still be under way.
func (r *Registry) OnGone(f func(group string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onGone, r.gone = f, nil
}

// tellGone takes the lock: the names are handed out once.
func (r *Registry) tellGone() {
	r.mu.Lock()
	gone, tell := r.gone, r.onGone
	r.gone = nil
	r.mu.Unlock()
	for _, name := range gone {
		tell(name)
	}
}

// Consumer is the state of a consumer group.
type Consumer struct {
	Type      mq.ConsumeType
	Broadcast bool
	FromWhere string
	Members   int
}

// Group returns the state of a consumer group that has members.
func (r *Registry) Group(name string) (Consumer, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.consumers[name]
	if g == nil {
		return Consumer{}, false
	}
	return g.state(), true
}

func (g *group) state() Consumer {
	return Consumer{Type: g.kind, Broadcast: g.broadcast, FromWhere: g.fromWhere, Members: len(g.members)}
}

// Find returns what a group subscribes to in a topic. sub is nil when it does not; known tells whether the group has
// members at all.
func (r *Registry) Find(groupName, topic string) (sub *Subscription, broadcast, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.consumers[groupName]
	if g == nil {
		return nil, false, false
	}
	return g.subs[topic], g.broadcast, true
}

// Members returns the client ids of a group, sorted, and whether the group is there.
//
// Differs from Java: a client id that is connected twice is listed once. A second entry would get a share of the queues
// that nobody reads, until the old connection is noticed to be dead.
func (r *Registry) Members(groupName string) ([]string, bool) {
	r.mu.RLock()
	g := r.consumers[groupName]
	if g == nil {
		r.mu.RUnlock()
		return nil, false
	}
	ids := make([]string, 0, len(g.members))
	for s := range g.members {
		ids = append(ids, s.ClientID)
	}
	r.mu.RUnlock()
	slices.Sort(ids)
	return slices.Compact(ids), true
}

// Producers returns the connections that produce for a group.
func (r *Registry) Producers(groupName string) []*mq.Session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*mq.Session, 0, len(r.producers[groupName]))
	for s := range r.producers[groupName] {
		out = append(out, s)
	}
	return out
}

// Counts returns how many connections, consumer groups and producer groups there are.
func (r *Registry) Counts() (sessions, consumers, producers int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.sessions), len(r.consumers), len(r.producers)
}

func (r *Registry) clientLocked(s *mq.Session) *client {
	c := r.sessions[s]
	if c == nil {
		c = &client{consumes: make(map[string]time.Time), produces: make(map[string]time.Time)}
		r.sessions[s] = c
	}
	return c
}

// Produce registers that s sends for a producer group.
func (r *Registry) Produce(s *mq.Session, groupName string) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clientLocked(s)
	if _, known := c.produces[groupName]; !known {
		groupName = strings.Clone(groupName)
		if r.producers[groupName] == nil {
			r.producers[groupName] = make(map[*mq.Session]struct{})
		}
		r.producers[groupName][s] = struct{}{}
		if len(c.produces) == 0 {
			r.senders[s.ClientID] = append(r.senders[s.ClientID], s)
		}
	}
	c.produces[groupName] = now
}

// Consume registers what s consumes. notify lets the other members know of a change. changed tells whether the
// connection is new in the group or the set of topics differs.
func (r *Registry) Consume(s *mq.Session, d *mq.ConsumerData, withoutSubs, notify bool) (changed bool) {
	now := r.now()
	r.mu.Lock()
	c := r.clientLocked(s)
	g := r.consumers[d.Group]
	if g == nil {
		g = &group{name: strings.Clone(d.Group), members: make(map[*mq.Session]struct{}), subs: make(map[string]*Subscription)}
		r.consumers[g.name] = g
	}
	g.kind, g.broadcast = known(d.Type), d.Broadcast
	if g.fromWhere != d.FromWhere {
		g.fromWhere = strings.Clone(d.FromWhere)
	}
	if _, member := g.members[s]; !member {
		g.members[s] = struct{}{}
		changed = true
	}
	c.consumes[g.name] = now
	if !withoutSubs && g.subscribe(d.Subscriptions) {
		changed = true
	}
	tell := g.peersLocked(changed && notify && !g.broadcast)
	name := g.name
	r.mu.Unlock()
	notifyAll(tell, name)
	return changed
}

// known returns one of the constants, so that no borrowed string is kept.
func known(t mq.ConsumeType) mq.ConsumeType {
	for _, k := range [...]mq.ConsumeType{mq.ConsumeActively, mq.ConsumePassively, mq.ConsumePop} {
		if t == k {
			return k
		}
	}
	return mq.ConsumePassively
}

// subscribe replaces the group's subscriptions and reports whether the set of topics changed.
func (g *group) subscribe(list []mq.Subscription) (changed bool) {
	for i := range list {
		in := &list[i]
		old := g.subs[in.Topic]
		if old != nil && in.Version <= old.Version {
			continue
		}
		sub := newSubscription(in)
		g.subs[sub.Topic] = sub
		changed = changed || old == nil
	}
	for topic := range g.subs {
		if !slices.ContainsFunc(list, func(s mq.Subscription) bool { return s.Topic == topic }) {
			delete(g.subs, topic)
			changed = true
		}
	}
	return changed
}

func newSubscription(in *mq.Subscription) *Subscription {
	sub := &Subscription{Subscription: *in}
	if selector.IsTag(in.ExpressionType) {
		sub.Filter = compile(in)
	}
	sub.Topic, sub.Expression = strings.Clone(in.Topic), strings.Clone(in.Expression)
	sub.ExpressionType = strings.Clone(in.ExpressionType)
	sub.Codes = slices.Clone(in.Codes)
	sub.Tags = slices.Clone(in.Tags)
	for i, w := range sub.Tags {
		sub.Tags[i] = strings.Clone(w)
	}
	return sub
}

// compile returns the filter of a heartbeat's tag subscription. The client's hashes count, as in Java; a client that sends
// none but names tags gets them computed.
func compile(in *mq.Subscription) *selector.Tags {
	if in.ClassFilter || in.Expression == selector.All || in.Expression == "" {
		all, _ := selector.ParseTags(selector.All)
		return all
	}
	if len(in.Codes) > 0 {
		return selector.FromCodes(in.Codes)
	}
	if t, err := selector.ParseTags(in.Expression); err == nil {
		return t
	}
	return selector.FromCodes(nil)
}

// Fingerprint stores the fingerprint of a group's heartbeat and tells whether there was another one before.
func (r *Registry) Fingerprint(groupName string, mark int32) (differs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, had := r.prints[groupName]
	if !had {
		groupName = strings.Clone(groupName)
	}
	if !had || old != mark {
		r.prints[groupName] = mark
	}
	return had && old != mark
}
