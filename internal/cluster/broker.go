package cluster

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// broker is one broker by its address.
type broker struct {
	c    *Cluster
	addr string
}

// Broker returns one broker.
func (c *Cluster) Broker(addr string) mq.RemoteBroker { return &broker{c, addr} }

func (b *broker) call(ctx context.Context, code int32, h remoting.HeaderAppender, body []byte) (*remoting.Response, error) {
	return b.c.call(ctx, b.addr, code, h, body)
}

// read asks for a body that decode understands.
func (b *broker) read(ctx context.Context, code int32, h remoting.HeaderAppender, decode func(data []byte) error) error {
	r, err := b.call(ctx, code, h, nil)
	if err != nil {
		return err
	}
	if err := decode(r.Body); err != nil {
		return malformed(b.addr, code, err)
	}
	return nil
}

func (b *broker) Config(ctx context.Context) ([]mq.Setting, error) {
	return b.c.config(ctx, b.addr, protocol.ReqGetBrokerConfig)
}

func (b *broker) SetConfig(ctx context.Context, key, value string) (string, error) {
	return b.c.setConfig(ctx, b.addr, protocol.ReqUpdateBrokerConfig, key, value)
}

func (b *broker) RuntimeInfo(ctx context.Context) (map[string]string, error) {
	var t protocol.KVTable
	err := b.read(ctx, protocol.ReqGetBrokerRuntimeInfo, nil, t.Decode)
	return t.Table, err
}

func (b *broker) Consumers(ctx context.Context, group string) (mq.ConsumerGroup, error) {
	var body protocol.ConsumerConnection
	if err := b.read(ctx, protocol.ReqGetConsumerConnectionList, &protocol.GetConsumerConnectionListRequestHeader{ConsumerGroup: group}, body.Decode); err != nil {
		return mq.ConsumerGroup{}, err
	}
	return consumerGroup(&body), nil
}

func consumerGroup(body *protocol.ConsumerConnection) mq.ConsumerGroup {
	g := mq.ConsumerGroup{
		Type: mq.ConsumeType(body.ConsumeType), Broadcast: body.MessageModel == "BROADCASTING", FromWhere: body.ConsumeFromWhere,
		Connections: connections(body.ConnectionSet),
	}
	for _, s := range body.SubscriptionTable {
		g.Subscriptions = append(g.Subscriptions, subscription(&s))
	}
	return g
}

func subscription(s *protocol.SubscriptionData) mq.Subscription {
	return mq.Subscription{
		Topic: s.Topic, Expression: s.SubString, ExpressionType: s.ExpressionType, Tags: s.TagsSet, Codes: s.CodeSet,
		Version: s.SubVersion, ClassFilter: s.ClassFilterMode,
	}
}

func connections(list []protocol.Connection) []mq.Connection {
	out := make([]mq.Connection, len(list))
	for i, c := range list {
		remote, _ := netip.ParseAddrPort(c.ClientAddr) // a name instead of an address is left out
		out[i] = mq.Connection{ClientID: c.ClientID, Language: c.Language, Version: c.Version, Remote: remote}
	}
	return out
}

func (b *broker) Producers(ctx context.Context, group string) ([]mq.Connection, error) {
	var body protocol.ProducerConnection
	err := b.read(ctx, protocol.ReqGetProducerConnectionList, &protocol.GetProducerConnectionListRequestHeader{ProducerGroup: group}, body.Decode)
	return connections(body.ConnectionSet), err
}

func (b *broker) AllProducers(ctx context.Context) (map[string][]mq.ProducerInfo, error) {
	var body protocol.ProducerTableInfo
	if err := b.read(ctx, protocol.ReqGetAllProducerInfo, nil, body.Decode); err != nil {
		return nil, err
	}
	return producers(&body), nil
}

