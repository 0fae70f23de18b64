package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// Kinds of groups in lists.
const (
	groupNormal = "normal"
	groupFIFO   = "fifo"
	groupSystem = "system"
)

var systemGroups = []string{
	"DEFAULT_CONSUMER", "DEFAULT_PRODUCER", "TOOLS_CONSUMER", "SCHEDULE_CONSUMER", "FILTERSRV_CONSUMER", "__MONITOR_CONSUMER", "CLIENT_INNER_PRODUCER",
	"SELF_TEST_P_GROUP", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL", "CID_RMQ_SYS_TRANS",
}

func groupType(name string, orderly bool) string {
	switch {
	case slices.Contains(systemGroups, name), strings.HasPrefix(name, "CID_RMQ_SYS_"), strings.HasPrefix(name, "CID_SYS_"):
		return groupSystem
	case orderly:
		return groupFIFO
	}
	return groupNormal
}

type groupAnswer struct {
	Name          string   `json:"name"`
	Type          string   `json:"type"`
	Brokers       []string `json:"brokers"`
	Lag           *i64     `json:"lag,omitempty"`
	Inflight      *i64     `json:"inflight,omitempty"`
	TPS           *float64 `json:"tps,omitempty"`
	Clients       *int     `json:"clients,omitempty"`
	Online        *bool    `json:"online,omitempty"`
	Model         string   `json:"model,omitempty"`
	ConsumeType   string   `json:"consumeType,omitempty"`
	ConsumeEnable *bool    `json:"consumeEnable,omitempty"`
	RetryMaxTimes *int32   `json:"retryMaxTimes,omitempty"`
	LastConsume   int64    `json:"lastConsume,omitempty"`
	Delay         *i64     `json:"delayMs,omitempty"`
}

// listGroups asks each broker for all groups and for how far all of them are.
func listGroups(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	groups, errs := k.groups(c.ctx, c.a.now().UnixMilli())
	kinds := names(c.query("type"))
	out := make([]groupAnswer, 0, len(groups))
	for _, g := range groups {
		switch {
		case !q.wants(g.Name), !c.who.seesGroup(g.Name):
		case len(kinds) == 0 && g.Type == groupSystem:
		case len(kinds) > 0 && !slices.Contains(kinds, g.Type) && !slices.Contains(kinds, "all"):
		default:
			out = append(out, *g)
		}
	}
	k.countMembers(c.ctx, out)
	return pageOf(c, q, out, errs, text("name", func(g *groupAnswer) string { return g.Name }), number("lag", func(g *groupAnswer) i64 { return value(g.Lag) }),
		number("tps", func(g *groupAnswer) float64 { return value(g.TPS) }), number("clients", func(g *groupAnswer) int { return value(g.Clients) }),
		number("delayMs", func(g *groupAnswer) i64 { return value(g.Delay) }), text("type", func(g *groupAnswer) string { return g.Type }),
		number("lastConsume", func(g *groupAnswer) int64 { return g.LastConsume }), number("inflight", func(g *groupAnswer) i64 { return value(g.Inflight) }))
}

func (k *cluster) groups(ctx context.Context, now int64) (map[string]*groupAnswer, []*nodeError) {
	type both struct {
		list  []mq.GroupConfig
		stats mq.GroupsStats
		known bool
	}
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) (b both, err error) {
		if b.list, _, err = n.Groups(ctx); err != nil {
			return b, err
		}
		var serr error
		b.stats, serr = k.progress(ctx, n)
		b.known = serr == nil // without it the columns are empty
		return b, nil
	})
	out := map[string]*groupAnswer{}
	for _, a := range answers {
		for i := range a.v.list {
			g := &a.v.list[i]
			o := out[g.Name]
			if o == nil {
				enable, times := g.ConsumeEnable, g.RetryMaxTimes
				o = &groupAnswer{Name: g.Name, Type: groupType(g.Name, g.ConsumeMessageOrderly), ConsumeEnable: &enable, RetryMaxTimes: &times}
				out[g.Name] = o
			}
			o.Brokers = append(o.Brokers, a.node.set.Name)
			if a.v.known && o.Lag == nil {
				zero := 0.0
				o.Lag, o.TPS, o.Inflight = opt(0), &zero, opt(0)
			}
		}
		for i := range a.v.stats.Groups {
			if o := out[a.v.stats.Groups[i].Group]; o != nil {
				o.add(a.v.stats.Groups[i].Stats, now)
			}
		}
	}
	return out, errs
}

