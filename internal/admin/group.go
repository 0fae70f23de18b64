package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
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

// groupHolders are the brokers that know a group: those of its retry topic, or all of them when it has none.
func (c *Call) groupHolders(group string) ([]target, error) {
	_, list, err := c.holders(retryPrefix + group)
	return list, err
}

// groupProgress asks all brokers of a group and joins what they say. It is empty when nobody has positions.
func (c *Call) groupProgress(group, topic string, holders []target) (rows []progressRow, tps float64) {
	for _, h := range holders {
		st, err := h.broker.ConsumeStats(c.Ctx, group, topic, nil)
		if err != nil {
			c.Failed(err)
			continue
		}
		tps += st.TPS
		rows = append(rows, c.progress(group, st.Queues)...)
	}
	slices.SortFunc(rows, func(a, b progressRow) int {
		return compareQueues(a.Topic, b.Topic, a.Broker, b.Broker, a.Queue, b.Queue)
	})
	return rows, tps
}

func consumerProgress(c *Call) error {
	if !c.Has("g") {
		return allProgress(c)
	}
	group := c.Str("g")
	var holders []target
	var err error
	if via := c.Str("c"); via != "" {
		_, holders, err = c.holders(via)
	} else {
		holders, err = c.groupHolders(group)
	}
	if err != nil {
		return err
	}
	rows, tps := c.groupProgress(group, c.Str("t"), holders)
	if rows == nil {
		if len(c.errs) > 0 {
			return nil
		}
		return errors.New("Not found the consumer group consume stats, because return offset table is empty, maybe the consumer not online") //nolint:staticcheck // Java's text
	}
	clients := c.Bool("s", false) || c.Wide()
	if clients {
		c.queueOwners(group, holders, rows)
		c.Say("%-64s  %-32s  %-4s  %-20s  %-20s  %-20s %-20s %-20s%s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset",
			"#Client IP", "#Diff", "#Inflight", "#LastTime")
	} else {
		c.Say("%-64s  %-32s  %-4s  %-20s  %-20s  %-20s %-20s%s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", "#Diff",
			"#Inflight", "#LastTime")
	}
	var diff, inflight int64
	for i := range rows {
		r := &rows[i]
		diff, inflight = diff+r.Diff, inflight+r.Inflight
		if clients {
			c.Row(r, "%-64s  %-32s  %-4d  %-20d  %-20d  %-20s %-20d %-20d %s\n", cut(r.Topic, 64), cut(r.Broker, 32), r.Queue, r.End, r.Committed,
				cmp.Or(r.Client, "N/A"), r.Diff, r.Inflight, r.last())
		} else {
			c.Row(r, "%-64s  %-32s  %-4d  %-20d  %-20d  %-20d %-20d %s\n", cut(r.Topic, 64), cut(r.Broker, 32), r.Queue, r.End, r.Committed, r.Diff,
				r.Inflight, r.last())
		}
	}
	c.Say("\nConsume TPS: %.2f\nConsume Diff Total: %d\nConsume Inflight Total: %d\n", tps, diff, inflight)
	return nil
}

// queueOwners fills in which client has which queue, as far as the clients say it.
func (c *Call) queueOwners(group string, holders []target, rows []progressRow) {
	for _, h := range holders {
		g, err := h.broker.Consumers(c.Ctx, group)
		if err != nil {
			continue // nobody is there: the column says N/A
		}
		for _, conn := range g.Connections {
			a, err := h.broker.Ask(c.Ctx, &mq.RunningInfoRequest{Group: group, ClientID: conn.ClientID})
			if err != nil {
				continue
			}
			for _, q := range ownedQueues(a.Body) {
				for i := range rows {
					if rows[i].Topic == q.Topic && rows[i].Broker == q.Broker && rows[i].Queue == q.ID {
						rows[i].Client, _, _ = strings.Cut(conn.ClientID, "@")
					}
				}
			}
		}
	}
}

// ownedQueues reads the queues of a client's running information: the keys of mqTable and mqPopTable are objects, which fastjson
// writes without quotes.
func ownedQueues(body []byte) []mq.Queue {
	var out []mq.Queue
	text := string(body)
	for _, table := range []string{`"mqTable":{`, `"mqPopTable":{`} {
		_, rest, ok := strings.Cut(text, table)
		for ok && strings.HasPrefix(rest, `{"`) {
			var q struct {
				Broker string `json:"brokerName"`
				ID     int32  `json:"queueId"`
				Topic  string `json:"topic"`
			}
			d := json.NewDecoder(strings.NewReader(rest))
			if d.Decode(&q) != nil {
				break
			}
			out = append(out, mq.Queue{Topic: q.Topic, Broker: q.Broker, ID: q.ID})
			rest = strings.TrimPrefix(rest[d.InputOffset():], ":")
			d = json.NewDecoder(strings.NewReader(rest))
			var skip json.RawMessage
			if d.Decode(&skip) != nil {
				break
			}
			rest = strings.TrimPrefix(rest[d.InputOffset():], ",")
		}
	}
	return out
}

// groupRow is one line of consumerProgress without -g.
type groupRow struct {
	Group   string `json:"group"`
	Count   int    `json:"count"`
	Version string `json:"version"`
	Type    string `json:"type"`
	Model   string `json:"model"`
	TPS     int64  `json:"tps"`
	Diff    int64  `json:"diff"`
}

