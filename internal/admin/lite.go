package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// liteCommands are about light topics, which brokers of Java 5.5 may have. A broker without them says that it does not know the request.
func liteCommands() []Command {
	parent, group := need("p", "parentTopic", "parent topic"), need("g", "group", "consumer group")
	return []Command{
		{
			Name: "getBrokerLiteInfo", About: "What brokers have of light topics", OneOf: either, Run: liteBroker,
			Flags: []Flag{toBroker, opt("c", "cluster", "all masters of this cluster"), flag("d", "showDetail", "with the topics and their groups")},
		},
		{Name: "getParentTopicInfo", About: "The light topics of a parent topic, by broker", Flags: []Flag{parent}, Run: liteParent},
		{
			Name: "getLiteTopicInfo", About: "A light topic, by broker", Run: liteTopic,
			Flags: []Flag{parent, need("l", "liteTopic", "light topic"), flag("s", "showClientId", "with the subscribed clients")},
		},
		{
			Name: "getLiteClientInfo", About: "The light topics of a client, by broker", Run: liteClient,
			Flags: []Flag{parent, group, need("c", "clientId", "client id"), flag("s", "showDetail", "with the topics")},
		},
		{
			Name: "getLiteGroupInfo", About: "How far a group is behind in light topics", Run: liteGroup,
			Flags: []Flag{parent, group, opt("l", "liteTopic", "only this light topic"), opt("k", "topK", "how many of each broker, default 20").num(32)},
		},
		{
			Name: "triggerLiteDispatch", About: "Have a group look for messages of light topics again", Changes: true, Run: liteTrigger,
			Flags: []Flag{parent, group, opt("c", "clientId", "only this client"), opt("b", "brokerName", "only at this broker")},
		},
	}
}

func liteBroker(c *Call) error {
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	const row = "%-30s %-17s %-10s %-14s %-20s %-17s %-15s %-18s %-15s\n"
	c.Say(row, "#Broker", "#Store Type", "#Max LMQ", "#Current LMQ", "#SubscriptionCount", "#OrderInfoCount", "#CQTableSize", "#OffsetTableSize", "#eventMapSize")
	for _, t := range targets {
		b, err := t.broker.LiteBroker(c.Ctx)
		if err != nil {
			c.Failed(err)
			continue
		}
		n := func(v int32) string { return strconv.Itoa(int(v)) }
		c.Row(struct {
			Addr string `json:"addr"`
			mq.LiteBroker
		}{t.addr, b}, row, t.addr, b.StoreType, n(b.MaxTopics), n(b.Topics), n(b.Subscriptions), n(b.OrderInfos), n(b.Queues), n(b.Positions), n(b.ClientsWaiting))
		if c.Has("d") || c.Wide() {
			topics, _ := json.Marshal(b.Parents)
			groups, _ := json.Marshal(b.Groups)
			c.Say("Topic Meta: %s\nGroup Meta: %s\n\n", topics, groups)
		}
	}
	return nil
}

// perBroker asks each broker of a parent topic. One that fails has a line in the table, as in Java, and the exit code tells.
func (c *Call) perBroker(parent, title string, ask func(t *target) error) error {
	_, holders, err := c.holders(parent)
	if err != nil {
		return err
	}
	c.Say("%s", title)
	for i := range holders {
		if err := ask(&holders[i]); err != nil {
			c.Say("[%s] error.\n", holders[i].set.Name)
			c.Failed(err)
		}
	}
	return nil
}

// listText is how Java prints a list.
func listText(list []string) string { return "[" + strings.Join(list, ", ") + "]" }

func liteParent(c *Call) error {
	parent := c.Str("p")
	const row = "%-50s %-8s %-14s %-14s %-100s \n"
	title := fmt.Sprintf("Parent Topic Info: [%s]\n"+row, parent, "#Broker Name", "#TTL", "#Lite Count", "#LMQ NUM", "#GROUPS")
	return c.perBroker(parent, title, func(t *target) error {
		p, err := t.broker.LiteParent(c.Ctx, parent)
		if err == nil {
			c.Row(struct {
				Broker string `json:"broker"`
				mq.LiteParent
			}{t.set.Name, p}, row, cut(t.set.Name, 40), strconv.Itoa(int(p.TTL)), strconv.Itoa(int(p.Topics)), strconv.Itoa(int(p.Queues)), listText(p.Groups))
		}
		return err
	})
}

// timeOr is a time, or what stands for none.
func timeOr(ms int64, none string) string {
	if ms <= 0 {
		return none
	}
	return millis(ms)
}

