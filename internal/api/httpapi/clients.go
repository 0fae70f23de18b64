package httpapi

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

type clientAnswer struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Groups   []string `json:"groups"`
	Broker   string   `json:"broker"`
	Language string   `json:"language,omitempty"`
	Version  string   `json:"version,omitempty"`
	Address  string   `json:"address,omitempty"`
	LastSeen int64    `json:"lastSeen,omitempty"`
}

type clientList struct {
	*list[clientAnswer]
	Known bool  `json:"known"`
	AsOf  int64 `json:"asOf,omitempty"`
}

const (
	kindProducer = "producer"
	kindConsumer = "consumer"
)

func clientOf(x *mq.Connection, kind, group, broker string) *clientAnswer {
	out := &clientAnswer{ID: x.ClientID, Kind: kind, Groups: []string{group}, Broker: broker, Language: x.Language, Version: versionText(x.Version)}
	if x.Remote.IsValid() {
		out.Address = x.Remote.String()
	}
	return out
}

// versionText is Java's name of the number that a client sends.
func versionText(n int32) string {
	if n <= 0 {
		return ""
	}
	return mq.VersionName(n)
}

func clientColumns() []by[clientAnswer] {
	return []by[clientAnswer]{
		text("id", func(x *clientAnswer) string { return x.ID + x.Kind }), text("kind", func(x *clientAnswer) string { return x.Kind }),
		text("language", func(x *clientAnswer) string { return x.Language }), text("version", func(x *clientAnswer) string { return x.Version }),
		text("address", func(x *clientAnswer) string { return x.Address }), text("broker", func(x *clientAnswer) string { return x.Broker }),
		number("lastSeen", func(x *clientAnswer) int64 { return x.LastSeen }),
	}
}

// clientTable merges what several brokers say of one client.
type clientTable map[string]*clientAnswer

func (t clientTable) add(x *clientAnswer) {
	key := x.Kind + "\x00" + x.ID
	old := t[key]
	if old == nil {
		t[key] = x
		return
	}
	for _, g := range x.Groups {
		if !slices.Contains(old.Groups, g) {
			old.Groups = append(old.Groups, g)
		}
	}
	old.LastSeen = max(old.LastSeen, x.LastSeen)
}

// list are those that the caller sees and the query wants.
func (t clientTable) list(c *call, q *listQuery, kind string) []clientAnswer {
	out := make([]clientAnswer, 0, len(t))
	for _, x := range t {
		if kind != "" && x.Kind != kind || !q.wants(append([]string{x.ID, x.Address}, x.Groups...)...) {
			continue
		}
		if c.who.groups != nil && !slices.ContainsFunc(x.Groups, c.who.seesGroup) {
			continue
		}
		slices.Sort(x.Groups)
		out = append(out, *x)
	}
	return out
}

// producers asks each broker for all of its producers, and puts them into a table. The answers may have the consumers, too.
func (k *cluster) producers(ctx context.Context, table clientTable) ([]asked[mq.AllClients], []*nodeError) {
	answers, errs := ask(ctx, k.all(), k.online)
	for _, a := range answers {
		for group, list := range a.v.Producers {
			for i := range list {
				x := clientOf(&list[i].Connection, kindProducer, group, a.node.set.Name)
				x.LastSeen = max(list[i].LastSeen, 0)
				table.add(x)
			}
		}
	}
	return answers, errs
}

// addConsumers puts the consumers into the table, unless a broker does not tell them.
func addConsumers(table clientTable, answers []asked[mq.AllClients]) bool {
	for _, a := range answers {
		if a.v.Consumers == nil {
			return false
		}
	}
	for _, a := range answers {
		for group, g := range a.v.Consumers {
			for i := range g.Connections {
				table.add(clientOf(&g.Connections[i], kindConsumer, group, a.node.set.Name))
			}
		}
	}
	return true
}

func listProducers(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	table := clientTable{}
	_, errs := k.producers(c.ctx, table)
	l, err := pageOf(c, q, table.list(c, q, ""), errs, clientColumns()...)
	if err != nil {
		return nil, err
	}
	return &clientList{list: l, Known: true}, nil
}

