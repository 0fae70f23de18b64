package cluster

import (
	"context"
	"errors"
	"strconv"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// nameServer is one name server, or "" = the first that answers.
type nameServer struct {
	c    *Cluster
	addr string
}

// NameServer returns one name server.
func (c *Cluster) NameServer(addr string) mq.NameServerAdmin { return &nameServer{c, addr} }

var errNoNameServer = errors.New("no name server address: give it with -n or NAMESRV_ADDR")

// call asks the name server; with several, the next one when one gives no answer at all.
func (n *nameServer) call(ctx context.Context, code int32, h remoting.HeaderAppender, body []byte) (*remoting.Response, error) {
	_, r, err := n.callOne(ctx, code, h, body)
	return r, err
}

func (n *nameServer) callOne(ctx context.Context, code int32, h remoting.HeaderAppender, body []byte) (string, *remoting.Response, error) {
	if n.addr != "" {
		r, err := n.c.call(ctx, n.addr, code, h, body)
		return n.addr, r, err
	}
	var errs []error
	for _, addr := range n.c.names {
		r, err := n.c.call(ctx, addr, code, h, body)
		if err == nil {
			return addr, r, nil
		}
		if e, ok := errors.AsType[*mq.CallError](err); ok && e.Code != 0 {
			return addr, nil, err
		}
		errs = append(errs, err)
	}
	if errs == nil {
		return "", nil, errNoNameServer
	}
	return "", nil, errors.Join(errs...)
}

func (n *nameServer) ClusterInfo(ctx context.Context) (mq.ClusterInfo, error) {
	addr, r, err := n.callOne(ctx, protocol.ReqGetBrokerClusterInfo, nil, nil)
	if err != nil {
		return mq.ClusterInfo{}, err
	}
	var b protocol.ClusterInfo
	if err := b.Decode(r.Body); err != nil {
		return mq.ClusterInfo{}, malformed(addr, protocol.ReqGetBrokerClusterInfo, err)
	}
	info := mq.ClusterInfo{Clusters: b.ClusterAddrTable, Brokers: make(map[string]mq.BrokerSet, len(b.BrokerAddrTable))}
	for name, d := range b.BrokerAddrTable {
		info.Brokers[name] = brokerSet(&d)
	}
	return info, nil
}

func brokerSet(d *protocol.BrokerData) mq.BrokerSet {
	return mq.BrokerSet{
		Cluster: d.Cluster, Name: d.BrokerName, Addrs: d.BrokerAddrs, Zone: d.ZoneName, ActingMaster: d.EnableActingMaster,
	}
}

func (n *nameServer) Route(ctx context.Context, topic string) (mq.Route, error) {
	h := &protocol.GetRouteInfoRequestHeader{Topic: topic, AcceptStandardJsonOnly: true}
	addr, r, err := n.callOne(ctx, protocol.ReqGetRouteInfoByTopic, h, nil)
	if err != nil {
		return mq.Route{}, err
	}
	var b protocol.TopicRouteData
	if err := b.Decode(r.Body); err != nil {
		return mq.Route{}, malformed(addr, protocol.ReqGetRouteInfoByTopic, err)
	}
	route := mq.Route{Order: b.OrderTopicConf}
	for i := range b.BrokerDatas {
		route.Brokers = append(route.Brokers, brokerSet(&b.BrokerDatas[i]))
	}
	for _, q := range b.QueueDatas {
		route.Queues = append(route.Queues, mq.RouteQueues{
			Broker: q.BrokerName, Read: q.ReadQueueNums, Write: q.WriteQueueNums, Perm: mq.Perm(q.Perm), SysFlag: q.TopicSysFlag,
		})
	}
	return route, nil
}

func (n *nameServer) topics(ctx context.Context, code int32, h remoting.HeaderAppender) ([]string, error) {
	addr, r, err := n.callOne(ctx, code, h, nil)
	if err != nil {
		return nil, err
	}
	var b protocol.TopicList
	if err := b.Decode(r.Body); err != nil {
		return nil, malformed(addr, code, err)
	}
	return b.TopicList, nil
}

func (n *nameServer) Topics(ctx context.Context) ([]string, error) {
	return n.topics(ctx, protocol.ReqGetAllTopicListFromNameServer, nil)
}

func (n *nameServer) TopicsOf(ctx context.Context, cluster string) ([]string, error) {
	return n.topics(ctx, protocol.ReqGetTopicsByCluster, &protocol.GetTopicsByClusterRequestHeader{Cluster: cluster})
}

func (n *nameServer) DropTopic(ctx context.Context, topic, cluster string) error {
	_, err := n.call(ctx, protocol.ReqDeleteTopicInNamesrv, &protocol.DeleteTopicFromNamesrvRequestHeader{Topic: topic, ClusterName: cluster}, nil)
	return err
}

func (n *nameServer) PutKV(ctx context.Context, namespace, key, value string) error {
	_, err := n.call(ctx, protocol.ReqPutKVConfig, &protocol.PutKVConfigRequestHeader{Namespace: namespace, Key: key, Value: value}, nil)
	return err
}

func (n *nameServer) KV(ctx context.Context, namespace, key string) (string, error) {
	r, err := n.call(ctx, protocol.ReqGetKVConfig, &protocol.GetKVConfigRequestHeader{Namespace: namespace, Key: key}, nil)
	if err != nil {
		return "", err
	}
	return r.Ext["value"], nil
}

func (n *nameServer) KVs(ctx context.Context, namespace string) (map[string]string, error) {
	addr, r, err := n.callOne(ctx, protocol.ReqGetKVListByNamespace, &protocol.GetKVListByNamespaceRequestHeader{Namespace: namespace}, nil)
	if err != nil {
		return nil, err
	}
	var t protocol.KVTable
	if err := t.Decode(r.Body); err != nil {
		return nil, malformed(addr, protocol.ReqGetKVListByNamespace, err)
	}
	return t.Table, nil
}

func (n *nameServer) DeleteKV(ctx context.Context, namespace, key string) error {
	_, err := n.call(ctx, protocol.ReqDeleteKVConfig, &protocol.DeleteKVConfigRequestHeader{Namespace: namespace, Key: key}, nil)
	return err
}

func (n *nameServer) SetWritable(ctx context.Context, broker string, writable bool) (int, error) {
	code, field := protocol.ReqWipeWritePermOfBroker, "wipeTopicCount"
	var h remoting.HeaderAppender = &protocol.WipeWritePermOfBrokerRequestHeader{BrokerName: broker}
	if writable {
		code, field = protocol.ReqAddWritePermOfBroker, "addTopicCount"
		h = &protocol.AddWritePermOfBrokerRequestHeader{BrokerName: broker}
	}
	addr, r, err := n.callOne(ctx, code, h, nil)
	if err != nil {
		return 0, err
	}
	count, err := strconv.Atoi(r.Ext[field])
	if err != nil {
		return 0, malformed(addr, code, err)
	}
	return count, nil
}

func (n *nameServer) Config(ctx context.Context) ([]mq.Setting, error) {
	r, err := n.call(ctx, protocol.ReqGetNamesrvConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	return settings(r.Body), nil
}

func (n *nameServer) SetConfig(ctx context.Context, key, value string) (string, error) {
	r, err := n.call(ctx, protocol.ReqUpdateNamesrvConfig, nil, property(key, value))
	if err != nil {
		return "", err
	}
	return r.Remark, nil
}
