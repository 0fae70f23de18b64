package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func groupCommands() []Command {
	ofGroup := need("g", "groupName", "consumer group")
	consumers := need("g", "consumerGroup", "consumer group")
	return []Command{
		{
			Name: "updateSubGroup", About: "Create or update a consumer group", Changes: true, Run: updateSubGroup,
			Flags: []Flag{
				toBroker, toCluster, ofGroup, opt("s", "consumeEnable", "may consume"),
				opt("m", "consumeFromMinEnable", "new consumers may begin at the first message"), opt("d", "consumeBroadcastEnable", "may broadcast"),
				opt("o", "consumeMessageOrderly", "in order"), opt("q", "retryQueueNums", "queues of the retry topic").num(32),
				opt("r", "retryMaxTimes", "attempts before a message is a dead letter").num(32),
				opt("p", "groupRetryPolicy", "JSON of Java's GroupRetryPolicy"), opt("i", "brokerId", "id of the broker to consume from").num(64),
				opt("w", "whichBrokerWhenConsumeSlowly", "id of the broker for slow consumers").num(64),
				opt("a", "notifyConsumerIdsChanged", "tell members when members change"), opt("", "attributes", "attributes: +a=b,+c=d,-e"),
			},
		},
		{
			Name: "updateSubGroupList", About: "Create or update the consumer groups of a file", Changes: true, OneOf: either, Run: updateSubGroupList,
			Flags: []Flag{toBroker, toCluster, need("f", "filename", "JSON list of Java's SubscriptionGroupConfig")},
		},
		{
			Name: "deleteSubGroup", About: "Delete a consumer group", Changes: true, Destroys: true, Run: deleteSubGroup,
			Flags: []Flag{toBroker, toCluster, ofGroup, opt("r", "removeOffset", "with its positions and its retry and dead letter topics, true or false")},
		},
		{
			Name: "setConsumeMode", About: "Have a group pull or pop", Changes: true, Run: setConsumeMode,
			Flags: []Flag{
				toBroker, toCluster, need("t", "topicName", "topic name"), ofGroup, need("m", "mode", "PULL or POP"),
				opt("q", "popShareQueueNum", "queues that a client shares").num(32),
			},
		},
		{Name: "getConsumerConfig", About: "The configuration of a consumer group on all brokers", Flags: []Flag{ofGroup}, Run: getConsumerConfig},
		{
			Name: "consumerProgress", About: "How far consumer groups are", Run: consumerProgress,
			Flags: []Flag{
				opt("g", "groupName", "consumer group, default: a line for each of all"), opt("t", "topicName", "only this topic"),
				opt("s", "showClientIP", "show who has which queue, true or false"), opt("c", "cluster", "topic whose route is used, for light queues"),
			},
		},
		{
			Name: "consumerConnection", About: "Who consumes for a group", Run: consumerConnection,
			Flags: []Flag{consumers, opt("b", "brokerAddr", "ask this broker")},
		},
		{
			Name: "producerConnection", About: "Who produces for a group", Run: producerConnection,
			Flags: []Flag{need("g", "producerGroup", "producer group"), ofTopic},
		},
		{
			Name: "producer", About: "All producers of a broker", Run: allProducers, Flags: []Flag{need("b", "broker", "the broker's address")},
		},
	}
}

