package httpapi

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

type clusterAnswer struct {
	Name          string        `json:"name"`
	NameServers   []string      `json:"nameServers"`
	BrokerSets    int           `json:"brokerSets"`
	Brokers       int           `json:"brokers"`
	Masters       int           `json:"masters"`
	Slaves        int           `json:"slaves"`
	WithoutMaster []string      `json:"withoutMaster"`
	Versions      []string      `json:"versions,omitempty"`
	InTPS         *float64      `json:"inTps,omitempty"`
	OutTPS        *float64      `json:"outTps,omitempty"`
	InToday       *i64          `json:"inToday,omitempty"`
	OutToday      *i64          `json:"outToday,omitempty"`
	Topics        *int          `json:"topics,omitempty"`
	Groups        *int          `json:"groups,omitempty"`
	Lag           *i64          `json:"lag,omitempty"`
	MaxDiskRatio  *float64      `json:"maxDiskRatio,omitempty"`
	Capabilities  *capabilities `json:"capabilities,omitempty"`
	partial
}

// capabilities is what the servers of a cluster can do.
type capabilities struct {
	CometMQ         bool `json:"cometmq"`
	ClientList      bool `json:"clientList"`
	KickClient      bool `json:"kickClient"`
	ColdFlowControl bool `json:"coldFlowControl"`
	ACL             bool `json:"acl"`
	Timer           bool `json:"timer"`
}

func (c *call) shape(name string, sets []mq.BrokerSet) clusterAnswer {
	out := clusterAnswer{Name: name, NameServers: c.a.cluster.NameServers(), BrokerSets: len(sets), WithoutMaster: []string{}}
	for i := range sets {
		out.Brokers += len(sets[i].Addrs)
		if sets[i].Master() == "" {
			out.WithoutMaster = append(out.WithoutMaster, sets[i].Name)
			continue
		}
		out.Masters++
	}
	out.Slaves = out.Brokers - out.Masters
	return out
}

func listClusters(c *call) (any, error) {
	info, err := c.a.cluster.NameServer("").ClusterInfo(c.ctx)
	if err != nil {
		return nil, err
	}
	var out []clusterAnswer
	for _, name := range slices.Sorted(maps.Keys(info.Clusters)) {
		out = append(out, c.shape(name, info.In(name)))
	}
	return whole(out, nil), nil
}

// getCluster adds up what its brokers say: two requests each.
func getCluster(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	out := c.shape(k.name, k.sets)
	runtimes, errs := ask(c.ctx, k.all(), func(ctx context.Context, n *node) (map[string]string, error) { return n.RuntimeInfo(ctx) })
	var in, outTPS, disk float64
	var inToday, outToday int64
	caps := &capabilities{CometMQ: len(runtimes) > 0}
	seen := map[string]bool{}
	for _, r := range runtimes {
		b := brokerOf(&r.node, r.v)
		seen[b.Version] = true
		disk = max(disk, value(b.DiskRatio))
		caps.CometMQ = caps.CometMQ && b.Product == productOurs
		if r.node.id == 0 {
			in, outTPS = in+value(b.InTPS), outTPS+value(b.OutTPS)
			inToday, outToday = inToday+int64(value(b.InToday)), outToday+int64(value(b.OutToday))
		}
	}
	delete(seen, "")
	out.Versions = slices.Sorted(maps.Keys(seen))
	if len(runtimes) > 0 {
		out.InTPS, out.OutTPS, out.MaxDiskRatio, out.InToday, out.OutToday = &in, &outTPS, &disk, opt(inToday), opt(outToday)
		caps.ACL, caps.Timer = true, true
		caps.ColdFlowControl = !caps.CometMQ
		caps.ClientList = caps.CometMQ
		out.Capabilities = caps
	}
	if topics, err := k.NameServer("").TopicsOf(c.ctx, k.name); err == nil { // an extra: the rest is worth having without it
		n := 0
		for _, t := range topics {
			if !hiddenTopic(topicType(t, nil, nil)) && !isBrokerName(&k.info, t) {
				n++
			}
		}
		out.Topics = &n
	}
	out.partial = partialOf(errs)
	return &out, nil
}

// isBrokerName tells topics that brokers are registered under.
func isBrokerName(info *mq.ClusterInfo, topic string) bool {
	_, broker := info.Brokers[topic]
	_, cluster := info.Clusters[topic]
	return broker || cluster
}

// Products, as brokers tell.
const (
	productOurs = "cometmq"
	productJava = "java"
)