// describe fills in who consumes: nobody is no error.
func (r *groupRow) describe(g *mq.ConsumerGroup) {
	r.Version = "OFFLINE"
	if r.Count = len(g.Connections); r.Count == 0 {
		return
	}
	low := g.Connections[0].Version
	for _, conn := range g.Connections {
		low = min(low, conn.Version)
	}
	r.Version, r.Type = mq.VersionName(low), "PUSH"
	if g.Type == mq.ConsumeActively {
		r.Type = "PULL"
	}
	if g.Type == mq.ConsumePassively {
		r.Model = model(g)
	}
}

func model(g *mq.ConsumerGroup) string {
	if g.Broadcast {
		return "BROADCASTING"
	}
	return "CLUSTERING"
}

func allProgress(c *Call) error {
	topics, err := c.NameServer("").Topics(c.Ctx)
	if err != nil {
		return err
	}
	slices.Sort(topics)
	c.Say("%-64s  %-6s  %-24s %-5s  %-14s  %-7s  %s\n", "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS", "#Diff Total")
	for _, t := range topics {
		group, ok := strings.CutPrefix(t, retryPrefix)
		if !ok {
			continue
		}
		holders, err := c.groupHolders(group)
		if err != nil {
			c.Failed(err)
			continue
		}
		rows, tps := c.groupProgress(group, "", holders)
		r := groupRow{Group: group, TPS: int64(tps)}
		for i := range rows {
			r.Diff += rows[i].Diff
		}
		g, err := holders[0].broker.Consumers(c.Ctx, group)
		if err != nil && mq.KindOf(err) != mq.KindConsumerNotOnline {
			c.Failed(err)
		}
		r.describe(&g)
		c.Row(r, "%-64s  %-6d  %-24s %-5s  %-14s  %-7d  %d\n", cut(group, 64), r.Count, r.Version, r.Type, r.Model, r.TPS, r.Diff)
	}
	return nil
}

// connRow is one connection.
type connRow struct {
	Client   string `json:"clientId"`
	Addr     string `json:"clientAddr"`
	Language string `json:"language"`
	Version  string `json:"version"`
}

func connRows(list []mq.Connection) []connRow {
	out := make([]connRow, 0, len(list))
	for _, conn := range list {
		out = append(out, connRow{conn.ClientID, remoteText(conn.Remote), conn.Language, mq.VersionName(conn.Version)})
	}
	slices.SortFunc(out, func(a, b connRow) int { return strings.Compare(a.Client, b.Client) })
	return out
}

func remoteText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func consumerConnection(c *Call) error {
	group := c.Str("g")
	var g mq.ConsumerGroup
	err := errors.New("no broker knows group " + group)
	if addr := c.Str("b"); addr != "" {
		g, err = c.Broker(addr).Consumers(c.Ctx, group)
	} else {
		holders, routeErr := c.groupHolders(group)
		if routeErr != nil {
			return routeErr
		}
		for _, h := range holders { // a consumer is connected to all of them: the first that knows it is enough
			if g, err = h.broker.Consumers(c.Ctx, group); err == nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	slices.SortFunc(g.Subscriptions, func(a, b mq.Subscription) int { return strings.Compare(a.Topic, b.Topic) })
	type sub struct {
		Topic      string `json:"topic"`
		Expression string `json:"subExpression"`
	}
	var subs []sub
	for _, s := range g.Subscriptions {
		subs = append(subs, sub{s.Topic, s.Expression})
	}
	conns := connRows(g.Connections)
	c.Only(struct {
		Connections   []connRow `json:"connections"`
		Subscriptions []sub     `json:"subscriptions"`
		Type          string    `json:"consumeType"`
		Model         string    `json:"messageModel"`
		FromWhere     string    `json:"consumeFromWhere"`
	}{conns, subs, string(g.Type), model(&g), g.FromWhere}, "%-36s %-22s %-10s %s\n", "#ClientId", "#ClientAddr", "#Language", "#Version")
	for _, r := range conns {
		c.Say("%-36s %-22s %-10s %s\n", r.Client, r.Addr, r.Language, r.Version)
	}
	c.Say("\nBelow is subscription:\n%-20s %s\n", "#Topic", "#SubExpression")
	for _, s := range subs {
		c.Say("%-20s %s\n", s.Topic, s.Expression)
	}
	c.Say("\nConsumeType: %s\nMessageModel: %s\nConsumeFromWhere: %s\n", g.Type, model(&g), g.FromWhere)
	return nil
}

func producerConnection(c *Call) error {
	_, holders, err := c.holders(c.Str("t"))
	if err != nil {
		return err
	}
	var list []mq.Connection
	for _, h := range holders {
		if list, err = h.broker.Producers(c.Ctx, c.Str("g")); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for i, r := range connRows(list) {
		c.Row(r, "%04d  %-32s %-22s %-8s %s\n", i+1, r.Client, r.Addr, r.Language, r.Version)
	}
	return nil
}

func allProducers(c *Call) error {
	all, err := c.Broker(c.Str("b")).AllProducers(c.Ctx)
	if err != nil {
		return err
	}
	var groups []string
	for g := range all {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		if len(all[g]) == 0 {
			c.Say("producer group (%s) instances are empty\n", g)
		}
		for _, p := range all[g] {
			v := struct {
				Group string `json:"group"`
				connRow
				LastSeen int64 `json:"lastUpdateMs"`
			}{g, connRow{p.ClientID, remoteText(p.Remote), p.Language, mq.VersionName(p.Version)}, p.LastSeen}
			c.Row(v, "producer group (%s) instance : clientId=%s,remoteIP=/%s, language=%s, version=%d, lastUpdateTimestamp=%d\n", g, p.ClientID, v.Addr, p.Language, p.Version, p.LastSeen)
		}
	}
	return nil
}