func (g *groupAnswer) add(stats []mq.ConsumeStats, now int64) {
	lag, inflight, tps, delay := int64(value(g.Lag)), int64(value(g.Inflight)), value(g.TPS), int64(value(g.Delay))
	for i := range stats {
		tps += stats[i].TPS
		for _, q := range stats[i].Queues {
			behind := max(int64(q.End-q.Committed), 0)
			lag += behind
			inflight += max(int64(q.Pulled-q.Committed), 0)
			g.LastConsume = max(g.LastConsume, q.LastConsume)
			if behind > 0 && q.LastConsume > 0 {
				delay = max(delay, now-q.LastConsume)
			}
		}
	}
	g.Lag, g.Inflight, g.TPS, g.Delay = opt(lag), opt(inflight), &tps, opt(delay)
}

type groupConfigAnswer struct {
	Broker         string            `json:"broker"`
	Enable         bool              `json:"consumeEnable"`
	FromMin        bool              `json:"consumeFromMinEnable"`
	Broadcast      bool              `json:"consumeBroadcastEnable"`
	Orderly        bool              `json:"consumeMessageOrderly"`
	RetryQueues    int32             `json:"retryQueues"`
	RetryMaxTimes  int32             `json:"retryMaxTimes"`
	BrokerID       int64             `json:"brokerId"`
	WhenSlow       int64             `json:"whichBrokerWhenSlow"`
	NotifyChanged  bool              `json:"notifyConsumerIdsChanged"`
	TimeoutMinutes int32             `json:"consumeTimeoutMinutes"`
	SysFlag        int32             `json:"sysFlag,omitempty"`
	RetryPolicy    json.RawMessage   `json:"retryPolicy,omitempty"`
	Attributes     map[string]string `json:"attributes,omitempty"`
}

func groupConfigOf(broker string, g *mq.GroupConfig) groupConfigAnswer {
	out := groupConfigAnswer{
		broker, g.ConsumeEnable, g.ConsumeFromMinEnable, g.ConsumeBroadcastEnable, g.ConsumeMessageOrderly, g.RetryQueues, g.RetryMaxTimes, g.BrokerID,
		g.WhichBrokerWhenSlow, g.NotifyConsumerIDsChanged, g.ConsumeTimeoutMinutes, g.SysFlag, nil, g.Attributes,
	}
	if json.Valid(g.RetryPolicy) {
		out.RetryPolicy = g.RetryPolicy
	}
	return out
}

type groupDetail struct {
	Name        string              `json:"name"`
	Type        string              `json:"type"`
	Configs     []groupConfigAnswer `json:"configs"`
	Topics      []string            `json:"topics"`
	Lag         i64                 `json:"lag"`
	TPS         float64             `json:"tps"`
	Online      *bool               `json:"online,omitempty"`
	Clients     *int                `json:"clients,omitempty"`
	Model       string              `json:"model,omitempty"`
	ConsumeType string              `json:"consumeType,omitempty"`
	FromWhere   string              `json:"fromWhere,omitempty"`
	partial
}

// groupConfigs asks the given brokers for a group. Brokers without it are left out.
//
// One request for all groups is asked of each, because brokers answer a question for one with a new group where groups are created on
// demand.
func groupConfigs(ctx context.Context, list []node, group string) ([]asked[mq.GroupConfig], []*nodeError) {
	answers, errs := ask(ctx, list, func(ctx context.Context, n *node) (*mq.GroupConfig, error) {
		all, _, err := n.Groups(ctx)
		for i := range all {
			if all[i].Name == group {
				return &all[i], nil
			}
		}
		return nil, err
	})
	var out []asked[mq.GroupConfig]
	for _, a := range answers {
		if a.v != nil {
			out = append(out, asked[mq.GroupConfig]{a.node, *a.v})
		}
	}
	return out, errs
}

// groupConfigDetail is the part of a group that PUT changes: its ETag is made of it.
func (c *call) groupConfigDetail(k *cluster, group string) (*groupDetail, []asked[mq.GroupConfig], error) {
	configs, errs := groupConfigs(c.ctx, k.readers(), group)
	if len(configs) == 0 && len(errs) == 0 {
		return nil, nil, notFound("groupNotFound", "no broker of cluster %s has group %s", k.name, group)
	}
	out := &groupDetail{Name: group, Type: groupType(group, false), Configs: []groupConfigAnswer{}, Topics: []string{}, partial: partialOf(errs)}
	for _, a := range configs {
		out.Type = groupType(group, a.v.ConsumeMessageOrderly)
		out.Configs = append(out.Configs, groupConfigOf(a.node.set.Name, &a.v))
	}
	return out, configs, nil
}

