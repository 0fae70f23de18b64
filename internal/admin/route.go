package admin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// routeJSON is Java's TopicRouteData, with its key order.
type routeJSON struct {
	Brokers []routeBroker `json:"brokerDatas"`
	Queues  []routeQueues `json:"queueDatas"`
	Order   string        `json:"orderTopicConf,omitempty"`
}

type routeBroker struct {
	Addrs   map[int64]string `json:"brokerAddrs"`
	Name    string           `json:"brokerName"`
	Cluster string           `json:"cluster"`
	Acting  bool             `json:"enableActingMaster"`
	Zone    string           `json:"zoneName,omitempty"`
}

type routeQueues struct {
	Broker  string `json:"brokerName"`
	Perm    int32  `json:"perm"`
	Read    int32  `json:"readQueueNums"`
	SysFlag int32  `json:"topicSysFlag"`
	Write   int32  `json:"writeQueueNums"`
}

func topicRoute(c *Call) error {
	r, err := c.NameServer("").Route(c.Ctx, c.Str("t"))
	if err != nil {
		return err
	}
	slices.SortFunc(r.Queues, func(a, b mq.RouteQueues) int { return strings.Compare(a.Broker, b.Broker) })
	v := routeJSON{Order: r.Order}
	for _, b := range r.Brokers {
		v.Brokers = append(v.Brokers, routeBroker{b.Addrs, b.Name, b.Cluster, b.ActingMaster, b.Zone})
	}
	for _, q := range r.Queues {
		v.Queues = append(v.Queues, routeQueues{q.Broker, int32(q.Perm), q.Read, q.SysFlag, q.Write})
	}
	if c.Table() && (c.Has("l") || c.Wide()) {
		const line = "%-45s %-32v %-50s %-10v %-11v %-5v\n"
		c.Say(line, "#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm")
		var read, write int32
		for _, q := range r.Queues {
			var set mq.BrokerSet
			if s := r.Set(q.Broker); s != nil {
				set = *s
			}
			c.Say(line, set.Cluster, q.Broker, addrsText(set.Addrs), q.Read, q.Write, int32(q.Perm))
			read, write = read+q.Read, write+q.Write
		}
		c.Say("%s\n", strings.Repeat("-", 158))
		c.Say(line, "Total:", len(r.Queues), "", read, write, "")
		return nil
	}
	c.Only(v, "%s\n", routeText(&v))
	return nil
}

func addrsText(m map[int64]string) string {
	list := make([]string, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		list = append(list, strconv.FormatInt(id, 10)+"="+m[id])
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// routeText is fastjson's pretty form: tabs, and ids without quotes.
func routeText(v *routeJSON) string {
	var b strings.Builder
	b.WriteString("{\n\t\"brokerDatas\":[")
	for i, d := range v.Brokers {
		b.WriteString(comma(i) + "\n\t\t{\n\t\t\t\"brokerAddrs\":{")
		for j, id := range slices.Sorted(maps.Keys(d.Addrs)) {
			fmt.Fprintf(&b, "%s\n\t\t\t\t%d:%q", comma(j), id, d.Addrs[id])
		}
		fmt.Fprintf(&b, "\n\t\t\t},\n\t\t\t\"brokerName\":%q,\n\t\t\t\"cluster\":%q,\n\t\t\t\"enableActingMaster\":%t", d.Name, d.Cluster, d.Acting)
		if d.Zone != "" {
			fmt.Fprintf(&b, ",\n\t\t\t\"zoneName\":%q", d.Zone)
		}
		b.WriteString("\n\t\t}")
	}
	b.WriteString("\n\t],\n\t\"filterServerTable\":{},\n")
	if v.Order != "" {
		fmt.Fprintf(&b, "\t\"orderTopicConf\":%q,\n", v.Order)
	}
	b.WriteString("\t\"queueDatas\":[")
	for i, q := range v.Queues {
		fmt.Fprintf(&b, "%s\n\t\t{\n\t\t\t\"brokerName\":%q,\n\t\t\t\"perm\":%d,\n\t\t\t\"readQueueNums\":%d,\n\t\t\t\"topicSysFlag\":%d,\n\t\t\t\"writeQueueNums\":%d\n\t\t}",
			comma(i), q.Broker, q.Perm, q.Read, q.SysFlag, q.Write)
	}
	b.WriteString("\n\t]\n}")
	return b.String()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// queueRow is one queue of topicStatus.
type queueRow struct {
	Topic      string `json:"topic"`
	Broker     string `json:"broker"`
	Queue      int32  `json:"queue"`
	Min        int64  `json:"minOffset"`
	Max        int64  `json:"maxOffset"`
	LastUpdate int64  `json:"lastUpdateMs"`
}

func topicStatus(c *Call) error {
	topic := c.Str("t")
	_, holders, err := c.holders(c.StrOr("c", topic))
	if err != nil {
		return err
	}
	var rows []queueRow
	var tps float64
	for _, h := range holders {
		st, err := h.broker.TopicStats(c.Ctx, topic)
		if err != nil {
			c.Failed(err)
			continue
		}
		tps += st.PutTPS
		for _, q := range st.Queues {
			rows = append(rows, queueRow{q.Queue.Topic, q.Queue.Broker, q.Queue.ID, int64(q.Min), int64(q.Max), q.LastUpdate})
		}
	}
	if rows == nil {
		return errors.New("Not found the topic stats info") //nolint:staticcheck // Java's text
	}
	slices.SortFunc(rows, func(a, b queueRow) int { return compareQueues(a.Topic, b.Topic, a.Broker, b.Broker, a.Queue, b.Queue) })
	c.Say("%-32s  %-4s  %-20s  %-20s    %s\n", "#Broker Name", "#QID", "#Min Offset", "#Max Offset", "#Last Updated")
	for _, r := range rows {
		last := ""
		if r.LastUpdate > 0 {
			last = millis(r.LastUpdate)
		}
		c.Row(r, "%-32s  %-4d  %-20d  %-20d    %s\n", cut(r.Broker, 32), r.Queue, r.Min, r.Max, last)
	}
	c.Say("\nTopic Put TPS: %s\n", double(tps))
	return nil
}

// clustersOf are the clusters of a topic, sorted.
func (c *Call) clustersOf(topic string) ([]string, error) {
	r, err := c.NameServer("").Route(c.Ctx, topic)
	if err != nil {
		return nil, err
	}
	set := map[string]bool{}
	for _, b := range r.Brokers {
		set[b.Cluster] = true
	}
	return slices.Sorted(maps.Keys(set)), nil
}
