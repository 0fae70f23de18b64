package nameserver

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// masterID is the broker id of a master.
const masterID = 0

// Permission bits of a topic (Java PermName).
const (
	permWrite int32 = 2
	permRead  int32 = 4
)

// defaultTimeout is how long a broker may be silent when it did not say otherwise.
const defaultTimeout = 120 * time.Second

// errUnknownBroker refuses an incremental registration that comes before the full one.
var errUnknownBroker = errors.New("register broker failed")

// link is a broker's connection, compared by identity.
type link interface{ Close(reason error) }

// routes is the route table. It is not safe for concurrent use, except that view and the other methods that only
// read may run at the same time.
type routes struct {
	topics   map[string]*topic
	groups   map[string]*group              // by broker name
	clusters map[string]map[string]struct{} // cluster name -> broker names
	live     map[endpoint]*live
	filters  map[endpoint][]string
	// gen changes with everything, other than a topic's own queues, that a route answer is made of.
	gen uint64
}

// topic is one row of the route table.
type topic struct {
	name     string
	queues   []queue                                   // sorted by broker name, never empty
	mappings map[string]protocol.TopicQueueMappingInfo // of a static topic, by broker name
	cached   [2]atomic.Pointer[answer]                 // by dialect
}

// answer is an encoded route and the state of the table it was made from.
type answer struct {
	gen  uint64
	body []byte
}

// queue is what one broker group has of a topic.
type queue struct {
	group       *group
	read, write int32
	perm        int32
	sysFlag     int32
}

// group is a master and its slaves: all brokers of one name.
type group struct {
	name    string
	cluster string // of the first that registered
	zone    string
	acting  bool     // a slave may act as the master
	members []member // sorted by id
	topics  map[*topic]struct{}
	drops   uint64 // how often a topic was taken from this group other than by a registration
}

type member struct {
	id   int64
	addr string
}

// endpoint identifies a broker process.
type endpoint struct{ cluster, addr string }

// live is what the name server knows of a broker process that registered.
type live struct {
	seen    time.Time
	timeout time.Duration
	version protocol.DataVersion
	conn    link
	haAddr  string
	name    string
	id      int64
	// print, drops and applied tell whether a registration with the same body would change anything.
	print   uint64
	drops   uint64
	applied bool
}

// registration is one REGISTER_BROKER.
type registration struct {
	cluster, name, addr, haAddr, zone string
	id                                int64
	timeout                           time.Duration // 0: the default
	acting, hasActing                 bool          // enableActingMaster and whether the broker sent it
	version                           protocol.DataVersion
	topics                            []topicEntry
	mappings                          []protocol.TopicQueueMappingInfo // owned, they are kept
	filters                           []string                         // nil: leave as it is, empty: remove
	conn                              link
	print                             uint64 // fingerprint of the body, 0 = unknown
}

// topicEntry is one topic of a registration. The name may be borrowed.
type topicEntry struct {
	name        string
	read, write int32
	perm        int32
	sysFlag     int32
}

// registered is the answer to a registration: a slave learns its master.
type registered struct{ haAddr, masterAddr string }

// notice tells brokers that the smallest broker id of their group changed.
type notice struct {
	to               []string
	minID            int64
	minAddr, offline string
	haAddr           string
}

// policy is the part of the configuration that changes how registrations work.
type policy struct {
	dropMissing bool // deleteTopicWithBrokerRegistration
	notifyMin   bool // notifyMinBrokerIdChanged
}

func newRoutes() *routes {
	return &routes{
		topics:   make(map[string]*topic),
		groups:   make(map[string]*group),
		clusters: make(map[string]map[string]struct{}),
		live:     make(map[endpoint]*live),
		filters:  make(map[endpoint][]string),
	}
}