func getGroup(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	out, _, err := c.groupConfigDetail(k, c.path("group"))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(out.Configs)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("ETag", etag(b))
	members, err := k.members(c.ctx, c.path("group"))
	if err == nil {
		n := len(members.clients)
		online := n > 0
		out.Online, out.Clients, out.Model, out.ConsumeType, out.FromWhere = &online, &n, members.model, members.kind, members.from
	}
	lag, errs := k.lag(c.ctx, c.path("group"), "")
	out.Errors = append(out.Errors, errs...)
	out.Partial = len(out.Errors) > 0
	out.Lag, out.TPS = lag.Lag, lag.TPS
	for _, q := range lag.Items {
		if !slices.Contains(out.Topics, q.Topic) {
			out.Topics = append(out.Topics, q.Topic)
		}
	}
	return out, nil
}

// groupSpec is what a caller wants of a group. What is absent stays as it is.
type groupSpec struct {
	Name           string            `json:"name"`
	Enable         *bool             `json:"consumeEnable"`
	FromMin        *bool             `json:"consumeFromMinEnable"`
	Broadcast      *bool             `json:"consumeBroadcastEnable"`
	Orderly        *bool             `json:"consumeMessageOrderly"`
	RetryQueues    *int32            `json:"retryQueues"`
	RetryMaxTimes  *int32            `json:"retryMaxTimes"`
	BrokerID       *int64            `json:"brokerId"`
	WhenSlow       *int64            `json:"whichBrokerWhenSlow"`
	NotifyChanged  *bool             `json:"notifyConsumerIdsChanged"`
	TimeoutMinutes *int32            `json:"consumeTimeoutMinutes"`
	Attributes     map[string]string `json:"attributes"`
	Brokers        []string          `json:"brokers"`
}