type brokerAnswer struct {
	Name           string   `json:"name"`
	ID             int64    `json:"id"`
	Addr           string   `json:"addr"`
	Cluster        string   `json:"cluster"`
	Role           string   `json:"role"`
	Reachable      bool     `json:"reachable"`
	Version        string   `json:"version,omitempty"`
	Product        string   `json:"product,omitempty"`
	InTPS          *float64 `json:"inTps,omitempty"`
	OutTPS         *float64 `json:"outTps,omitempty"`
	InToday        *i64     `json:"inToday,omitempty"`
	OutToday       *i64     `json:"outToday,omitempty"`
	InYesterday    *i64     `json:"inYesterday,omitempty"`
	OutYesterday   *i64     `json:"outYesterday,omitempty"`
	DiskRatio      *float64 `json:"diskRatio,omitempty"`
	DispatchBehind *i64     `json:"dispatchBehindBytes,omitempty"`
	HABehind       *i64     `json:"haBehindBytes,omitempty"`
	Earliest       int64    `json:"earliestMessage,omitempty"`
	Started        int64    `json:"started,omitempty"`
	Active         *bool    `json:"active,omitempty"`
}

// brokerOf reads Java's table of a broker; rt nil: it did not answer.
func brokerOf(n *node, rt map[string]string) brokerAnswer {
	b := brokerAnswer{Name: n.set.Name, ID: n.id, Addr: n.addr, Cluster: n.set.Cluster, Role: "slave", Reachable: rt != nil}
	switch {
	case n.id == 0:
		b.Role = "master"
	case n.set.ActingMaster && n.set.Master() == "" && n.addr == n.set.Any():
		b.Role = "actingMaster"
	}
	if rt == nil {
		return b
	}
	b.Version, b.Product = rt["brokerVersionDesc"], productJava
	if rt["acknowledgedMeans"] != "" { // Java has no such key
		b.Product = productOurs
	}
	b.InTPS, b.OutTPS = firstFloat(rt["putTps"]), firstFloat(rt["getTransferredTps"])
	b.InToday, b.OutToday = difference(rt, "msgPutTotalTodayNow", "msgPutTotalTodayMorning"), difference(rt, "msgGetTotalTodayNow", "msgGetTotalTodayMorning")
	b.InYesterday = difference(rt, "msgPutTotalTodayMorning", "msgPutTotalYesterdayMorning")
	b.OutYesterday = difference(rt, "msgGetTotalTodayMorning", "msgGetTotalYesterdayMorning")
	b.DiskRatio, b.DispatchBehind = firstFloat(rt["commitLogDiskRatio"]), whole64(rt["dispatchBehindBytes"])
	b.Earliest, b.Started = int64(value(whole64(rt["earliestMessageTimeStamp"]))), int64(value(whole64(rt["bootTimestamp"])))
	if b.Earliest < 0 {
		b.Earliest = 0
	}
	if v, ok := rt["brokerActive"]; ok {
		active := v == "true"
		b.Active = &active
	}
	return b
}

// firstFloat reads the first of several numbers: rates of 10 s, a minute and ten minutes stand in one text.
func firstFloat(s string) *float64 {
	first, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil
	}
	return &v
}

func whole64(s string) *i64 {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil
	}
	return opt(v)
}

func difference(rt map[string]string, now, before string) *i64 {
	a, b := whole64(rt[now]), whole64(rt[before])
	if a == nil || b == nil {
		return nil
	}
	return opt(max(int64(*a-*b), 0))
}

func listBrokers(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	all := k.all()
	answers, errs := ask(c.ctx, all, func(ctx context.Context, n *node) (map[string]string, error) { return n.RuntimeInfo(ctx) })
	tables := map[string]map[string]string{}
	for _, r := range answers {
		tables[r.node.String()] = r.v
	}
	var out []brokerAnswer
	for i := range all {
		if q.wants(all[i].set.Name, all[i].addr) {
			out = append(out, brokerOf(&all[i], tables[all[i].String()]))
		}
	}
	return pageOf(c, q, out, errs, text("name", func(b *brokerAnswer) string { return b.Name + ":" + strconv.FormatInt(b.ID, 10) }),
		number("inTps", func(b *brokerAnswer) float64 { return value(b.InTPS) }), number("outTps", func(b *brokerAnswer) float64 { return value(b.OutTPS) }),
		number("diskRatio", func(b *brokerAnswer) float64 { return value(b.DiskRatio) }), number("inToday", func(b *brokerAnswer) i64 { return value(b.InToday) }),
		text("version", func(b *brokerAnswer) string { return b.Version }))
}

func getBroker(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	rt, err := n.RuntimeInfo(c.ctx)
	if err != nil {
		return nil, err
	}
	b := brokerOf(n, rt)
	ours := b.Product == productOurs
	return &struct {
		Broker       brokerAnswer      `json:"broker"`
		Runtime      map[string]string `json:"runtime"`
		Capabilities capabilities      `json:"capabilities"`
	}{b, rt, capabilities{CometMQ: ours, ClientList: ours, ColdFlowControl: !ours, ACL: true, Timer: true}}, nil
}
