package admin

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// target is one broker that a command works on.
type target struct {
	addr   string
	id     int64
	set    mq.BrokerSet // empty when the address was given
	broker mq.RemoteBroker
}

func (c *Call) info() (mq.ClusterInfo, error) { return c.NameServer("").ClusterInfo(c.Ctx) }

// inCluster returns the broker sets of a cluster, "" = of all; a name that nobody knows is an error.
func (c *Call) inCluster(cluster string) ([]mq.BrokerSet, error) {
	info, err := c.info()
	if err != nil {
		return nil, err
	}
	if _, ok := info.Clusters[cluster]; cluster != "" && !ok {
		known := strings.Join(slices.Sorted(maps.Keys(info.Clusters)), ", ")
		return nil, errors.New("cluster " + cluster + " is not known to the name server; it knows: " + known)
	}
	return info.In(cluster), nil
}

// targets are the brokers that -b or -c mean: masters only, unless all.
func (c *Call) targets(all bool) ([]target, error) {
	if addr := c.Str("b"); addr != "" {
		return []target{{addr: addr, broker: c.Broker(addr)}}, nil
	}
	if !c.Has("c") {
		return nil, usage("%s: one of -b, -c is needed", c.cmd.Name)
	}
	return c.clusterTargets(c.Str("c"), all)
}

func (c *Call) clusterTargets(cluster string, all bool) ([]target, error) {
	sets, err := c.inCluster(cluster)
	if err != nil {
		return nil, err
	}
	var out []target
	for _, s := range sets {
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			if id == 0 || all {
				out = append(out, target{s.Addrs[id], id, s, c.Broker(s.Addrs[id])})
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("cluster " + cluster + " has no master broker")
	}
	return out, nil
}

// holders are the brokers that have a topic, the master of each set or else whoever is left, with the route.
func (c *Call) holders(topic string) (mq.Route, []target, error) {
	route, err := c.NameServer("").Route(c.Ctx, topic)
	if err != nil {
		return route, nil, err
	}
	var out []target
	for _, s := range route.Brokers {
		if addr := s.Any(); addr != "" {
			out = append(out, target{addr: addr, set: s, broker: c.Broker(addr)})
		}
	}
	slices.SortFunc(out, func(a, b target) int { return strings.Compare(a.set.Name, b.set.Name) })
	if len(out) == 0 {
		return route, nil, errors.New("no broker of topic " + topic + " is alive")
	}
	return route, out, nil
}

// Topics that brokers make for a group.
const (
	retryPrefix = "%RETRY%"
	dlqPrefix   = "%DLQ%"
)