func (s *groupSpec) check() error {
	for _, n := range []struct {
		name      string
		n         *int32
		low, high int32
	}{{"retryQueues", s.RetryQueues, 0, 1024}, {"retryMaxTimes", s.RetryMaxTimes, -1, 1 << 20}, {"consumeTimeoutMinutes", s.TimeoutMinutes, 1, 1 << 20}} {
		if n.n != nil && (*n.n < n.low || *n.n > n.high) {
			return badField(n.name, "outOfRange", "%s: %d is not from %d to %d", n.name, *n.n, n.low, n.high)
		}
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (s *groupSpec) apply(name string, was *mq.GroupConfig) mq.GroupConfig {
	g := mq.DefaultGroupConfig(name)
	if was != nil {
		g = *was
	}
	set(&g.ConsumeEnable, s.Enable)
	set(&g.ConsumeFromMinEnable, s.FromMin)
	set(&g.ConsumeBroadcastEnable, s.Broadcast)
	set(&g.ConsumeMessageOrderly, s.Orderly)
	set(&g.RetryQueues, s.RetryQueues)
	set(&g.RetryMaxTimes, s.RetryMaxTimes)
	set(&g.BrokerID, s.BrokerID)
	set(&g.WhichBrokerWhenSlow, s.WhenSlow)
	set(&g.NotifyConsumerIDsChanged, s.NotifyChanged)
	set(&g.ConsumeTimeoutMinutes, s.TimeoutMinutes)
	g.Attributes = nil
	for k, v := range s.Attributes {
		if g.Attributes == nil {
			g.Attributes = map[string]string{}
		}
		if v == "" {
			g.Attributes["-"+k] = ""
			continue
		}
		g.Attributes["+"+k] = v
	}
	return g
}

func groupText(g *mq.GroupConfig) string {
	if g == nil {
		return ""
	}
	return fmt.Sprintf("consumeEnable=%t fromMin=%t broadcast=%t orderly=%t retryQueues=%d retryMaxTimes=%d timeoutMinutes=%d brokerId=%d whenSlow=%d",
		g.ConsumeEnable, g.ConsumeFromMinEnable, g.ConsumeBroadcastEnable, g.ConsumeMessageOrderly, g.RetryQueues, g.RetryMaxTimes, g.ConsumeTimeoutMinutes,
		g.BrokerID, g.WhichBrokerWhenSlow)
}

func createGroup(c *call) (any, error) {
	var in groupSpec
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.Name
	if err := validName("name", in.Name); err != nil {
		return nil, err
	}
	if !c.who.seesGroup(in.Name) {
		return nil, errScope
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	if there, _ := groupConfigs(c.ctx, k.readers(), in.Name); len(there) > 0 {
		return nil, problemf(http.StatusConflict, "groupExists", "%s has group %s", there[0].node.set.Name, in.Name)
	}
	return c.changeGroup(k, in.Name, &in, nil)
}

func putGroup(c *call) (any, error) {
	var in groupSpec
	if err := c.body(&in); err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	now, there, err := c.groupConfigDetail(k, c.path("group"))
	if err != nil {
		return nil, err
	}
	if err := c.unchanged(now.Configs); err != nil {
		return nil, err
	}
	return c.changeGroup(k, c.path("group"), &in, there)
}

func (c *call) changeGroup(k *cluster, group string, in *groupSpec, there []asked[mq.GroupConfig]) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	p, masters, err := c.planMasters(k, in.Brokers)
	if err != nil {
		return nil, err
	}
	for i := range masters {
		n := &masters[i]
		was := answerOf(there, n)
		g := in.apply(group, was)
		p.add(step{Node: n.String(), Action: "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", Target: group, Before: groupText(was), After: groupText(&g)},
			func(ctx context.Context) (string, error) { return "", n.PutGroup(ctx, g) })
	}
	return p.run()
}

// deleteGroup deletes a group with its positions, and then its retry and dead-letter topics, as Java's dashboard does.
func deleteGroup(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	group, chosen := c.path("group"), names(c.query("brokers"))
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	masters, errs, err := k.masters(chosen)
	if err != nil {
		return nil, err
	}
	there, more := groupConfigs(c.ctx, masters, group)
	p.errs = slices.Concat(errs, more)
	if len(there) == 0 && len(p.errs) == 0 {
		return nil, notFound("groupNotFound", "no broker of cluster %s has group %s", k.name, group)
	}
	for i := range there {
		n := &there[i].node
		p.add(step{Node: n.String(), Action: "DELETE_SUBSCRIPTIONGROUP", Target: group, Before: groupText(&there[i].v)},
			func(ctx context.Context) (string, error) { return "", n.DeleteGroup(ctx, group, true) })
	}
	for _, topic := range []string{retryPrefix + group, dlqPrefix + group} {
		t, err := c.planDeletion(k, topic, chosen)
		if err != nil {
			return nil, err
		}
		p.steps = append(p.steps, t.steps...)
	}
	return p.run()
}

type queueLag struct {
	Topic       string `json:"topic"`
	Broker      string `json:"broker"`
	Queue       int32  `json:"queue"`
	End         i64    `json:"end"`
	Committed   i64    `json:"committed"`
	Pulled      i64    `json:"pulled"`
	Lag         i64    `json:"lag"`
	LastConsume int64  `json:"lastConsume,omitempty"`
	Delay       *i64   `json:"delayMs,omitempty"`
	ClientID    string `json:"clientId,omitempty"`
}

type groupLag struct {
	Items []queueLag `json:"items"`
	Lag   i64        `json:"lag"`
	TPS   float64    `json:"tps"`
	partial
}

// lag is how far a group is, by queue; topic "" = all of its topics.
func (k *cluster) lag(ctx context.Context, group, topic string) (*groupLag, []*nodeError) {
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) (mq.ConsumeStats, error) {
		s, err := n.ConsumeStats(ctx, group, topic, nil)
		return without(s, err, mq.KindTopicNotExist, mq.KindGroupNotExist, mq.KindConsumerNotOnline, mq.KindQueryNotFound)
	})
	out := &groupLag{Items: []queueLag{}, partial: partialOf(errs)}
	for _, a := range answers {
		out.TPS += a.v.TPS
		for _, q := range a.v.Queues {
			if topic != "" && q.Queue.Topic != topic {
				continue
			}
			n := max(int64(q.End-q.Committed), 0)
			out.Lag += i64(n)
			out.Items = append(out.Items, queueLag{
				Topic: q.Queue.Topic, Broker: q.Queue.Broker, Queue: q.Queue.ID, End: i64(q.End), Committed: i64(q.Committed), Pulled: i64(q.Pulled), Lag: i64(n),
				LastConsume: max(q.LastConsume, 0),
			})
		}
	}
	slices.SortFunc(out.Items, func(a, b queueLag) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.Queue, b.Queue))
	})
	return out, errs
}