func liteTopic(c *Call) error {
	parent, lite := c.Str("p"), c.Str("l")
	const row = "%-50s %-14s %-14s %-30s %-12s %-18s \n"
	title := fmt.Sprintf("Lite Topic Info: [%s] [%s] [%s]\n"+row, parent, lite, "%LMQ%$"+parent+"$"+lite, "#Broker Name", "#MinOffset", "#MaxOffset", "#LastUpdate",
		"#Sharding", "#SubClientCount")
	return c.perBroker(parent, title, func(t *target) error {
		l, err := t.broker.LiteTopic(c.Ctx, parent, lite)
		if err != nil {
			return err
		}
		c.Row(struct {
			Broker string `json:"broker"`
			mq.LiteTopic
		}{t.set.Name, l}, row, cut(t.set.Name, 40), strconv.FormatInt(int64(l.Min), 10), strconv.FormatInt(int64(l.Max), 10), timeOr(l.LastUpdate, "-"),
			strconv.FormatBool(l.Here), strconv.Itoa(len(l.Subscribers)))
		if c.Has("s") || c.Wide() {
			list := make([]string, len(l.Subscribers))
			for i, s := range l.Subscribers {
				list[i] = s.Client + "@" + s.Group
			}
			c.Say("%s\n", listText(list))
		}
		return nil
	})
}

func liteClient(c *Call) error {
	parent, group, client := c.Str("p"), c.Str("g"), c.Str("c")
	const row = "%-30s %-20s %-30s %-30s \n"
	title := fmt.Sprintf("Lite Client Info: [%s] [%s] [%s]\n"+row, parent, group, client, "#Broker", "#LiteTopicCount", "#LastAccessTime", "#LastConsumeTime")
	return c.perBroker(parent, title, func(t *target) error {
		l, err := t.broker.LiteClient(c.Ctx, parent, group, client)
		if err != nil {
			return err
		}
		count := "N/A"
		if l.Count > 0 {
			count = strconv.Itoa(int(l.Count))
		}
		c.Row(struct {
			Broker string `json:"broker"`
			mq.LiteClient
		}{t.set.Name, l}, row, t.set.Name, count, timeOr(l.LastAccess, "N/A"), timeOr(l.LastConsume, "N/A"))
		if (c.Has("s") || c.Wide()) && l.Topics != nil {
			c.Say("Lite Topics: %s\n\n", listText(l.Topics))
		}
		return nil
	})
}

func liteGroup(c *Call) error {
	parent, group, lite := c.Str("p"), c.Str("g"), c.Str("l")
	const row = "%-50s %-16s %-16s %-16s %-30s\n"
	title := fmt.Sprintf("Lite Group Info: [%s] [%s]\n", group, parent)
	if lite != "" {
		title += fmt.Sprintf(row, "#Broker Name", "#BrokerOffset", "#ConsumeOffset", "#LagCount", "#LastUpdate")
	}
	now := c.env.Now().UnixMilli()
	behind, earliest := int64(0), now
	var most, earlier []mq.LiteLag
	err := c.perBroker(parent, title, func(t *target) error {
		g, err := t.broker.LiteGroup(c.Ctx, group, lite, c.Int32("k", 20))
		if err != nil {
			return err
		}
		c.rows = append(c.rows, struct {
			Broker string `json:"broker"`
			mq.LiteGroup
		}{t.set.Name, g})
		behind += max(g.Behind, 0)
		if g.Earliest > 0 {
			earliest = min(earliest, g.Earliest)
		}
		most, earlier = append(most, g.Most...), append(earlier, g.Earlier...)
		if at := g.Topic; lite != "" && at != nil {
			c.Say(row, t.set.Name, strconv.FormatInt(int64(at.End), 10), strconv.FormatInt(int64(at.Committed), 10), strconv.FormatInt(int64(at.End-at.Committed), 10),
				timeOr(at.LastTime, "-"))
		} else if lite != "" {
			c.Say(row, t.set.Name, "-", "-", "-", "-")
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.Say("Total Lag Count: %d\nMin Unconsumed Timestamp: %d (%d s ago)\n\n", behind, earliest, (now-earliest)/1000)
	if lite != "" {
		return nil
	}
	slices.SortStableFunc(most, func(a, b mq.LiteLag) int { return cmp.Compare(b.Behind, a.Behind) })
	slices.SortStableFunc(earlier, func(a, b mq.LiteLag) int { return cmp.Compare(a.Earliest, b.Earliest) })
	for i, list := range [][]mq.LiteLag{most, earlier} {
		c.Say("%s%-6s %-40s %-12s %-30s\n", []string{"------TopK by lag count-----\n", "\n------TopK by lag time------\n"}[i], "NO", "Lite Topic", "Lag Count",
			"UnconsumedTimestamp")
		for k, l := range list {
			c.Say("%-6d %-40s %-12d %-30s\n", k+1, l.Topic, l.Behind, timeOr(l.Earliest, "-"))
		}
	}
	return nil
}

func liteTrigger(c *Call) error {
	parent, group := c.Str("p"), c.Str("g")
	title := fmt.Sprintf("Group And Topic Info: [%s] [%s]\n\n", group, parent)
	return c.perBroker(parent, title, func(t *target) error {
		if b := c.Str("b"); b != "" && b != t.set.Name {
			return nil
		}
		done := c.Change(func() error { return t.broker.TriggerLite(c.Ctx, group, c.Str("c")) }, "have group %s look for messages at %s", group, t.set.Name)
		if done {
			c.Row(map[string]string{"broker": t.set.Name, "state": "dispatched"}, "%-30s %-12s\n", t.set.Name, "dispatched")
		} else if !c.Has("dry-run") {
			c.Say("%-30s %-12s\n", t.set.Name, "error")
		}
		return nil
	})
}