func (b *broker) AllClients(ctx context.Context) (mq.AllClients, error) {
	var body protocol.ProducerTableInfo
	if err := b.read(ctx, protocol.ReqGetAllProducerInfo, withConsumers{}, body.Decode); err != nil {
		return mq.AllClients{}, err
	}
	out := mq.AllClients{Producers: producers(&body)}
	if body.Consumers != nil {
		out.Consumers = make(map[string]mq.ConsumerGroup, len(body.Consumers))
		for group, c := range body.Consumers {
			out.Consumers[group] = consumerGroup(&c)
		}
	}
	return out, nil
}

type withConsumers struct{}

func (withConsumers) AppendTo(w *protocol.FieldWriter) { w.Str(protocol.FieldWithConsumers, "true") }

func producers(body *protocol.ProducerTableInfo) map[string][]mq.ProducerInfo {
	out := make(map[string][]mq.ProducerInfo, len(body.Data))
	for group, list := range body.Data {
		for _, p := range list {
			text := p.RemoteIP
			if len(text) > 0 && text[0] == '/' {
				text = text[1:]
			}
			remote, _ := netip.ParseAddrPort(text)
			out[group] = append(out[group], mq.ProducerInfo{
				Connection: mq.Connection{ClientID: p.ClientID, Language: p.Language, Version: p.Version, Remote: remote},
				LastSeen:   p.LastUpdateTimestamp,
			})
		}
	}
	return out
}

// askClient is for questions that the broker hands on: what the client answers is not an error of the broker.
func (b *broker) askClient(ctx context.Context, code int32, h remoting.HeaderAppender) (mq.ClientAnswer, error) {
	r, err := b.c.ask(ctx, b.addr, code, h, nil, max(b.c.timeout, clientWait))
	if err != nil {
		return mq.ClientAnswer{}, err
	}
	if r.Code != protocol.RespSuccess && r.Body == nil {
		return mq.ClientAnswer{}, refused(b.addr, code, r)
	}
	return mq.ClientAnswer{Code: r.Code, Remark: r.Remark, Body: r.Body}, nil
}

// clientWait is more than the 10 s that a broker waits for its client.
const clientWait = 12 * time.Second

func (b *broker) Ask(ctx context.Context, r *mq.RunningInfoRequest) (mq.ClientAnswer, error) {
	return b.askClient(ctx, protocol.ReqGetConsumerRunningInfo, &protocol.GetConsumerRunningInfoRequestHeader{
		ConsumerGroup: r.Group, ClientID: r.ClientID, JstackEnable: r.Stacks,
	})
}

func (b *broker) HaveConsumed(ctx context.Context, r *mq.DirectRequest) (mq.ClientAnswer, error) {
	return b.askClient(ctx, protocol.ReqConsumeMessageDirectly, &protocol.ConsumeMessageDirectlyResultRequestHeader{
		ConsumerGroup: r.Group, ClientID: r.ClientID, MsgID: r.MessageID, BrokerName: r.Broker, Topic: r.Topic,
	})
}

func (b *broker) Stats(ctx context.Context, name, key string) (mq.Stats, error) {
	var s protocol.BrokerStatsData
	if err := b.read(ctx, protocol.ReqViewBrokerStatsData, &protocol.ViewBrokerStatsDataRequestHeader{StatsName: name, StatsKey: key}, s.Decode); err != nil {
		return mq.Stats{}, err
	}
	span := func(i *protocol.StatsItem) mq.StatsWindow {
		return mq.StatsWindow{Sum: i.Sum, TPS: i.Tps, AvgPT: i.AvgPt}
	}
	return mq.Stats{Minute: span(&s.Minute), Hour: span(&s.Hour), Day: span(&s.Day)}, nil
}

