package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// Topics that brokers make for a group.
const (
	retryPrefix = "%RETRY%"
	dlqPrefix   = "%DLQ%"
)

// typeKey is the attribute of a topic that says what messages it takes.
const typeKey = "message.type"

var messageTypes = []string{"NORMAL", "DELAY", "FIFO", "TRANSACTION", "MIXED", "LITE", "PRIORITY", "UNSPECIFIED"}

// systemTopics are those that every broker has.
var systemTopics = []string{
	"TBW102", "SCHEDULE_TOPIC_XXXX", "BenchmarkTest", "RMQ_SYS_TRACE_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "DefaultHeartBeatSyncerTopic",
}

// topicType is the column of lists: what the name says, else what the configuration does.
func topicType(name string, attributes map[string]string, system map[string]bool) string {
	switch {
	case strings.HasPrefix(name, retryPrefix):
		return "RETRY"
	case strings.HasPrefix(name, dlqPrefix):
		return "DLQ"
	case system[name], slices.Contains(systemTopics, name), strings.HasPrefix(name, "rmq_sys_"), strings.HasPrefix(name, "RMQ_SYS_"), strings.HasSuffix(name, "_REPLY_TOPIC"):
		return "SYSTEM"
	}
	return messageType(attributes)
}

func messageType(attributes map[string]string) string {
	if t := strings.ToUpper(attributes[typeKey]); slices.Contains(messageTypes, t) {
		return t
	}
	return "UNSPECIFIED"
}

func hiddenTopic(kind string) bool { return kind == "SYSTEM" || kind == "RETRY" || kind == "DLQ" }

type topicAnswer struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Brokers []string `json:"brokers"`
	Read    int32    `json:"readQueues"`
	Write   int32    `json:"writeQueues"`
	Perm    int32    `json:"perm"`
	Order   bool     `json:"order"`
	InTPS   *float64 `json:"inTps,omitempty"`
	InToday *i64     `json:"inToday,omitempty"`
	Groups  *int     `json:"groups,omitempty"`
}

// topics asks one broker of each set for all of its topics, and for the names of its own.
func (k *cluster) topics(ctx context.Context) (map[string]*topicAnswer, []*nodeError) {
	type both struct {
		list   []mq.TopicConfig
		system []string
	}
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) (b both, err error) {
		if b.list, _, err = n.Topics(ctx); err == nil {
			b.system, _ = n.SystemTopics(ctx) // without it names decide
		}
		return b, err
	})
	system := map[string]bool{}
	for name := range k.info.Clusters {
		system[name] = true
	}
	for name := range k.info.Brokers {
		system[name] = true
	}
	for _, a := range answers {
		for _, t := range a.v.system {
			system[t] = true
		}
	}
	out := map[string]*topicAnswer{}
	for _, a := range answers {
		for i := range a.v.list {
			t := &a.v.list[i]
			o := out[t.Name]
			if o == nil {
				o = &topicAnswer{Name: t.Name, Type: topicType(t.Name, t.Attributes, system), Perm: int32(t.Perm), Order: t.Order}
				out[t.Name] = o
			}
			o.Brokers = append(o.Brokers, a.node.set.Name)
			o.Read, o.Write = o.Read+t.ReadQueues, o.Write+t.WriteQueues
		}
	}
	return out, errs
}

func listTopics(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	all, errs := k.topics(c.ctx)
	if len(all) == 0 && len(errs) > 0 && len(errs) == len(k.sets) {
		return whole([]topicAnswer{}, errs), nil
	}
	kinds := names(c.query("type"))
	out := make([]topicAnswer, 0, len(all))
	for _, t := range all {
		switch {
		case !q.wants(t.Name), !c.who.seesTopic(t.Name):
		case len(kinds) == 0 && hiddenTopic(t.Type):
		case len(kinds) > 0 && !slices.Contains(kinds, t.Type) && !slices.Contains(kinds, "all"):
		default:
			out = append(out, *t)
		}
	}
	k.countGroups(c.ctx, out)
	k.traffic(c.ctx, out)
	return pageOf(c, q, out, errs, text("name", func(t *topicAnswer) string { return t.Name }), text("type", func(t *topicAnswer) string { return t.Type }),
		number("readQueues", func(t *topicAnswer) int32 { return t.Read }), number("writeQueues", func(t *topicAnswer) int32 { return t.Write }),
		number("perm", func(t *topicAnswer) int32 { return t.Perm }), number("inTps", func(t *topicAnswer) float64 { return value(t.InTPS) }),
		number("inToday", func(t *topicAnswer) i64 { return value(t.InToday) }), number("groups", func(t *topicAnswer) int { return value(t.Groups) }))
}

