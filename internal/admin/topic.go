package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func topicCommands() []Command {
	return []Command{
		{
			Name: "updateTopic", About: "Create or update a topic", Changes: true, OneOf: either, Run: updateTopic,
			Flags: []Flag{
				toBroker, toCluster, ofTopic, opt("a", "attributes", "attributes: +a=b,+c=d,-e"),
				opt("r", "readQueueNums", "queues to read, default 8").num(32), opt("w", "writeQueueNums", "queues to write, default 8").num(32),
				opt("p", "perm", "permission: 2 write, 4 read, 6 both (the default)").num(32), opt("o", "order", "ordered topic, true or false"),
				opt("u", "unit", "unit topic, true or false"), opt("s", "hasUnitSub", "has unit subscriptions, true or false"),
			},
		},
		{
			Name: "updateTopicList", About: "Create or update the topics of a file", Changes: true, OneOf: either, Run: updateTopicList,
			Flags: []Flag{toBroker, toCluster, need("f", "filename", "JSON list of Java's TopicConfig")},
		},
		{
			Name: "deleteTopic", About: "Delete a topic from brokers and name servers", Changes: true, Destroys: true, Run: deleteTopic,
			Flags: []Flag{ofTopic, need("c", "clusterName", "delete it from this cluster")},
		},
		{
			Name: "updateTopicPerm", About: "Change the permission of a topic", Changes: true, OneOf: either, Run: updateTopicPerm,
			Flags: []Flag{toBroker, toCluster, ofTopic, need("p", "perm", "2 write, 4 read, 6 both").num(32)},
		},
		{
			Name: "topicRoute", About: "Where the queues of a topic are", Run: topicRoute,
			Flags: []Flag{ofTopic, flag("l", "list", "as a table")},
		},
		{
			Name: "topicStatus", About: "Positions of the queues of a topic", Run: topicStatus,
			Flags: []Flag{ofTopic, opt("c", "cluster", "topic whose route is used, for light queues")},
		},
		{Name: "topicClusterList", About: "Which clusters have a topic", Flags: []Flag{ofTopic}, Run: topicClusterList},
		{
			Name: "topicList", About: "List all topics", Run: topicList,
			Flags: []Flag{flag("c", "clusterModel", "with clusters and consumer groups")},
		},
		{
			Name: "updateOrderConf", About: "Read, write or delete the order configuration of a topic", Changes: true, Run: updateOrderConf,
			Flags: []Flag{ofTopic, opt("v", "orderConf", "broker1:queues;broker2:queues"), need("m", "method", "put, get or delete")},
		},
		{
			Name: "allocateMQ", About: "How queues would be given to consumers", Run: allocateMQ,
			Flags: []Flag{ofTopic, need("i", "ipList", "consumers' addresses, with commas")},
		},
	}
}

// orderSpace is the name servers' namespace of order configurations.
const orderSpace = "ORDER_TOPIC_CONFIG"

func updateTopic(c *Call) error {
	attrs, err := attributes(c.Str("a"))
	if err != nil {
		return err
	}
	t := mq.TopicConfig{
		Name: c.Str("t"), ReadQueues: c.Int32("r", 8), WriteQueues: c.Int32("w", 8), Perm: mq.Perm(c.Int32("p", 6)), Order: c.Bool("o", false),
		Filter: "SINGLE_TAG", Attributes: attrs,
	}
	if c.Bool("u", false) {
		t.SysFlag |= 1
	}
	if c.Bool("s", false) {
		t.SysFlag |= 2
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	done := 0
	for _, to := range targets {
		if c.Change(func() error { return to.broker.PutTopic(c.Ctx, t) }, "create or update topic %s on %s: %s", t.Name, to.addr, topicText(&t)) {
			c.Say("create topic to %s success.\n", to.addr)
			done++
		}
	}
	if c.Has("dry-run") {
		return nil
	}
	if t.Order && done > 0 {
		if err := c.orderTopic(&t, targets); err != nil {
			return err
		}
	}
	if done > 0 {
		c.Only(topicValue(&t), "%s\n", topicText(&t))
	}
	return nil
}

// orderTopic tells the name servers how many queues which broker has, for clients of ordered topics.
func (c *Call) orderTopic(t *mq.TopicConfig, targets []target) error {
	var conf []string
	for _, to := range targets {
		name := to.set.Name
		if name == "" {
			info, err := c.info()
			if err != nil {
				return err
			}
			for _, s := range info.In("") {
				if slices.Contains(slices.Collect(maps.Values(s.Addrs)), to.addr) {
					name = s.Name
				}
			}
			if name == "" {
				return errors.New("broker " + to.addr + " is not known to the name server: no order configuration was written")
			}
		}
		conf = append(conf, fmt.Sprintf("%s:%d", name, t.WriteQueues))
	}
	where := "cluster"
	if c.Has("b") { // one broker of several: the others stay
		where = "broker"
		old, err := c.NameServer("").KV(c.Ctx, orderSpace, t.Name)
		if err != nil && mq.KindOf(err) != mq.KindQueryNotFound {
			return err
		}
		name, _, _ := strings.Cut(conf[0], ":")
		for part := range strings.SplitSeq(old, ";") {
			if part != "" && !strings.HasPrefix(part, name+":") {
				conf = append(conf, part)
			}
		}
	}
	slices.Sort(conf)
	text := strings.Join(conf, ";")
	if err := c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.PutKV(c.Ctx, orderSpace, t.Name, text) }); err != nil {
		return err
	}
	c.Say("set %s orderConf. isOrder=%t, orderConf=[%s]\n", where, t.Order, text)
	return nil
}