// listTopicProducers lists those of one group, or of all: brokers do not know which topics a producer sends to.
func listTopicProducers(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	_, nodes, err := k.route(c.ctx, c.path("topic"))
	if err != nil {
		return nil, err
	}
	table := clientTable{}
	group := c.query("group")
	answers, errs := ask(c.ctx, nodes, func(ctx context.Context, n *node) (map[string][]mq.ProducerInfo, error) { return n.AllProducers(ctx) })
	for _, a := range answers {
		for g, list := range a.v {
			for i := range list {
				if group == "" || g == group {
					x := clientOf(&list[i].Connection, kindProducer, g, a.node.set.Name)
					x.LastSeen = max(list[i].LastSeen, 0)
					table.add(x)
				}
			}
		}
	}
	l, err := pageOf(c, q, table.list(c, q, ""), errs, clientColumns()...)
	if err != nil {
		return nil, err
	}
	return &clientList{list: l, Known: true}, nil
}

// clientCache holds the consumers of a cluster for a while. Java's brokers tell them by group only, so that the table is made by one
// request for each group; nobody waits for that longer than a moment, and no page does it again.
type clientCache struct {
	a *API

	mu     sync.Mutex // guards what is below
	tables map[string]*consumerTable
}

// consumerTable is one cluster's. ready is closed when the first one is there.
type consumerTable struct {
	ready   chan struct{}
	at      time.Time
	took    time.Duration
	loading bool
	rows    []clientAnswer
	groups  map[string]groupMembers
	errs    []*nodeError
}

const (
	consumersValid = 30 * time.Second
	consumersWait  = 5 * time.Second
	groupsWait     = 500 * time.Millisecond
	groupsAtOnce   = 8
	// A table that takes long to make is used the longer: brokers are asked for at most a tenth of the time.
	consumersShare = 10
)

// get returns the table, nil when it is not there yet after a wait.
func (t *clientCache) get(ctx context.Context, k *cluster, atMost time.Duration) *consumerTable {
	t.mu.Lock()
	if t.tables == nil {
		t.tables = map[string]*consumerTable{}
	}
	e := t.tables[k.name]
	if e == nil {
		e = &consumerTable{ready: make(chan struct{})}
		t.tables[k.name] = e
	}
	if !e.loading && t.a.now().Sub(e.at) > max(consumersValid, consumersShare*e.took) {
		e.loading = true
		t.a.wg.Go(func() { t.load(k, e) }) //nolint:contextcheck // it outlives the request that is the first to want it
	}
	t.mu.Unlock()
	wait := time.NewTimer(atMost)
	defer wait.Stop()
	select {
	case <-e.ready:
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	v := *e
	return &v
}

// load asks for the members of every group.
func (t *clientCache) load(k *cluster, e *consumerTable) {
	ctx, cancel := context.WithTimeout(t.a.ctx, 5*time.Minute)
	defer cancel()
	began := t.a.now()
	groups, errs := k.groups(ctx, began.UnixMilli())
	table, counts := clientTable{}, make(map[string]groupMembers, len(groups))
	var mu sync.Mutex // guards table, counts and errs
	var wg sync.WaitGroup
	tokens := make(chan struct{}, groupsAtOnce)
	for name := range groups {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			m, err := k.members(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if len(errs) < 10 {
					errs = append(errs, nodeErrorOf("group "+name, err))
				}
				return
			}
			counts[name] = groupMembers{len(m.clients), m.model, m.kind}
			for _, x := range m.clients {
				table.add(x)
			}
		})
	}
	wg.Wait()
	rows := make([]clientAnswer, 0, len(table))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		rows = append(rows, *table[key])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first := e.at.IsZero()
	e.rows, e.groups, e.errs, e.at, e.loading = rows, counts, errs, t.a.now(), false
	e.took = e.at.Sub(began)
	if first {
		close(e.ready)
	}
}

// listClients lists producers and consumers. Those that come through a proxy are with the brokers that the proxy talks to.
func listClients(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	table := clientTable{}
	answers, errs := k.producers(c.ctx, table)
	out := &clientList{Known: addConsumers(table, answers)}
	if out.Known {
		out.list, err = pageOf(c, q, table.list(c, q, c.query("kind")), errs, clientColumns()...)
		return out, err
	}
	if consumers := c.a.clients.get(c.ctx, k, consumersWait); consumers != nil {
		out.Known = true
		for i := range consumers.rows {
			x := consumers.rows[i]
			x.Groups = slices.Clone(x.Groups)
			table.add(&x)
		}
		errs = append(errs, consumers.errs...)
		out.AsOf = consumers.at.UnixMilli()
	}
	out.list, err = pageOf(c, q, table.list(c, q, c.query("kind")), errs, clientColumns()...)
	return out, err
}