type topicConfigAnswer struct {
	Broker      string            `json:"broker"`
	Read        int32             `json:"readQueues"`
	Write       int32             `json:"writeQueues"`
	Perm        int32             `json:"perm"`
	Order       bool              `json:"order"`
	Filter      string            `json:"filter,omitempty"`
	SysFlag     int32             `json:"sysFlag,omitempty"`
	MessageType string            `json:"messageType"`
	Attributes  map[string]string `json:"attributes"`
}

type topicDetail struct {
	Name    string              `json:"name"`
	Type    string              `json:"type"`
	Configs []topicConfigAnswer `json:"configs"`
	partial
}

// topicConfigs asks the given brokers for a topic. Brokers without it are left out.
func topicConfigs(ctx context.Context, list []node, topic string) ([]asked[mq.TopicConfig], []*nodeError) {
	answers, errs := ask(ctx, list, func(ctx context.Context, n *node) (*mq.TopicConfig, error) {
		t, err := n.Topic(ctx, topic)
		return without(&t, err, mq.KindTopicNotExist)
	})
	var out []asked[mq.TopicConfig]
	for _, a := range answers {
		if a.v != nil {
			out = append(out, asked[mq.TopicConfig]{a.node, *a.v})
		}
	}
	return out, errs
}

func (c *call) topicDetail(k *cluster, topic string) (*topicDetail, error) {
	configs, errs := topicConfigs(c.ctx, k.readers(), topic)
	if len(configs) == 0 && len(errs) == 0 {
		return nil, notFound("topicNotFound", "no broker of cluster %s has topic %s", k.name, topic)
	}
	out := &topicDetail{Name: topic, Type: topicType(topic, nil, nil), Configs: []topicConfigAnswer{}, partial: partialOf(errs)}
	for _, a := range configs {
		t := a.v
		out.Type = topicType(topic, t.Attributes, nil)
		if t.Attributes == nil {
			t.Attributes = map[string]string{}
		}
		out.Configs = append(out.Configs, topicConfigAnswer{
			a.node.set.Name, t.ReadQueues, t.WriteQueues, int32(t.Perm), t.Order, t.Filter, t.SysFlag, messageType(t.Attributes), t.Attributes,
		})
	}
	return out, nil
}

func getTopic(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	return c.topicDetail(k, c.path("topic"))
}

// topicSpec is what a caller wants of a topic. What is absent stays as it is.
type topicSpec struct {
	Name        string            `json:"name"`
	Read        *int32            `json:"readQueues"`
	Write       *int32            `json:"writeQueues"`
	Perm        *int32            `json:"perm"`
	Order       *bool             `json:"order"`
	MessageType *string           `json:"messageType"`
	Attributes  map[string]string `json:"attributes"`
	Brokers     []string          `json:"brokers"`
}

const maxQueues = 16384

// check refuses what no broker takes, by field.
func (s *topicSpec) check() error {
	for _, q := range []struct {
		name string
		n    *int32
	}{{"readQueues", s.Read}, {"writeQueues", s.Write}} {
		if q.n != nil && (*q.n < 1 || *q.n > maxQueues) {
			return badField(q.name, "outOfRange", "%s: %d is not from 1 to %d", q.name, *q.n, maxQueues)
		}
	}
	if s.Perm != nil && (*s.Perm < 0 || *s.Perm > 7) {
		return badField("perm", "outOfRange", "the permission is 2 to write, 4 to read, 6 for both")
	}
	if s.MessageType != nil && !slices.Contains(messageTypes, *s.MessageType) {
		return badField("messageType", "unknownType", "%q is none of %s", *s.MessageType, strings.Join(messageTypes, ", "))
	}
	return nil
}

// apply makes the configuration to send from the one that is there. Attributes carry Java's signs.
func (s *topicSpec) apply(name string, was *mq.TopicConfig) mq.TopicConfig {
	t := mq.TopicConfig{Name: name, ReadQueues: 8, WriteQueues: 8, Perm: mq.PermRead | mq.PermWrite}
	if was != nil {
		t = *was
	}
	t.Attributes = map[string]string{}
	if s.Read != nil {
		t.ReadQueues = *s.Read
	}
	if s.Write != nil {
		t.WriteQueues = *s.Write
	}
	if s.Perm != nil {
		t.Perm = mq.Perm(*s.Perm)
	}
	if s.Order != nil {
		t.Order = *s.Order
	}
	wanted := maps.Clone(s.Attributes)
	if s.MessageType != nil {
		if wanted == nil {
			wanted = map[string]string{}
		}
		wanted[typeKey] = *s.MessageType
	}
	for k, v := range wanted {
		if v == "" {
			t.Attributes["-"+k] = ""
			continue
		}
		t.Attributes["+"+k] = v
	}
	return t
}