func getGroupLag(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	out, _ := k.lag(c.ctx, c.path("group"), c.query("topic"))
	now := c.a.now().UnixMilli()
	for i := range out.Items {
		if q := &out.Items[i]; q.Lag > 0 && q.LastConsume > 0 {
			q.Delay = opt(now - q.LastConsume)
		}
	}
	return out, nil
}

// groupMembers is how many clients a group has, by all brokers together.
type groupMembers struct {
	clients        int
	model, consume string
}

func modelOf(broadcast bool) string {
	if broadcast {
		return "broadcasting"
	}
	return "clustering"
}

// countMembers fills in who is online. Brokers that do not tell this of all groups at once were asked one group after the other a moment
// ago, or are so now; until that is done it is not known.
func (k *cluster) countMembers(ctx context.Context, list []groupAnswer) {
	table, known := k.membersOnline(ctx)
	if !known {
		e := k.a.clients.get(ctx, k, groupsWait)
		if e == nil {
			return
		}
		table = e.groups
	}
	for i := range list {
		g := &list[i]
		m, ok := table[g.Name]
		if !ok && !known { // it could not be asked, or is new
			continue
		}
		online := m.clients > 0
		g.Clients, g.Online, g.Model, g.ConsumeType = &m.clients, &online, m.model, m.consume
	}
}

// membersOnline counts the clients of all groups with one request to each broker. known: all brokers tell them.
func (k *cluster) membersOnline(ctx context.Context) (out map[string]groupMembers, known bool) {
	answers, errs := ask(ctx, k.readers(), k.online)
	if len(errs) > 0 {
		return nil, false
	}
	ids := map[string]map[string]bool{} // a client is connected to all brokers
	out = map[string]groupMembers{}
	for _, a := range answers {
		if a.v.Consumers == nil {
			return nil, false
		}
		for name, g := range a.v.Consumers {
			if ids[name] == nil {
				ids[name] = map[string]bool{}
			}
			for i := range g.Connections {
				ids[name][g.Connections[i].ClientID] = true
			}
			out[name] = groupMembers{len(ids[name]), modelOf(g.Broadcast), string(g.Type)}
		}
	}
	return out, len(answers) > 0
}

// members is who consumes for a group, by all brokers together.
type members struct {
	clients    map[string]*clientAnswer
	subs       map[string]mq.Subscription
	at         map[string]node // a broker that can ask the client
	model      string
	kind, from string
	errs       []*nodeError
}

// members asks the masters, which clients of a group send heartbeats to. That nobody is online is no error.
func (k *cluster) members(ctx context.Context, group string) (*members, error) {
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) (*mq.ConsumerGroup, error) {
		g, err := n.Consumers(ctx, group)
		return without(&g, err, mq.KindConsumerNotOnline, mq.KindGroupNotExist)
	})
	if len(answers) == 0 && len(errs) > 0 {
		p := problemf(http.StatusBadGateway, errs[0].Code, "%s", errs[0].Detail)
		p.Node = errs[0].Node
		return nil, p
	}
	m := &members{clients: map[string]*clientAnswer{}, subs: map[string]mq.Subscription{}, at: map[string]node{}, errs: errs}
	for _, a := range answers {
		if a.v == nil {
			continue
		}
		m.kind, m.from, m.model = string(a.v.Type), a.v.FromWhere, modelOf(a.v.Broadcast)
		for _, x := range a.v.Connections {
			if m.clients[x.ClientID] == nil {
				m.clients[x.ClientID] = clientOf(&x, "consumer", group, a.node.set.Name)
				m.at[x.ClientID] = a.node
			}
		}
		for _, s := range a.v.Subscriptions {
			m.subs[s.Topic] = s
		}
	}
	return m, nil
}

func listGroupClients(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	m, err := k.members(c.ctx, c.path("group"))
	if err != nil {
		return nil, err
	}
	out := make([]clientAnswer, 0, len(m.clients))
	for _, id := range slices.Sorted(maps.Keys(m.clients)) {
		out = append(out, *m.clients[id])
	}
	return &clientList{list: whole(out, m.errs), Known: true}, nil
}