// everyNameServer does something at each of them, and does not stop at the first that fails.
func (c *Call) everyNameServer(do func(ns mq.NameServerAdmin) error) error {
	if len(c.NameServers()) == 0 {
		return do(c.NameServer(""))
	}
	var errs []error
	for _, addr := range c.NameServers() {
		errs = append(errs, do(c.NameServer(addr)))
	}
	return errors.Join(errs...)
}

// topicJSON is Java's TopicConfig.
type topicJSON struct {
	Name    string            `json:"topicName"`
	Read    int32             `json:"readQueueNums"`
	Write   int32             `json:"writeQueueNums"`
	Perm    int32             `json:"perm"`
	Filter  string            `json:"topicFilterType"`
	SysFlag int32             `json:"topicSysFlag"`
	Order   bool              `json:"order"`
	Attrs   map[string]string `json:"attributes"`
}

func topicValue(t *mq.TopicConfig) topicJSON {
	return topicJSON{t.Name, t.ReadQueues, t.WriteQueues, int32(t.Perm), t.Filter, t.SysFlag, t.Order, t.Attributes}
}

func updateTopicList(c *Call) error {
	data, err := c.env.ReadFile(c.Str("f"))
	if err != nil {
		return err
	}
	list := []topicJSON{}
	if err = json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("%s is no list of topics: %w", c.Str("f"), err)
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, to := range targets {
		for i, j := range list {
			c.working("topics", i, len(list))
			t := mq.TopicConfig{
				Name: j.Name, ReadQueues: cmp.Or(j.Read, 16), WriteQueues: cmp.Or(j.Write, 16), Perm: mq.Perm(cmp.Or(j.Perm, 6)),
				Filter: cmp.Or(j.Filter, "SINGLE_TAG"), SysFlag: j.SysFlag, Order: j.Order, Attributes: j.Attrs,
			}
			c.Change(func() error { return to.broker.PutTopic(c.Ctx, t) }, "create or update topic %s on %s", t.Name, to.addr)
		}
		if !c.Has("dry-run") && len(c.errs) == 0 {
			c.Row(map[string]any{"addr": to.addr, "topics": len(list)}, "submit batch of topic config to %s success, please check the result later.\n", to.addr)
		}
	}
	return nil
}

func deleteTopic(c *Call) error { return c.dropTopic(c.Str("t"), c.Str("c")) }

// dropTopic deletes a topic from the masters of a cluster and from all name servers, with its order configuration.
func (c *Call) dropTopic(topic, cluster string) error {
	targets, err := c.clusterTargets(cluster, false)
	if err != nil {
		return err
	}
	before := len(c.errs)
	for _, t := range targets {
		c.Change(func() error { return t.broker.DeleteTopic(c.Ctx, topic) }, "delete topic %s from broker %s (%s)", topic, t.set.Name, t.addr)
	}
	if len(c.errs) == before && !c.Has("dry-run") {
		c.Say("delete topic [%s] from cluster [%s] success.\n", topic, cluster)
	}
	ok := c.Change(func() error {
		return c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.DropTopic(c.Ctx, topic, cluster) })
	}, "delete topic %s from name servers %s", topic, strings.Join(c.NameServers(), ", "))
	if !ok {
		return nil
	}
	_ = c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.DeleteKV(c.Ctx, orderSpace, topic) }) // mostly there is none
	c.Row(map[string]string{"deleted": topic, "cluster": cluster}, "delete topic [%s] from NameServer success.\n", topic)
	return nil
}

