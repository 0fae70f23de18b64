package lite

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of Add.
var (
	ErrQuota    = errors.New("lite subscription quota exceeded")
	ErrWildcard = errors.New("subscribe lite operation is not supported for this group")
)

// Group is what a consumer group says about lite topics: its attributes.
type Group struct {
	Name              string
	Parent            string // lite.bind.topic: the one topic whose lite topics it consumes
	Exclusive         bool   // lite.sub.model: a lite topic has one client; who subscribes last gets it
	RewindExclusive   bool   // lite.sub.reset.offset.exclusive: it begins anew when it changes hands
	RewindUnsubscribe bool   // lite.sub.reset.offset.unsubscribe: and when it is unsubscribed
	Wildcard          bool   // lite.sub.wildcard: all lite topics of the parent, shared by all clients
	MaxEvents         int    // lite.sub.client.max.event.cnt, or that of the broker
}

// Peer is how a client is told that it has lost a lite topic.
type Peer interface {
	UnsubscribeLite(group, client, topic string)
}

// Options configures a Table.
type Options struct {
	Max int // maxLiteSubscriptionCount, 0 = 100,000

	RefillDelay         time.Duration // liteEventFullDispatchDelayTime, 0 = 10 s
	WildcardRefillDelay time.Duration // liteEventFullDispatchDelayTimeForWildcardGroup, 0 = 10 s

	// Behind reports whether a group has not consumed all of a light queue.
	Behind func(group, queue string) bool
	// Queues calls fn for the light queues of a parent topic until it returns false.
	Queues func(parent string, fn func(queue string) bool)
	Now    func() time.Time
}

// Table is the subscriptions to lite topics and the events of their clients. Its methods can be called at the same time.
type Table struct {
	o      Options
	active atomic.Int64 // subscriptions

	mu       sync.Mutex // guards the fields below
	clients  map[string]*client
	queues   map[string]map[*client]struct{}            // who has subscribed to a light queue
	wild     map[string]map[string]map[*client]struct{} // parent topic: group: clients of groups that want all
	events   map[string]*events                         // by client id
	due      map[string]refill                          // by client id, or wildcardKey of a group
	inactive map[string]time.Time                       // clients that did not fetch their events: until then others are preferred
}

type client struct {
	id      string
	group   Group
	parent  string
	queues  map[string]struct{}
	wild    bool // it is in Table.wild
	updated time.Time
	peer    Peer
}

// Client is a client of a group.
type Client struct{ ID, Group string }

// Lost is a lite topic that a client does not have any more. Peer may be nil.
type Lost struct {
	Client
	Peer  Peer
	Queue string
}

// Effects is what the caller has to do after a change, in this order.
type Effects struct {
	Lost   []Lost   // tell them
	Rewind []string // light queues of which the group begins at the first message again
	Added  []string // light queues that the client had not subscribed to before
	Wake   []Client // they have events
}

// NewTable returns an empty table.
func NewTable(o Options) *Table {
	if o.Max <= 0 {
		o.Max = 100_000
	}
	if o.RefillDelay <= 0 {
		o.RefillDelay = 10 * time.Second
	}
	if o.WildcardRefillDelay <= 0 {
		o.WildcardRefillDelay = 10 * time.Second
	}
	return &Table{
		o: o, clients: map[string]*client{}, queues: map[string]map[*client]struct{}{},
		wild: map[string]map[string]map[*client]struct{}{}, events: map[string]*events{}, due: map[string]refill{},
		inactive: map[string]time.Time{},
	}
}

// Max is how many subscriptions there may be.
func (t *Table) Max() int { return t.o.Max }

// Active is how many subscriptions there are.
func (t *Table) Active() int { return int(t.active.Load()) }

// EventSets is how many clients have a set of events, which may be empty.
func (t *Table) EventSets() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.events)
}

// clientLocked finds or makes a client. As in Java it stays in the group and the topic that it came with.
func (t *Table) clientLocked(id string, g Group, parent string, p Peer) *client {
	c := t.clients[id]
	if c == nil {
		c = &client{id: strings.Clone(id), parent: strings.Clone(parent), group: g, queues: map[string]struct{}{}}
		t.clients[c.id] = c
	}
	if c.group.Name == g.Name {
		c.group = g // its attributes may have changed
	}
	c.peer, c.updated = p, t.o.Now()
	return c
}

