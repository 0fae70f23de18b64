package httpapi

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// brokerAction does one of the things that Java's tools do to a broker.
func brokerAction(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	var in struct {
		Offset *i64 `json:"offset"`
	}
	if c.r.ContentLength != 0 {
		if err = c.body(&in); err != nil {
			return nil, err
		}
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	one := func(action, target string, do func(ctx context.Context) error) {
		p.add(step{Node: n.String(), Action: action, Target: target}, func(ctx context.Context) (string, error) { return "", do(ctx) })
	}
	switch c.path("action") {
	case "wipeWrite":
		c.permission(p, n, "WIPE_WRITE_PERM_OF_BROKER", false)
	case "addWrite":
		c.permission(p, n, "ADD_WRITE_PERM_OF_BROKER", true)
	case "cleanExpiredCq":
		one("CLEAN_EXPIRED_CONSUMEQUEUE", "consume queues", func(ctx context.Context) error { return n.Clean(ctx, mq.CleanExpiredQueues) })
	case "cleanUnusedTopics":
		one("CLEAN_UNUSED_TOPIC", "topics", func(ctx context.Context) error { return n.Clean(ctx, mq.CleanUnusedTopics) })
	case "deleteExpiredCommitLog":
		one("DELETE_EXPIRED_COMMITLOG", "commit log", func(ctx context.Context) error { return n.Clean(ctx, mq.CleanExpiredLog) })
	case "resetMasterFlushOffset":
		if in.Offset == nil {
			return nil, badField("offset", "missing", "the offset is needed")
		}
		one("RESET_MASTER_FLUSH_OFFSET", strconv.FormatInt(int64(*in.Offset), 10), func(ctx context.Context) error { return n.ResetMasterFlush(ctx, mq.Offset(*in.Offset)) })
	default:
		return nil, notFound("actionNotFound", "a broker has no action %q", c.path("action"))
	}
	return p.run()
}

// permission changes what each name server tells of a broker.
func (c *call) permission(p *plan, n *node, action string, writable bool) {
	for _, addr := range c.a.cluster.NameServers() {
		p.add(step{Node: addr, Action: action, Target: n.set.Name}, func(ctx context.Context) (string, error) {
			topics, err := c.a.cluster.NameServer(addr).SetWritable(ctx, n.set.Name, writable)
			return strconv.Itoa(topics) + " topics", err
		})
	}
}

type haSlave struct {
	Addr   string `json:"addr"`
	Acked  i64    `json:"acked"`
	Behind i64    `json:"behindBytes"`
	InSync bool   `json:"inSync"`
	Rate   i64    `json:"bytesPerSecond"`
	SentTo i64    `json:"sentUpTo"`
}

type haClient struct {
	Master    string `json:"master"`
	End       i64    `json:"end"`
	Rate      i64    `json:"bytesPerSecond"`
	LastRead  int64  `json:"lastRead,omitempty"`
	LastWrite int64  `json:"lastWrite,omitempty"`
	Connected bool   `json:"connected"`
}

func getBrokerHA(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	st, err := n.HAStatus(c.ctx)
	if err != nil {
		return nil, err
	}
	out := &struct {
		Master bool      `json:"master"`
		End    i64       `json:"end"`
		InSync int32     `json:"inSyncSlaves"`
		Slaves []haSlave `json:"slaves"`
		Client *haClient `json:"client,omitempty"`
	}{Master: st.Master, End: i64(st.End), InSync: st.InSync, Slaves: []haSlave{}}
	for _, s := range st.Slaves {
		out.Slaves = append(out.Slaves, haSlave{s.Addr, i64(s.Acked), i64(s.Behind), s.InSync, i64(s.Rate), i64(s.SentUpTo)})
	}
	if !st.Master {
		k := &st.Client
		out.Client = &haClient{k.Master, i64(k.End), i64(k.Rate), max(k.LastRead, 0), max(k.LastWrite, 0), k.Connected}
	}
	return out, nil
}

func getBrokerEpochs(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	e, err := n.Epochs(c.ctx)
	if err != nil {
		return nil, err
	}
	type epoch struct {
		Epoch int32 `json:"epoch"`
		Start i64   `json:"start"`
		End   i64   `json:"end"`
	}
	list := []epoch{}
	for _, x := range e.List {
		list = append(list, epoch{x.Epoch, i64(x.Start), i64(x.End)})
	}
	return &struct {
		Cluster string  `json:"cluster"`
		Broker  string  `json:"broker"`
		ID      int64   `json:"id"`
		Max     i64     `json:"max"`
		Items   []epoch `json:"items"`
	}{e.Cluster, e.Broker, e.BrokerID, i64(e.Max), list}, nil
}

type timerTopic struct {
	Topic   string `json:"topic"`
	Count   i64    `json:"count"`
	Updated int64  `json:"updated,omitempty"`
}

type timerAnswer struct {
	Broker     string       `json:"broker"`
	Supported  bool         `json:"supported"`
	Backlog    *i64         `json:"backlog,omitempty"`
	Topics     []timerTopic `json:"topics"`
	ReadTime   int64        `json:"readTime,omitempty"`
	ReadOffset *i64         `json:"readOffset,omitempty"`
	Delivered  int64        `json:"delivered,omitempty"`
}

// timerOf asks a broker about messages that wait for their time. A broker without timers says so.
func timerOf(ctx context.Context, n *node) (timerAnswer, error) {
	out := timerAnswer{Broker: n.String(), Topics: []timerTopic{}}
	counts, err := n.TimerCounts(ctx)
	if err != nil {
		if p := problemOf(err); p.RemotingCode != 0 { // it answers, and has none
			return out, nil
		}
		return out, err
	}
	out.Supported = true
	total := int64(0)
	for _, t := range counts {
		total += t.Count
		out.Topics = append(out.Topics, timerTopic{t.Topic, i64(t.Count), max(t.Updated, 0)})
	}
	out.Backlog = opt(total)
	if at, perr := n.TimerProgress(ctx); perr == nil { // an extra
		out.ReadTime, out.Delivered, out.ReadOffset = max(at.Time, 0), max(at.Time, 0), opt(int64(at.Index))
	}
	return out, nil
}

func getBrokerTimer(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	t, err := timerOf(c.ctx, n)
	return &t, err
}

type groupProgress struct {
	Group       string  `json:"group"`
	Topic       string  `json:"topic"`
	Lag         i64     `json:"lag"`
	Inflight    i64     `json:"inflight"`
	TPS         float64 `json:"tps"`
	LastConsume int64   `json:"lastConsume,omitempty"`
}

func getBrokerConsumeStats(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	ordered, err := c.boolean("order")
	if err != nil {
		return nil, err
	}
	st, err := n.GroupsStats(c.ctx, ordered)
	if err != nil {
		return nil, err
	}
	items := []groupProgress{}
	for i := range st.Groups {
		g := &st.Groups[i]
		if !c.who.seesGroup(g.Group) {
			continue
		}
		for j := range g.Stats {
			byTopic := map[string]*groupProgress{}
			for _, q := range g.Stats[j].Queues {
				p := byTopic[q.Queue.Topic]
				if p == nil {
					p = &groupProgress{Group: g.Group, Topic: q.Queue.Topic, TPS: g.Stats[j].TPS}
					byTopic[q.Queue.Topic] = p
				}
				p.Lag += i64(max(q.End-q.Committed, 0))
				p.Inflight += i64(max(q.Pulled-q.Committed, 0))
				p.LastConsume = max(p.LastConsume, q.LastConsume)
			}
			for _, p := range byTopic {
				items = append(items, *p)
			}
		}
	}
	slices.SortFunc(items, func(a, b groupProgress) int {
		return cmp.Or(compareText(a.Group, b.Group), compareText(a.Topic, b.Topic))
	})
	return &struct {
		Broker   string          `json:"broker"`
		Lag      i64             `json:"lag"`
		Inflight i64             `json:"inflight"`
		Items    []groupProgress `json:"items"`
	}{n.String(), i64(st.Total), i64(st.Inflight), items}, nil
}

type coldGroup struct {
	Group     string `json:"group"`
	Threshold i64    `json:"thresholdBytes"`
	Read      *i64   `json:"readBytes,omitempty"`
}

type coldAnswer struct {
	Supported bool              `json:"supported"`
	Enabled   *bool             `json:"enabled,omitempty"`
	Items     []coldGroup       `json:"items"`
	Runtime   map[string]string `json:"runtime,omitempty"`
}

// getColdFlow reads Java's ColdDataCgCtrService: limits by group, and what was read within the time.
func getColdFlow(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	out := &coldAnswer{Items: []coldGroup{}}
	raw, err := n.ColdReads(c.ctx)
	if err != nil && mq.KindOf(err) == mq.KindUnsupported {
		return out, nil // the answer says so
	}
	if err != nil {
		return nil, err
	}
	out.Supported = true
	v, err := fastjson.Parse(raw)
	if err != nil || len(raw) == 0 {
		return out, nil //nolint:nilerr // nothing is limited, and nothing was read
	}
	groups := map[string]*coldGroup{}
	for _, m := range v.Get("configTable").Members() {
		groups[m.Key.Str()] = &coldGroup{Group: m.Key.Str(), Threshold: i64(m.Val.Int64())}
	}
	for _, m := range v.Get("runtimeTable").Members() {
		g := groups[m.Key.Str()]
		if g == nil {
			g = &coldGroup{Group: m.Key.Str(), Threshold: i64(m.Val.Get("coldReadThreshold").Int64())}
			groups[g.Group] = g
		}
		g.Read = opt(m.Val.Get("coldAcc").Int64())
	}
	for _, m := range v.Members() {
		switch name := m.Key.Str(); name {
		case "configTable", "runtimeTable":
		case "coldDataFlowControlEnable":
			on := m.Val.Bool()
			out.Enabled = &on
		default:
			if out.Runtime == nil {
				out.Runtime = map[string]string{}
			}
			out.Runtime[name] = string(m.Val.AppendTo(nil, fastjson.Compact))
		}
	}
	for _, g := range groups {
		out.Items = append(out.Items, *g)
	}
	slices.SortFunc(out.Items, func(a, b coldGroup) int { return compareText(a.Group, b.Group) })
	return out, nil
}

func putColdFlow(c *call) (any, error) {
	var in struct {
		Group     string `json:"group"`
		Threshold i64    `json:"thresholdBytes"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := validName("group", in.Group); err != nil {
		return nil, err
	}
	if in.Threshold <= 0 {
		return nil, badField("thresholdBytes", "outOfRange", "the limit is a number of bytes above 0")
	}
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	limit := strconv.FormatInt(int64(in.Threshold), 10)
	p.add(step{Node: n.String(), Action: "UPDATE_COLD_DATA_FLOW_CTR_CONFIG", Target: in.Group, After: limit},
		func(ctx context.Context) (string, error) { return "", n.SetColdLimit(ctx, in.Group, limit) })
	return p.run()
}

func deleteColdFlow(c *call) (any, error) {
	group := c.query("group")
	if err := validName("group", group); err != nil {
		return nil, err
	}
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	p.add(step{Node: n.String(), Action: "REMOVE_COLD_DATA_FLOW_CTR_CONFIG", Target: group},
		func(ctx context.Context) (string, error) { return "", n.DropColdLimit(ctx, group) })
	return p.run()
}