func updateTopicPerm(c *Call) error {
	topic, perm := c.Str("t"), mq.Perm(c.Int32("p", 0))
	route, err := c.NameServer("").Route(c.Ctx, topic)
	if err != nil {
		return err
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, to := range targets {
		i := slices.IndexFunc(route.Queues, func(q mq.RouteQueues) bool {
			s := route.Set(q.Broker)
			return s != nil && s.Master() == to.addr
		})
		if i < 0 {
			if c.Has("b") {
				return errors.New("broker " + to.addr + " has no queues of the topic, or is not a master")
			}
			continue
		}
		old := route.Queues[i]
		t := mq.TopicConfig{Name: topic, ReadQueues: old.Read, WriteQueues: old.Write, Perm: perm, SysFlag: old.SysFlag, Filter: "SINGLE_TAG"}
		if c.Change(func() error { return to.broker.PutTopic(c.Ctx, t) }, "change the permission of %s on %s from %d to %d", topic, to.addr, old.Perm, perm) {
			c.Row(topicValue(&t), "update topic perm from %d to %d in %s success.\n", old.Perm, perm, to.addr)
			if c.Has("b") {
				c.Say("%s.\n", topicText(&t))
			}
		}
	}
	return nil
}

func topicClusterList(c *Call) error {
	list, err := c.clustersOf(c.Str("t"))
	for _, name := range list {
		c.Row(name, "%s\n", name)
	}
	return err
}

func topicList(c *Call) error {
	topics, err := c.NameServer("").Topics(c.Ctx)
	if err != nil {
		return err
	}
	slices.Sort(topics)
	if !c.Has("c") {
		for _, t := range topics {
			c.Row(t, "%s\n", t)
		}
		return nil
	}
	c.Say("%-20s  %-48s  %-48s\n", "#Cluster Name", "#Topic", "#Consumer Group")
	for i, t := range topics {
		c.working("topics", i, len(topics))
		if strings.HasPrefix(t, retryPrefix) || strings.HasPrefix(t, dlqPrefix) {
			continue
		}
		route, holders, err := c.holders(t)
		if err != nil {
			c.Failed(err)
			continue
		}
		groups, err := holders[0].broker.TopicConsumers(c.Ctx, t)
		if err != nil {
			c.Failed(err)
		}
		cluster := cut(route.Brokers[0].Cluster, 20)
		if len(groups) == 0 {
			groups = []string{""}
		}
		for _, g := range groups {
			c.Row(map[string]string{"cluster": cluster, "topic": t, "group": g}, "%-20s  %-64s  %-64s\n", cluster, cut(t, 64), cut(g, 64))
		}
	}
	return nil
}

func updateOrderConf(c *Call) error {
	topic, conf := c.Str("t"), c.Str("v")
	switch c.Str("m") {
	case "get":
		v, err := c.NameServer("").KV(c.Ctx, orderSpace, topic)
		if err != nil {
			return err
		}
		c.Only(map[string]string{"topic": topic, "orderConf": v}, "get orderConf success. topic=[%s], orderConf=[%s] \n", topic, v)
	case "put":
		if conf == "" {
			return usage("updateOrderConf: -v is needed with -m put")
		}
		if c.Change(func() error {
			return c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.PutKV(c.Ctx, orderSpace, topic, conf) })
		}, "write the order configuration %s of %s", conf, topic) {
			c.Only(map[string]string{"topic": topic, "orderConf": conf}, "update orderConf success. topic=[%s], orderConf=[%s]\n", topic, conf)
		}
	case "delete":
		if c.Change(func() error {
			return c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.DeleteKV(c.Ctx, orderSpace, topic) })
		}, "delete the order configuration of %s", topic) {
			c.Only(map[string]string{"topic": topic}, "delete orderConf success. topic=[%s]\n", topic)
		}
	default:
		return usage("updateOrderConf: -m %q: want put, get or delete", c.Str("m"))
	}
	return nil
}

// allocateMQ gives queues to consumers as Java's AllocateMessageQueueAveragely does.
func allocateMQ(c *Call) error {
	route, err := c.NameServer("").Route(c.Ctx, c.Str("t"))
	if err != nil {
		return err
	}
	type queue struct {
		Broker string `json:"brokerName"`
		ID     int32  `json:"queueId"`
		Topic  string `json:"topic"`
	}
	var queues []queue
	for _, q := range route.Queues {
		for i := range q.Read {
			queues = append(queues, queue{q.Broker, i, c.Str("t")})
		}
	}
	slices.SortFunc(queues, func(a, b queue) int { return compareQueues(a.Topic, b.Topic, a.Broker, b.Broker, a.ID, b.ID) })
	var clients []string
	for ip := range strings.SplitSeq(c.Str("i"), ",") {
		clients = append(clients, strings.TrimSpace(ip))
	}
	slices.Sort(clients)
	result := map[string][]queue{}
	for i, cl := range clients {
		n, rest := len(queues)/len(clients), len(queues)%len(clients)
		from := i*n + min(i, rest)
		if i < rest {
			n++
		}
		result[cl] = append([]queue{}, queues[from:from+n]...)
	}
	b, err := json.Marshal(map[string]any{"result": result})
	if err != nil {
		return err
	}
	c.Only(result, "%s\n", b)
	return nil
}
