package httpapi

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// node is one broker.
type node struct {
	mq.RemoteBroker
	set  mq.BrokerSet
	id   int64
	addr string
}

// String is how answers name it.
func (n *node) String() string { return n.set.Name + ":" + strconv.FormatInt(n.id, 10) }

// all are the brokers of the cluster, masters and slaves.
func (k *cluster) all() []node {
	var out []node
	for _, s := range k.sets {
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			out = append(out, node{k.Broker(s.Addrs[id]), s, id, s.Addrs[id]})
		}
	}
	return out
}

// readers are one broker of each set: the master, else whoever is left.
func (k *cluster) readers() []node { return k.readersOf(k.sets) }

func (k *cluster) readersOf(sets []mq.BrokerSet) []node {
	out := make([]node, 0, len(sets))
	for _, s := range sets {
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			out = append(out, node{k.Broker(s.Addrs[id]), s, id, s.Addrs[id]})
			break
		}
	}
	return out
}

// recentFor is how long a large answer of a broker serves further pages of a list.
const recentFor = 2 * time.Second

// progress is how far all groups of a broker are, as of a moment ago.
func (k *cluster) progress(ctx context.Context, n *node) (mq.GroupsStats, error) {
	return k.a.progress.get(ctx, n.addr, recentFor, func(ctx context.Context) (mq.GroupsStats, error) { return n.GroupsStats(ctx, false) })
}

// online is who is connected to a broker, as of a moment ago.
func (k *cluster) online(ctx context.Context, n *node) (mq.AllClients, error) {
	return k.a.online.get(ctx, n.addr, recentFor, n.AllClients)
}

// masters are the brokers that take changes, and an error for each set without one; names, if not empty, chooses sets.
func (k *cluster) masters(names []string) ([]node, []*nodeError, error) {
	for _, want := range names {
		if !slices.ContainsFunc(k.sets, func(s mq.BrokerSet) bool { return s.Name == want }) {
			return nil, nil, badField("brokers", "unknownBroker", "the cluster has no broker set %q", want)
		}
	}
	sets := k.sets
	if len(names) > 0 {
		sets = slices.DeleteFunc(slices.Clone(sets), func(s mq.BrokerSet) bool { return !slices.Contains(names, s.Name) })
	}
	out, errs := k.mastersOf(sets)
	return out, errs, nil
}

// mastersOf are the masters of sets, and an error for each set without one.
func (k *cluster) mastersOf(sets []mq.BrokerSet) (out []node, errs []*nodeError) {
	for _, s := range sets {
		if s.Master() == "" {
			errs = append(errs, &nodeError{Node: s.Name, Code: "noMaster", Detail: "the set has no master: it takes no changes"})
			continue
		}
		out = append(out, node{k.Broker(s.Master()), s, 0, s.Master()})
	}
	return out, errs
}

// asked is what one broker answered.
type asked[T any] struct {
	node node
	v    T
}

// answerOf is what the set of a broker answered, nil for nothing.
func answerOf[T any](answers []asked[T], n *node) *T {
	for i := range answers {
		if answers[i].node.set.Name == n.set.Name {
			return &answers[i].v
		}
	}
	return nil
}

// fanOut is how many brokers are asked at the same time.
const fanOut = 16

// ask asks all brokers at the same time. Those that fail are in the errors; that all fail is an error when there is exactly one.
func ask[T any](ctx context.Context, list []node, do func(ctx context.Context, n *node) (T, error)) ([]asked[T], []*nodeError) {
	type result struct {
		v   T
		err error
	}
	results := make([]result, len(list))
	tokens := make(chan struct{}, fanOut)
	var wg sync.WaitGroup
	for i := range list {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			results[i].v, results[i].err = do(ctx, &list[i])
		})
	}
	wg.Wait()
	var out []asked[T]
	var errs []*nodeError
	for i := range results {
		if err := results[i].err; err != nil {
			errs = append(errs, nodeErrorOf(list[i].String(), err))
			continue
		}
		out = append(out, asked[T]{list[i], results[i].v})
	}
	return out, errs
}

// partial is the part of answers that says who is missing.
type partial struct {
	Partial bool         `json:"partial,omitempty"`
	Errors  []*nodeError `json:"errors,omitempty"`
}

func partialOf(errs []*nodeError) partial { return partial{len(errs) > 0, errs} }

// broker is the broker of the path.
func (c *call) broker() (*node, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(c.path("id"), 10, 64)
	if err != nil {
		return nil, badField("id", "notNumber", "broker id %q is no number", c.path("id"))
	}
	for _, s := range k.sets {
		if addr := s.Addrs[id]; s.Name == c.path("broker") && addr != "" {
			return &node{k.Broker(addr), s, id, addr}, nil
		}
	}
	return nil, notFound("brokerNotFound", "no broker %s:%d is registered", c.path("broker"), id)
}

// route is the route of a topic within the cluster, with one broker of each set that has it.
func (k *cluster) route(ctx context.Context, topic string) (mq.Route, []node, error) {
	r, err := k.NameServer("").Route(ctx, topic)
	if err != nil {
		return r, nil, err
	}
	var sets []mq.BrokerSet
	for _, s := range r.Brokers {
		if s.Cluster == k.name || s.Cluster == "" {
			sets = append(sets, s)
		}
	}
	slices.SortFunc(sets, func(a, b mq.BrokerSet) int { return compareText(a.Name, b.Name) })
	list := k.readersOf(sets)
	if len(list) == 0 {
		return r, nil, notFound("topicNotFound", "no broker of cluster %s that lives has topic %s", k.name, topic)
	}
	return r, list, nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// named finds the broker of a set.
func named(list []node, set string) *node {
	for i := range list {
		if list[i].set.Name == set {
			return &list[i]
		}
	}
	return nil
}

// without drops an error that only says that a broker does not have what was asked for.
func without[T any](v T, err error, kinds ...mq.Kind) (T, error) {
	if err != nil && slices.Contains(kinds, mq.KindOf(err)) {
		var none T
		return none, nil
	}
	return v, err
}