// register applies a registration. errUnknownBroker leaves the table as it was.
func (r *routes) register(now time.Time, p policy, g *registration) (registered, *notice, error) {
	grp := r.groups[g.name]
	var bound string
	known := false
	if grp != nil {
		bound, known = grp.addr(g.id)
	}
	// Differs from Java: the refused broker leaves no empty group behind.
	if !known && len(g.topics) == 1 {
		return registered{}, nil, errUnknownBroker
	}
	ep := endpoint{g.cluster, g.addr}
	if known && bound != g.addr {
		if old := r.live[endpoint{g.cluster, bound}]; old != nil && old.version.StateVersion > g.version.StateVersion {
			// The address is bound to a newer broker; the late one is ignored and told nothing.
			r.unbindOthers(grp, g)
			delete(r.live, ep)
			return registered{}, nil, nil
		}
	}
	if grp == nil {
		grp = &group{name: strings.Clone(g.name), cluster: strings.Clone(g.cluster), topics: make(map[*topic]struct{})}
		r.groups[grp.name] = grp
	}
	r.joinCluster(g.cluster, grp.name)
	r.describe(grp, g)
	minBefore := int64(0)
	if len(grp.members) > 0 {
		minBefore = grp.members[0].id
	}
	r.unbindOthers(grp, g)
	first := !known || bound == ""
	if bound != g.addr {
		grp.bind(g.id, strings.Clone(g.addr))
		r.gen++
	}

	prev := r.live[ep]
	applied := r.decides(grp, g)
	if applied {
		r.applyTopics(p, grp, g, first, prev == nil || prev.version != g.version)
	}
	r.enliven(now, ep, grp, g, applied)
	r.setFilters(ep, g.filters)

	var n *notice
	if g.id < minBefore && p.notifyMin {
		n = grp.notice("", g.haAddr)
	}
	return r.masterOf(grp, g), n, nil
}

// refresh does what register would do when g has the fingerprint of the broker's last body and nothing happened since
// that this body would undo: it takes only what is in the header. ok is false when the body must be looked at.
func (r *routes) refresh(now time.Time, g *registration) (res registered, ok bool) {
	grp, l := r.groups[g.name], r.live[endpoint{g.cluster, g.addr}]
	if grp == nil || l == nil || g.print == 0 || l.print != g.print || l.id != g.id || l.name != g.name ||
		l.drops != grp.drops || grp.acting != (g.acting && g.hasActing) || l.applied != r.decides(grp, g) {
		return registered{}, false
	}
	if bound, known := grp.addr(g.id); !known || bound != g.addr {
		return registered{}, false
	}
	r.describe(grp, g)
	l.seen, l.timeout, l.conn = now, cmp.Or(g.timeout, defaultTimeout), g.conn
	if l.haAddr != g.haAddr {
		l.haAddr = strings.Clone(g.haAddr)
	}
	return r.masterOf(grp, g), true
}

// reconsider makes the next registration of every broker be looked at in full.
func (r *routes) reconsider() {
	r.gen++
	for _, l := range r.live {
		l.print = 0
	}
}

// decides reports whether the topics of this broker are the topics of its group: the master's are, and those of the
// slave with the smallest id when no master is there.
func (r *routes) decides(grp *group, g *registration) bool {
	if g.id == masterID {
		return true
	}
	return g.hasActing && len(grp.members) > 0 && grp.members[0].id == g.id
}

// describe takes the group's own properties from a registration.
func (r *routes) describe(grp *group, g *registration) {
	acting := g.hasActing && g.acting
	if grp.acting != acting || grp.zone != g.zone {
		grp.acting, grp.zone = acting, strings.Clone(g.zone)
		r.gen++
	}
}

// unbindOthers removes g's address from all ids but its own: a broker that changed its role has one id.
func (r *routes) unbindOthers(grp *group, g *registration) {
	n := len(grp.members)
	grp.members = slices.DeleteFunc(grp.members, func(m member) bool { return m.addr == g.addr && m.id != g.id })
	if len(grp.members) != n {
		r.gen++
	}
}

func (r *routes) joinCluster(cluster, name string) {
	names := r.clusters[cluster]
	if names == nil {
		names = make(map[string]struct{})
		r.clusters[strings.Clone(cluster)] = names
	}
	names[name] = struct{}{}
}

// applyTopics takes the topics of g into the table. first: the id was not bound; changed: the data version is new.
func (r *routes) applyTopics(p policy, grp *group, g *registration, first, changed bool) {
	if p.dropMissing && len(g.mappings) == 0 {
		r.dropMissing(grp, g.topics)
	}
	readOnly := g.id != masterID && grp.acting
	for i := range g.topics {
		e := &g.topics[i]
		if !first && !changed && r.has(e.name, grp) {
			continue
		}
		q := queue{group: grp, read: e.read, write: e.write, perm: e.perm, sysFlag: e.sysFlag}
		if readOnly {
			q.perm &^= permWrite // the acting master serves reads only
		}
		r.setQueue(e.name, q)
	}
	if !first && !changed {
		return
	}
	for _, m := range g.mappings {
		// Differs from Java: a mapping lives and dies with its topic's row instead of staying for ever.
		if t := r.topics[m.Topic]; t != nil {
			if t.mappings == nil {
				t.mappings = make(map[string]protocol.TopicQueueMappingInfo)
			}
			t.mappings[m.BrokerName] = m
			t.touch()
		}
	}
}