// Add adds light queues to those of a client.
func (t *Table) Add(id string, g Group, parent string, p Peer, queues []string) (Effects, error) {
	var fx Effects
	if t.Active() >= t.o.Max {
		return fx, ErrQuota
	}
	if g.Wildcard {
		return fx, ErrWildcard
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clientLocked(id, g, parent, p)
	for _, q := range queues {
		if g.Exclusive {
			t.evictLocked(c, q, &fx)
		}
		t.subscribeLocked(c, q, &fx)
	}
	return fx, nil
}

// evictLocked takes a light queue away from other clients of the group of c.
func (t *Table) evictLocked(c *client, queue string, fx *Effects) {
	for old := range t.queues[queue] {
		if old == c || old.group.Name != c.group.Name {
			continue
		}
		t.unsubscribeLocked(old, queue)
		fx.Lost = append(fx.Lost, Lost{Client{old.id, old.group.Name}, old.peer, queue})
		if c.group.RewindExclusive {
			fx.Rewind = append(fx.Rewind, queue)
		}
		if len(old.queues) == 0 {
			delete(t.clients, old.id)
		}
	}
}

func (t *Table) subscribeLocked(c *client, queue string, fx *Effects) {
	if _, has := c.queues[queue]; has {
		return
	}
	set := t.queues[queue]
	if set == nil {
		queue = strings.Clone(queue)
		set = map[*client]struct{}{}
		t.queues[queue] = set
	}
	set[c] = struct{}{}
	c.queues[queue] = struct{}{}
	t.active.Add(1)
	fx.Added = append(fx.Added, queue)
}

func (t *Table) unsubscribeLocked(c *client, queue string) bool {
	if _, has := c.queues[queue]; !has {
		return false
	}
	delete(c.queues, queue)
	set := t.queues[queue]
	delete(set, c)
	if len(set) == 0 {
		delete(t.queues, queue)
	}
	t.active.Add(-1)
	return true
}

// Remove takes light queues away from a client that does not want them any more.
func (t *Table) Remove(id string, g Group, queues []string) Effects {
	var fx Effects
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clients[id]
	if c == nil {
		return fx
	}
	c.updated = t.o.Now()
	for _, q := range queues {
		if t.unsubscribeLocked(c, q) && g.RewindUnsubscribe {
			fx.Rewind = append(fx.Rewind, q)
		}
	}
	return fx
}

// Set makes queues all that a client has subscribed to. A client of a wildcard group has all of its topic instead.
func (t *Table) Set(id string, g Group, parent string, p Peer, queues []string) Effects {
	var fx Effects
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clientLocked(id, g, parent, p)
	if g.Wildcard {
		queues = nil
		t.joinWildLocked(c)
	} else {
		t.leaveWildLocked(c)
	}
	want := make(map[string]struct{}, len(queues))
	for _, q := range queues {
		want[q] = struct{}{}
	}
	for q := range maps.Clone(c.queues) {
		if _, stays := want[q]; !stays {
			t.unsubscribeLocked(c, q)
		}
	}
	for q := range want {
		t.subscribeLocked(c, q, &fx)
	}
	return fx
}

// newWildcard is when a group is looked through after a client has joined that wants all lite topics.
const newWildcard = 5 * time.Second

func (t *Table) joinWildLocked(c *client) {
	if c.wild {
		return
	}
	groups := t.wild[c.parent]
	if groups == nil {
		groups = map[string]map[*client]struct{}{}
		t.wild[c.parent] = groups
	}
	if groups[c.group.Name] == nil {
		groups[c.group.Name] = map[*client]struct{}{}
	}
	groups[c.group.Name][c] = struct{}{}
	c.wild = true
	t.active.Add(1)
	t.laterLocked(wildcardKey(c.group.Name), c.group.Name, newWildcard)
}

func (t *Table) leaveWildLocked(c *client) {
	if !c.wild {
		return
	}
	groups := t.wild[c.parent]
	delete(groups[c.group.Name], c)
	if len(groups[c.group.Name]) == 0 {
		delete(groups, c.group.Name)
	}
	if len(groups) == 0 {
		delete(t.wild, c.parent)
	}
	c.wild = false
	t.active.Add(-1)
}

// Leave forgets a client. Others of its group get its events.
func (t *Table) Leave(id string) Effects {
	var fx Effects
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.clients[id]; c != nil {
		t.leaveLocked(c, &fx)
	}
	return fx
}

func (t *Table) leaveLocked(c *client, fx *Effects) {
	delete(t.clients, c.id)
	for q := range maps.Clone(c.queues) {
		t.unsubscribeLocked(c, q)
	}
	t.leaveWildLocked(c)
	t.moveEventsLocked(c.id, fx)
}

// Expire forgets the clients that did not subscribe to anything or say what they have for a time.
func (t *Table) Expire(after time.Duration) (gone []Client, fx Effects) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	for _, c := range t.clients {
		if now.Sub(c.updated) > after {
			gone = append(gone, Client{c.id, c.group.Name})
			t.leaveLocked(c, &fx)
		}
	}
	return gone, fx
}

// Forget keeps a connection that is gone from being told anything. The subscriptions stay: clients come again on another one.
func (t *Table) Forget(p Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.clients {
		if c.peer == p {
			c.peer = nil
		}
	}
}

// Drop ends all subscriptions to a light queue, which is gone. As in Java the clients are not told; they may subscribe again.
func (t *Table) Drop(queue string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range maps.Clone(t.queues[queue]) {
		t.unsubscribeLocked(c, queue)
	}
}

// Of returns what a client has subscribed to, sorted. A client of a wildcard group has none.
func (t *Table) Of(id string) (queues []string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clients[id]
	if c == nil {
		return nil, false
	}
	return slices.Sorted(maps.Keys(c.queues)), true
}

// Subscribers returns who gets messages of a light queue, sorted; for all clients of a wildcard group one with the id *.
func (t *Table) Subscribers(queue string) []Client {
	parent, _, _ := Split(queue)
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Client, 0, len(t.queues[queue])+len(t.wild[parent]))
	for c := range t.queues[queue] {
		list = append(list, Client{c.id, c.group.Name})
	}
	for group := range t.wild[parent] {
		list = append(list, Client{"*", group})
	}
	slices.SortFunc(list, func(a, b Client) int { return strings.Compare(a.Group+"\x00"+a.ID, b.Group+"\x00"+b.ID) })
	return list
}