func topicText(t *mq.TopicConfig) string {
	if t == nil {
		return ""
	}
	out := []string{fmt.Sprintf("readQueues=%d writeQueues=%d perm=%d order=%t", t.ReadQueues, t.WriteQueues, t.Perm, t.Order)}
	for _, k := range slices.Sorted(maps.Keys(t.Attributes)) {
		out = append(out, k+"="+t.Attributes[k])
	}
	return strings.Join(out, " ")
}

func createTopic(c *call) (any, error) {
	var in topicSpec
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.Name
	if err := validName("name", in.Name); err != nil {
		return nil, err
	}
	if !c.who.seesTopic(in.Name) {
		return nil, errScope
	}
	if in.MessageType == nil {
		normal := "NORMAL"
		in.MessageType = &normal
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	if there, errs := topicConfigs(c.ctx, k.readers(), in.Name); len(there) > 0 {
		return nil, problemf(http.StatusConflict, "topicExists", "%s has topic %s", there[0].node.set.Name, in.Name)
	} else if len(errs) == len(k.sets) && len(errs) > 0 {
		return nil, problemf(http.StatusBadGateway, errs[0].Code, "%s", errs[0].Detail)
	}
	return c.changeTopic(k, in.Name, &in, nil)
}

func putTopic(c *call) (any, error) {
	var in topicSpec
	if err := c.body(&in); err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	topic := c.path("topic")
	now, err := c.topicDetail(k, topic)
	if err != nil {
		return nil, err
	}
	if err := c.unchanged(now); err != nil {
		return nil, err
	}
	there, _ := topicConfigs(c.ctx, k.readers(), topic)
	return c.changeTopic(k, topic, &in, there)
}

func (c *call) changeTopic(k *cluster, topic string, in *topicSpec, there []asked[mq.TopicConfig]) (any, error) {
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
		t := in.apply(topic, was)
		p.add(step{Node: n.String(), Action: "UPDATE_AND_CREATE_TOPIC", Target: topic, Before: topicText(was), After: topicText(&t)},
			func(ctx context.Context) (string, error) { return "", n.PutTopic(ctx, t) })
	}
	return p.run()
}

// validName is Java's rule of names of topics and groups.
func validName(field, name string) error {
	switch {
	case name == "":
		return badField(field, "missing", "a name is needed")
	case len(name) > 127:
		return badField(field, "tooLong", "the name has %d characters, 127 are allowed", len(name))
	}
	for _, r := range name {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%|-_", r) {
			continue
		}
		return badField(field, "badName", "the character %q is not allowed: letters, digits and %% | - _ are", r)
	}
	return nil
}

func deleteTopic(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	topic := c.path("topic")
	chosen := names(c.query("brokers"))
	p, err := c.planDeletion(k, topic, chosen)
	if err != nil {
		return nil, err
	}
	if len(p.steps) == 0 && len(p.errs) == 0 {
		return nil, notFound("topicNotFound", "no broker of cluster %s has topic %s", k.name, topic)
	}
	return p.run()
}

// planDeletion deletes a topic on all masters that have it, and then, when all were meant, in the name servers.
func (c *call) planDeletion(k *cluster, topic string, chosen []string) (*plan, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	masters, errs, err := k.masters(chosen)
	if err != nil {
		return nil, err
	}
	there, more := topicConfigs(c.ctx, masters, topic)
	p.errs = slices.Concat(errs, more)
	for i := range there {
		n := &there[i].node
		p.add(step{Node: n.String(), Action: "DELETE_TOPIC_IN_BROKER", Target: topic, Before: topicText(&there[i].v)},
			func(ctx context.Context) (string, error) { return "", n.DeleteTopic(ctx, topic) })
	}
	if len(chosen) == 0 && len(there) > 0 {
		for _, addr := range k.NameServers() {
			p.add(step{Node: addr, Action: "DELETE_TOPIC_IN_NAMESRV", Target: topic},
				func(ctx context.Context) (string, error) { return "", k.NameServer(addr).DropTopic(ctx, topic, k.name) })
		}
	}
	return p, nil
}

