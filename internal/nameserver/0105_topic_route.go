package nameserver

import (
	"maps"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_ROUTEINFO_BY_TOPIC 105: every client asks this every 30 s for each of its topics. The answer is standard JSON for
// clients from 4.9.4 on and for those that ask for it (acceptStandardJsonOnly); older ones read numbers as keys. With
// __ZONE_MODE and __ZONE_NAME in the header, brokers of other zones whose master is alive are left out.

// syncMembersPrefix begins the names of topics that are never served by an acting master.
const syncMembersPrefix = "rmq_sys_SYNC_BROKER_MEMBER_"

const noRouteRemark = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

func (s *Server) topicRoute(c *remoting.Conn, r *remoting.Request) {
	conf := s.conf()
	if conf.needWait && time.Since(s.started) < conf.waitForService {
		c.Reply(r.ReplyTo(), protocol.RespSystemError, "name server not ready", nil, nil)
		return
	}
	std := r.Version >= protocol.Version4_9_4
	zone, order := "", ""
	topic, orderSet := "null", false
	zoneMode := false
	for _, f := range r.Fields {
		switch string(f.Key) {
		case "topic":
			topic = string(f.Val)
		case "acceptStandardJsonOnly":
			std = std || strings.EqualFold(string(f.Val), "true")
		case "__ZONE_MODE":
			zoneMode = strings.EqualFold(string(f.Val), "true")
		case "__ZONE_NAME":
			zone = string(f.Val)
		}
	}
	if conf.orderConf {
		order, orderSet = s.kv.get(orderNamespace, topic)
	}

	var body []byte
	switch {
	case zoneMode && strings.TrimSpace(zone) != "":
		// Java filters the encoded answer and encodes it again, always in the old form.
		if d, ok := s.view(topic, conf); ok {
			setOrder(&d, order, orderSet)
			keepZone(&d, zone)
			body = d.AppendTo(nil, false)
		}
	case orderSet:
		if d, ok := s.view(topic, conf); ok {
			setOrder(&d, order, orderSet)
			body = d.AppendTo(nil, std)
		}
	default:
		body = s.cachedRoute(topic, conf, std)
	}
	if body == nil {
		c.Reply(r.ReplyTo(), protocol.RespTopicNotExist, "No topic route info in name server for the topic: "+topic+noRouteRemark, nil, nil)
		return
	}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, body)
}

func (s *Server) view(topic string, conf *settings) (protocol.TopicRouteData, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.routes.topics[topic]
	if t == nil {
		return protocol.TopicRouteData{}, false
	}
	return s.routes.view(t, conf.actingMaster), true
}

// cachedRoute returns the encoded route of a topic without an order configuration, nil when there is none. Many may
// look at the same time, and encode the same thing at worst.
func (s *Server) cachedRoute(topic string, conf *settings, std bool) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.routes.topics[topic]
	if t == nil {
		return nil
	}
	slot := &t.cached[0]
	if std {
		slot = &t.cached[1]
	}
	if a := slot.Load(); a != nil && a.gen == s.routes.gen {
		return a.body
	}
	d := s.routes.view(t, conf.actingMaster)
	a := &answer{gen: s.routes.gen, body: d.AppendTo(nil, std)}
	slot.Store(a)
	return a.body
}

// view describes a topic to clients. actingMaster: a group whose master is gone shows its first slave as the master.
func (r *routes) view(t *topic, actingMaster bool) protocol.TopicRouteData {
	d := protocol.TopicRouteData{
		QueueDatas:        make([]protocol.QueueData, 0, len(t.queues)),
		BrokerDatas:       make([]protocol.BrokerData, 0, len(t.queues)),
		FilterServerTable: map[string][]string{},
	}
	actingMaster = actingMaster && !strings.HasPrefix(t.name, syncMembersPrefix)
	for i := range t.queues {
		q := &t.queues[i]
		d.QueueDatas = append(d.QueueDatas, protocol.QueueData{
			BrokerName: q.group.name, ReadQueueNums: q.read, WriteQueueNums: q.write, Perm: q.perm, TopicSysFlag: q.sysFlag,
		})
		b := q.group.data()
		if actingMaster && q.group.acting && q.group.members[0].id != masterID && q.perm&permWrite == 0 {
			delete(b.BrokerAddrs, q.group.members[0].id)
			b.BrokerAddrs[masterID] = q.group.members[0].addr
		}
		d.BrokerDatas = append(d.BrokerDatas, b)
		for _, m := range q.group.members {
			if f := r.filters[endpoint{q.group.cluster, m.addr}]; f != nil {
				d.FilterServerTable[m.addr] = f
			}
		}
	}
	if len(t.mappings) > 0 {
		d.TopicQueueMappingByBroker = maps.Clone(t.mappings)
	}
	return d
}

// data describes a group to clients.
func (g *group) data() protocol.BrokerData {
	return protocol.BrokerData{
		Cluster: g.cluster, BrokerName: g.name, BrokerAddrs: g.addrs(), ZoneName: g.zone, EnableActingMaster: g.acting,
	}
}

func (g *group) addrs() map[int64]string {
	addrs := make(map[int64]string, len(g.members))
	for _, m := range g.members {
		addrs[m.id] = m.addr
	}
	return addrs
}

func setOrder(d *protocol.TopicRouteData, order string, set bool) {
	if set {
		d.OrderTopicConf = order
	}
}

// keepZone removes the brokers of other zones, except those whose master is gone: they are better than none.
func keepZone(d *protocol.TopicRouteData, zone string) {
	brokers := d.BrokerDatas[:0]
	removed := make(map[string]bool)
	for _, b := range d.BrokerDatas {
		if _, master := b.BrokerAddrs[masterID]; !master || strings.EqualFold(b.ZoneName, zone) {
			brokers = append(brokers, b)
			continue
		}
		removed[b.BrokerName] = true
		for _, addr := range b.BrokerAddrs {
			delete(d.FilterServerTable, addr)
		}
	}
	d.BrokerDatas = brokers
	queues := d.QueueDatas[:0]
	for _, q := range d.QueueDatas {
		if !removed[q.BrokerName] {
			queues = append(queues, q)
		}
	}
	d.QueueDatas = queues
}