func (r *routes) dropMissing(grp *group, keep []topicEntry) {
	names := make(map[string]struct{}, len(keep))
	for i := range keep {
		names[keep[i].name] = struct{}{}
	}
	for t := range grp.topics {
		if _, ok := names[t.name]; !ok {
			r.dropQueue(t, grp)
		}
	}
}

func (r *routes) enliven(now time.Time, ep endpoint, grp *group, g *registration, applied bool) {
	ep = endpoint{strings.Clone(ep.cluster), strings.Clone(ep.addr)}
	r.live[ep] = &live{
		seen: now, timeout: cmp.Or(g.timeout, defaultTimeout), version: g.version, conn: g.conn,
		haAddr: strings.Clone(g.haAddr), name: grp.name, id: g.id,
		print: g.print, drops: grp.drops, applied: applied,
	}
}

func (r *routes) setFilters(ep endpoint, filters []string) {
	switch {
	case filters == nil:
	case len(filters) == 0:
		if _, ok := r.filters[ep]; ok {
			delete(r.filters, ep)
			r.gen++
		}
	case !slices.Equal(r.filters[ep], filters):
		own := make([]string, len(filters))
		for i, f := range filters {
			own[i] = strings.Clone(f)
		}
		r.filters[endpoint{strings.Clone(ep.cluster), strings.Clone(ep.addr)}] = own
		r.gen++
	}
}

// masterOf tells a slave who its master is, as far as the master is alive.
func (r *routes) masterOf(grp *group, g *registration) registered {
	if g.id == masterID {
		return registered{}
	}
	addr, ok := grp.addr(masterID)
	if !ok {
		return registered{}
	}
	l := r.live[endpoint{g.cluster, addr}]
	if l == nil {
		return registered{}
	}
	return registered{haAddr: l.haAddr, masterAddr: addr}
}

// has reports whether grp has an entry under the topic.
func (r *routes) has(name string, grp *group) bool {
	t := r.topics[name]
	if t == nil {
		return false
	}
	_, ok := t.find(grp.name)
	return ok
}

// setQueue adds or replaces q under a topic.
func (r *routes) setQueue(name string, q queue) {
	t := r.topics[name]
	if t == nil {
		t = &topic{name: strings.Clone(name)}
		r.topics[t.name] = t
	}
	i, ok := t.find(q.group.name)
	if !ok {
		t.queues = slices.Insert(t.queues, i, q)
		q.group.topics[t] = struct{}{}
		t.touch()
	} else if t.queues[i] != q {
		t.queues[i] = q
		t.touch()
	}
}

// dropQueue takes grp out of a topic, and the topic out of the table when nobody is left.
func (r *routes) dropQueue(t *topic, grp *group) {
	i, ok := t.find(grp.name)
	if !ok {
		return
	}
	t.queues = slices.Delete(t.queues, i, i+1)
	t.touch()
	delete(grp.topics, t)
	grp.drops++
	if len(t.queues) == 0 {
		delete(r.topics, t.name)
	}
}

// find returns the position of a broker's entry, or where it belongs.
func (t *topic) find(broker string) (int, bool) {
	return slices.BinarySearchFunc(t.queues, broker, func(q queue, name string) int { return strings.Compare(q.group.name, name) })
}

// touch forgets the encoded answers.
func (t *topic) touch() {
	for i := range t.cached {
		t.cached[i].Store(nil)
	}
}

// addr returns the address bound to an id.
func (g *group) addr(id int64) (string, bool) {
	for i := range g.members {
		if g.members[i].id == id {
			return g.members[i].addr, true
		}
	}
	return "", false
}

// bind gives an id an address.
func (g *group) bind(id int64, addr string) {
	i, ok := slices.BinarySearchFunc(g.members, id, func(m member, id int64) int { return cmp.Compare(m.id, id) })
	if ok {
		g.members[i].addr = addr
		return
	}
	g.members = slices.Insert(g.members, i, member{id, addr})
}

// notice makes the message that the smallest id changed. A broker that came tells the others; one that went, all that
// are left.
func (g *group) notice(offline, haAddr string) *notice {
	// The notice outlives the request, whose texts are borrowed.
	n := &notice{minID: g.members[0].id, minAddr: g.members[0].addr, offline: strings.Clone(offline), haAddr: strings.Clone(haAddr)}
	for i, m := range g.members {
		if i > 0 || offline != "" || len(g.members) == 1 {
			n.to = append(n.to, m.addr)
		}
	}
	return n
}