func (b *broker) GroupsStats(ctx context.Context, ordered bool) (mq.GroupsStats, error) {
	var l protocol.ConsumeStatsList
	if err := b.read(ctx, protocol.ReqGetBrokerConsumeStats, &orderHeader{ordered}, l.Decode); err != nil {
		return mq.GroupsStats{}, err
	}
	out := mq.GroupsStats{Broker: l.BrokerAddr, Total: l.TotalDiff, Inflight: l.TotalInflightDiff}
	for i := range l.Groups {
		g := mq.GroupStats{Group: l.Groups[i].Group}
		for j := range l.Groups[i].Stats {
			g.Stats = append(g.Stats, consumeStats(&l.Groups[i].Stats[j]))
		}
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

type orderHeader struct{ ordered bool }

func (h *orderHeader) AppendTo(w *protocol.FieldWriter) {
	w.Str("isOrder", strconv.FormatBool(h.ordered))
}

func (b *broker) HAStatus(ctx context.Context) (mq.HAStatus, error) {
	var h protocol.HARuntimeInfo
	if err := b.read(ctx, protocol.ReqGetBrokerHAStatus, nil, h.Decode); err != nil {
		return mq.HAStatus{}, err
	}
	out := mq.HAStatus{
		Master: h.Master, End: mq.Offset(h.MasterCommitLogMaxOffset), InSync: h.InSyncSlaveNums,
		Client: mq.HAClientStatus{
			Master: h.Client.MasterAddr, Rate: h.Client.TransferredByteInSecond, End: mq.Offset(h.Client.MaxOffset),
			LastRead: h.Client.LastReadTimestamp, LastWrite: h.Client.LastWriteTimestamp, Start: mq.Offset(h.Client.MasterFlushOffset),
			Connected: h.Client.Activated,
		},
	}
	for _, s := range h.Connections {
		out.Slaves = append(out.Slaves, mq.SlaveStatus{
			Addr: s.Addr, Acked: mq.Offset(s.SlaveAckOffset), Behind: s.Diff, InSync: s.InSync, Rate: s.TransferredByteInSecond,
			SentUpTo: mq.Offset(s.TransferFromWhere),
		})
	}
	return out, nil
}

func (b *broker) Epochs(ctx context.Context) (mq.Epochs, error) {
	var e protocol.EpochEntryCache
	if err := b.read(ctx, protocol.ReqGetBrokerEpochCache, nil, e.Decode); err != nil {
		return mq.Epochs{}, err
	}
	out := mq.Epochs{Cluster: e.ClusterName, Broker: e.BrokerName, BrokerID: e.BrokerID, Max: mq.Offset(e.MaxOffset)}
	for _, x := range e.EpochList {
		out.List = append(out.List, mq.Epoch{Epoch: x.Epoch, Start: mq.Offset(x.StartOffset), End: mq.Offset(x.EndOffset)})
	}
	return out, nil
}

func (b *broker) ResetMasterFlush(ctx context.Context, at mq.Offset) error {
	_, err := b.call(ctx, protocol.ReqResetMasterFlushOffset, &protocol.ResetMasterFlushOffsetHeader{MasterFlushOffset: int64(at)}, nil)
	return err
}

func (b *broker) SystemTopics(ctx context.Context) ([]string, error) {
	var l protocol.TopicList
	err := b.read(ctx, protocol.ReqGetSystemTopicListFromBroker, nil, l.Decode)
	return l.TopicList, err
}

func (b *broker) Clean(ctx context.Context, what mq.Cleaning) error {
	code := protocol.ReqCleanExpiredConsumeQueue
	switch what {
	case mq.CleanExpiredQueues:
	case mq.CleanExpiredLog:
		code = protocol.ReqDeleteExpiredCommitLog
	case mq.CleanUnusedTopics:
		code = protocol.ReqCleanUnusedTopic
	}
	_, err := b.call(ctx, code, nil, nil)
	return err
}

func (b *broker) SetConsumeMode(ctx context.Context, topic, group, mode string, shareQueues int32) error {
	body := protocol.SetMessageRequestModeRequestBody{Topic: topic, ConsumerGroup: group, Mode: mode, PopShareQueueNum: shareQueues}
	_, err := b.call(ctx, protocol.ReqSetMessageRequestMode, nil, body.AppendTo(nil, false))
	return err
}