func getTopicRoute(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	r, _, err := k.route(c.ctx, c.path("topic"))
	if err != nil {
		return nil, err
	}
	type routeBroker struct {
		Name    string           `json:"name"`
		Cluster string           `json:"cluster"`
		Addrs   map[int64]string `json:"addrs"`
	}
	type routeQueue struct {
		Broker  string `json:"broker"`
		Read    int32  `json:"read"`
		Write   int32  `json:"write"`
		Perm    int32  `json:"perm"`
		SysFlag int32  `json:"sysFlag"`
	}
	out := &struct {
		Order   string        `json:"order,omitempty"`
		Brokers []routeBroker `json:"brokers"`
		Queues  []routeQueue  `json:"queues"`
	}{r.Order, []routeBroker{}, []routeQueue{}}
	for _, b := range r.Brokers {
		out.Brokers = append(out.Brokers, routeBroker{b.Name, b.Cluster, b.Addrs})
	}
	for _, q := range r.Queues {
		out.Queues = append(out.Queues, routeQueue{q.Broker, q.Read, q.Write, int32(q.Perm), q.SysFlag})
	}
	slices.SortFunc(out.Brokers, func(a, b routeBroker) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Queues, func(a, b routeQueue) int { return cmp.Compare(a.Broker, b.Broker) })
	return out, nil
}

type queueAnswer struct {
	Broker     string `json:"broker"`
	Queue      int32  `json:"queue"`
	Min        i64    `json:"min"`
	Max        i64    `json:"max"`
	Messages   i64    `json:"messages"`
	LastUpdate int64  `json:"lastUpdate,omitempty"`
}

type topicStatsAnswer struct {
	Items    []queueAnswer `json:"items"`
	Messages i64           `json:"messages"`
	PutTPS   float64       `json:"putTps"`
	partial
}

// topicStats adds up the queues of a topic on all brokers that have it.
func (k *cluster) topicStats(ctx context.Context, list []node, topic string) *topicStatsAnswer {
	answers, errs := ask(ctx, list, func(ctx context.Context, n *node) (mq.TopicStats, error) { return n.TopicStats(ctx, topic) })
	out := &topicStatsAnswer{Items: []queueAnswer{}, partial: partialOf(errs)}
	for _, a := range answers {
		out.PutTPS += a.v.PutTPS
		for _, q := range a.v.Queues {
			n := max(int64(q.Max-q.Min), 0)
			out.Messages += i64(n)
			out.Items = append(out.Items, queueAnswer{q.Queue.Broker, q.Queue.ID, i64(q.Min), i64(q.Max), i64(n), max(q.LastUpdate, 0)})
		}
	}
	slices.SortFunc(out.Items, func(a, b queueAnswer) int {
		return cmp.Or(cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.Queue, b.Queue))
	})
	return out
}

func getTopicStats(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	topic := c.path("topic")
	_, list, err := k.route(c.ctx, topic)
	if err != nil {
		return nil, err
	}
	return k.topicStats(c.ctx, list, topic), nil
}

type topicGroup struct {
	Group       string   `json:"group"`
	Lag         *i64     `json:"lag,omitempty"`
	TPS         *float64 `json:"tps,omitempty"`
	LastConsume int64    `json:"lastConsume,omitempty"`
}

// listTopicGroups asks each broker who consumes the topic, and how far all of its groups are.
func listTopicGroups(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	topic := c.path("topic")
	_, list, err := k.route(c.ctx, topic)
	if err != nil {
		return nil, err
	}
	type both struct {
		names []string
		stats mq.GroupsStats
	}
	answers, errs := ask(c.ctx, list, func(ctx context.Context, n *node) (b both, err error) {
		if b.names, err = n.TopicConsumers(ctx, topic); err == nil {
			b.stats, err = k.progress(ctx, n)
		}
		return b, err
	})
	groups := map[string]*topicGroup{}
	for _, a := range answers {
		for _, g := range a.v.names {
			if groups[g] == nil && c.who.seesGroup(g) {
				groups[g] = &topicGroup{Group: g}
			}
		}
		for i := range a.v.stats.Groups {
			g := &a.v.stats.Groups[i]
			o := groups[g.Group]
			if o == nil {
				continue
			}
			for j := range g.Stats {
				o.add(&g.Stats[j], topic)
			}
		}
	}
	out := make([]topicGroup, 0, len(groups))
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, *groups[name])
	}
	return whole(out, errs), nil
}

func (g *topicGroup) add(s *mq.ConsumeStats, topic string) {
	mine := false
	lag := int64(value(g.Lag))
	for _, q := range s.Queues {
		if q.Queue.Topic == topic {
			mine = true
			lag += max(int64(q.End-q.Committed), 0)
			g.LastConsume = max(g.LastConsume, q.LastConsume)
		}
	}
	if mine {
		tps := value(g.TPS) + s.TPS
		g.Lag, g.TPS = opt(lag), &tps
	}
}
