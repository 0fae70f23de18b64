package httpapi

import (
	"context"
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/mq"
)

type nameServerAnswer struct {
	Addr      string     `json:"addr"`
	Reachable bool       `json:"reachable"`
	Brokers   *int       `json:"brokers,omitempty"`
	Topics    *int       `json:"topics,omitempty"`
	Error     *nodeError `json:"error,omitempty"`
}

func listNameServers(c *call) (any, error) {
	if _, err := c.cluster(); err != nil {
		return nil, err
	}
	out := []nameServerAnswer{}
	for _, addr := range c.a.cluster.NameServers() {
		n := nameServerAnswer{Addr: addr}
		ns := c.a.cluster.NameServer(addr)
		info, err := ns.ClusterInfo(c.ctx)
		if err != nil {
			n.Error = nodeErrorOf(addr, err)
			out = append(out, n)
			continue
		}
		count := 0
		for _, s := range info.Brokers {
			count += len(s.Addrs)
		}
		n.Reachable, n.Brokers = true, &count
		if topics, err := ns.Topics(c.ctx); err == nil { // an extra
			many := len(topics)
			n.Topics = &many
		}
		out = append(out, n)
	}
	return whole(out, nil), nil
}

type kvAnswer struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func listKV(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	table, err := k.NameServer("").KVs(c.ctx, c.path("namespace"))
	if table, err = without(table, err, mq.KindQueryNotFound); err != nil {
		return nil, err
	}
	items := []kvAnswer{}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		items = append(items, kvAnswer{key, table[key]})
	}
	return &struct {
		Namespace string     `json:"namespace"`
		Items     []kvAnswer `json:"items"`
	}{c.path("namespace"), items}, nil
}

func getKV(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	v, err := k.NameServer("").KV(c.ctx, c.path("namespace"), c.path("key"))
	if err != nil {
		return nil, err
	}
	return &kvAnswer{c.path("key"), v}, nil
}

// changeKV does the same on all name servers: they do not tell each other.
func (c *call) changeKV(action, after string, do func(ctx context.Context, ns mq.NameServerAdmin) error) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	for _, addr := range k.NameServers() {
		ns := k.NameServer(addr)
		s := step{Node: addr, Action: action, Target: c.path("namespace") + "/" + c.path("key"), After: after}
		if v, err := ns.KV(c.ctx, c.path("namespace"), c.path("key")); err == nil { // there is none else
			s.Before = v
		}
		p.add(s, func(ctx context.Context) (string, error) { return "", do(ctx, ns) })
	}
	return p.run()
}

func putKV(c *call) (any, error) {
	var in struct {
		Value string `json:"value"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	return c.changeKV("PUT_KV_CONFIG", in.Value, func(ctx context.Context, ns mq.NameServerAdmin) error {
		return ns.PutKV(ctx, c.path("namespace"), c.path("key"), in.Value)
	})
}

func deleteKV(c *call) (any, error) {
	return c.changeKV("DELETE_KV_CONFIG", "", func(ctx context.Context, ns mq.NameServerAdmin) error {
		return ns.DeleteKV(ctx, c.path("namespace"), c.path("key"))
	})
}