func updateSubGroup(c *Call) error {
	attrs, err := attributes(c.Str("attributes"))
	if err != nil {
		return err
	}
	g := mq.DefaultGroupConfig(c.Str("g"))
	g.ConsumeEnable = c.Bool("s", true)
	g.ConsumeFromMinEnable, g.ConsumeBroadcastEnable = c.Bool("m", false), c.Bool("d", false)
	g.ConsumeMessageOrderly = c.Bool("o", false)
	g.RetryQueues, g.RetryMaxTimes = c.Int32("q", g.RetryQueues), c.Int32("r", g.RetryMaxTimes)
	g.BrokerID, g.WhichBrokerWhenSlow = c.Int("i", g.BrokerID), c.Int("w", g.WhichBrokerWhenSlow)
	g.NotifyConsumerIDsChanged = c.Bool("a", true)
	g.Attributes = attrs
	if p := c.Str("p"); p != "" {
		if !json.Valid([]byte(p)) {
			return usage("updateSubGroup: -p is no JSON: %s", p)
		}
		g.RetryPolicy = []byte(p)
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	done := 0
	for _, to := range targets {
		if c.Change(func() error { return to.broker.PutGroup(c.Ctx, g) }, "create or update group %s on %s: %s", g.Name, to.addr, groupText(&g)) {
			c.Say("create subscription group to %s success.\n", to.addr)
			done++
		}
	}
	if done > 0 {
		c.Only(groupValue(&g), "%s\n", groupText(&g))
	}
	return nil
}

// groupJSON is Java's SubscriptionGroupConfig. Pointers have defaults other than zero.
type groupJSON struct {
	Name      string            `json:"groupName"`
	Enable    *bool             `json:"consumeEnable"`
	FromMin   *bool             `json:"consumeFromMinEnable"`
	Broadcast *bool             `json:"consumeBroadcastEnable"`
	Orderly   bool              `json:"consumeMessageOrderly"`
	Queues    *int32            `json:"retryQueueNums"`
	Times     *int32            `json:"retryMaxTimes"`
	Policy    json.RawMessage   `json:"groupRetryPolicy,omitempty"`
	BrokerID  int64             `json:"brokerId"`
	Slow      *int64            `json:"whichBrokerWhenConsumeSlowly"`
	Notify    *bool             `json:"notifyConsumerIdsChangedEnable"`
	SysFlag   int32             `json:"groupSysFlag"`
	Timeout   *int32            `json:"consumeTimeoutMinute"`
	Attrs     map[string]string `json:"attributes"`
}

func groupValue(g *mq.GroupConfig) groupJSON {
	return groupJSON{
		g.Name, &g.ConsumeEnable, &g.ConsumeFromMinEnable, &g.ConsumeBroadcastEnable, g.ConsumeMessageOrderly, &g.RetryQueues, &g.RetryMaxTimes,
		g.RetryPolicy, g.BrokerID, &g.WhichBrokerWhenSlow, &g.NotifyConsumerIDsChanged, g.SysFlag, &g.ConsumeTimeoutMinutes, g.Attributes,
	}
}

func (j *groupJSON) config() mq.GroupConfig {
	g := mq.DefaultGroupConfig(j.Name)
	into(&g.ConsumeEnable, j.Enable)
	into(&g.ConsumeFromMinEnable, j.FromMin)
	into(&g.ConsumeBroadcastEnable, j.Broadcast)
	into(&g.RetryQueues, j.Queues)
	into(&g.RetryMaxTimes, j.Times)
	into(&g.WhichBrokerWhenSlow, j.Slow)
	into(&g.NotifyConsumerIDsChanged, j.Notify)
	into(&g.ConsumeTimeoutMinutes, j.Timeout)
	g.ConsumeMessageOrderly, g.BrokerID, g.SysFlag, g.Attributes, g.RetryPolicy = j.Orderly, j.BrokerID, j.SysFlag, j.Attrs, j.Policy
	return g
}

func into[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func updateSubGroupList(c *Call) error {
	data, err := c.env.ReadFile(c.Str("f"))
	if err != nil {
		return err
	}
	var list []groupJSON
	if err = json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("%s is no list of groups: %w", c.Str("f"), err)
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, to := range targets {
		for i := range list {
			c.working("groups", i, len(list))
			g := list[i].config()
			c.Change(func() error { return to.broker.PutGroup(c.Ctx, g) }, "create or update group %s on %s", g.Name, to.addr)
		}
		if !c.Has("dry-run") && len(c.errs) == 0 {
			c.Row(map[string]any{"addr": to.addr, "groups": len(list)}, "submit batch of subscription group config to %s success, please check the result later.\n", to.addr)
		}
	}
	return nil
}

func deleteSubGroup(c *Call) error {
	group, with := c.Str("g"), c.Bool("r", false)
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, to := range targets {
		if !c.Change(func() error { return to.broker.DeleteGroup(c.Ctx, group, with) }, "delete group %s from %s", group, to.addr) {
			continue
		}
		v := map[string]string{"deleted": group, "addr": to.addr}
		if c.Has("b") {
			c.Row(v, "delete subscription group [%s] from broker [%s] success.\n", group, to.addr)
		} else {
			c.Row(v, "delete subscription group [%s] from broker [%s] in cluster [%s] success.\n", group, to.addr, c.Str("c"))
		}
	}
	if with && c.Has("c") {
		return errors.Join(c.dropTopic(retryPrefix+group, c.Str("c")), c.dropTopic(dlqPrefix+group, c.Str("c")))
	}
	return nil
}

func setConsumeMode(c *Call) error {
	mode := strings.ToUpper(c.Str("m"))
	if mode != "PULL" && mode != "POP" {
		return usage("setConsumeMode: -m %q: want PULL or POP", c.Str("m"))
	}
	topic, group, share := c.Str("t"), c.Str("g"), c.Int32("q", 0)
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, to := range targets {
		if c.Change(func() error { return to.broker.SetConsumeMode(c.Ctx, topic, group, mode, share) }, "have group %s %s topic %s on %s", group, mode, topic, to.addr) {
			c.Row(map[string]any{"addr": to.addr, "topic": topic, "group": group, "mode": mode, "popShareQueueNum": share},
				"set consume mode to %s success.\ntopic[%s] group[%s] consume mode[%s] popShareQueueNum[%d]\n", to.addr, topic, group, mode, share)
		}
	}
	return nil
}

func getConsumerConfig(c *Call) error {
	group := c.Str("g")
	sets, err := c.inCluster("")
	if err != nil {
		return err
	}
	found := false
	for _, s := range sets {
		addr := s.Any()
		all, _, err := c.Broker(addr).Groups(c.Ctx) // asking for the one group would create it
		if err != nil {
			c.Failed(err)
			continue
		}
		i := slices.IndexFunc(all, func(g mq.GroupConfig) bool { return g.Name == group })
		if i < 0 {
			continue
		}
		g := all[i]
		found = true
		subs := ""
		if g.SubscriptionData != nil {
			subs = string(g.SubscriptionData)
		}
		c.Row(struct {
			Cluster string    `json:"cluster"`
			Broker  string    `json:"broker"`
			Config  groupJSON `json:"config"`
		}{s.Cluster, s.Name, groupValue(&g)}, "=============================%s:%s=============================\n", s.Cluster, s.Name)
		for _, kv := range [][2]string{
			{"groupName", g.Name},
			{"consumeEnable", strconv.FormatBool(g.ConsumeEnable)},
			{"consumeFromMinEnable", strconv.FormatBool(g.ConsumeFromMinEnable)},
			{"consumeBroadcastEnable", strconv.FormatBool(g.ConsumeBroadcastEnable)},
			{"consumeMessageOrderly", strconv.FormatBool(g.ConsumeMessageOrderly)},
			{"retryQueueNums", strconv.Itoa(int(g.RetryQueues))},
			{"retryMaxTimes", strconv.Itoa(int(g.RetryMaxTimes))},
			{"groupRetryPolicy", policyText(g.RetryPolicy)},
			{"brokerId", strconv.FormatInt(g.BrokerID, 10)},
			{"whichBrokerWhenConsumeSlowly", strconv.FormatInt(g.WhichBrokerWhenSlow, 10)},
			{"notifyConsumerIdsChangedEnable", strconv.FormatBool(g.NotifyConsumerIDsChanged)},
			{"groupSysFlag", strconv.Itoa(int(g.SysFlag))},
			{"consumeTimeoutMinute", strconv.Itoa(int(g.ConsumeTimeoutMinutes))},
			{"subscriptionDataSet", subs},
			{"attributes", mapText(g.Attributes)},
		} {
			c.Say("%-40s=  %s\n", kv[0], kv[1])
		}
	}
	if !found && len(c.errs) == 0 {
		return errors.New("no broker has group " + group)
	}
	return nil
}
