package cluster

import (
	"context"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

func (b *broker) ColdReads(ctx context.Context) ([]byte, error) {
	r, err := b.call(ctx, protocol.ReqGetColdDataFlowCtrInfo, nil, nil)
	if err != nil {
		return nil, err
	}
	return r.Body, nil
}

func (b *broker) SetColdLimit(ctx context.Context, group, limit string) error {
	_, err := b.call(ctx, protocol.ReqUpdateColdDataFlowCtrConfig, nil, property(group, limit))
	return err
}

func (b *broker) DropColdLimit(ctx context.Context, group string) error {
	_, err := b.call(ctx, protocol.ReqRemoveColdDataFlowCtrConfig, nil, []byte(group))
	return err
}

func (b *broker) SetReadAhead(ctx context.Context, mode string) (string, error) {
	r, err := b.call(ctx, protocol.ReqSetCommitLogReadMode, &protocol.SetCommitLogReadModeRequestHeader{ReadAheadMode: mode}, nil)
	if err != nil {
		return "", err
	}
	return r.Remark, nil
}

// engineHeader is no class in Java.
type engineHeader struct{ engine string }

func (h *engineHeader) AppendTo(w *protocol.FieldWriter) { w.Str("E_T", h.engine) }

func (b *broker) SwitchTimers(ctx context.Context, engine string) error {
	_, err := b.call(ctx, protocol.ReqSwitchTimerEngine, &engineHeader{engine}, nil)
	return err
}

// ask reads JSON that has no type of its own in protocol, because only tools read it.
func (b *broker) ask(ctx context.Context, code int32, h remoting.HeaderAppender, read func(v fastjson.Value)) error {
	return b.read(ctx, code, h, func(data []byte) error {
		v, err := fastjson.Parse(data)
		if err == nil {
			read(v)
		}
		return err
	})
}

func (b *broker) CheckQueues(ctx context.Context, topic string, since int64) (out mq.QueueCheck, err error) {
	h := &protocol.CheckRocksdbCqWriteProgressRequestHeader{Topic: topic, CheckStoreTime: since}
	err = b.ask(ctx, protocol.ReqCheckRocksDBCQWriteProgress, h, func(v fastjson.Value) {
		out = mq.QueueCheck{Status: v.Get("checkStatus").Int32(), Result: strings.Clone(v.Get("checkResult").Str())}
	})
	return out, err
}

// exportWait is how long Java's tools wait for work that takes a broker long.
const exportWait = 30 * time.Second

// long is call with more time.
func (b *broker) long(ctx context.Context, code int32, h remoting.HeaderAppender) error {
	r, err := b.c.ask(ctx, b.addr, code, h, nil, max(b.c.timeout, exportWait))
	if err == nil && r.Code != protocol.RespSuccess {
		return refused(b.addr, code, r)
	}
	return err
}

func (b *broker) ExportTables(ctx context.Context, tables []string) error {
	h := &protocol.ExportRocksDBConfigToJsonRequestHeader{ConfigType: strings.Join(tables, ";") + ";"}
	return b.long(ctx, protocol.ReqExportRocksDBConfigToJSON, h)
}

func (b *broker) ExportPop(ctx context.Context) error {
	return b.long(ctx, protocol.ReqPopRollback, nil)
}

func (b *broker) AddBroker(ctx context.Context, configPath string) error {
	return b.long(ctx, protocol.ReqAddBroker, &protocol.AddBrokerRequestHeader{ConfigPath: configPath})
}

func (b *broker) RemoveBroker(ctx context.Context, cluster, name string, id int64) error {
	return b.long(ctx, protocol.ReqRemoveBroker, &protocol.RemoveBrokerRequestHeader{BrokerClusterName: cluster, BrokerName: name, BrokerID: id})
}

func (b *broker) LiteBroker(ctx context.Context) (out mq.LiteBroker, err error) {
	err = b.ask(ctx, protocol.ReqGetBrokerLiteInfo, nil, func(v fastjson.Value) {
		out = mq.LiteBroker{
			StoreType: strings.Clone(v.Get("storeType").Str()), MaxTopics: v.Get("maxLmqNum").Int32(), Topics: v.Get("currentLmqNum").Int32(),
			Subscriptions: v.Get("liteSubscriptionCount").Int32(), OrderInfos: v.Get("orderInfoCount").Int32(), Queues: v.Get("cqTableSize").Int32(),
			Positions: v.Get("offsetTableSize").Int32(), ClientsWaiting: v.Get("eventMapSize").Int32(),
			Parents: map[string]int32{}, Groups: map[string][]string{},
		}
		for _, m := range v.Get("topicMeta").Members() {
			out.Parents[strings.Clone(m.Key.Str())] = m.Val.Int32()
		}
		for _, m := range v.Get("groupMeta").Members() {
			out.Groups[strings.Clone(m.Key.Str())] = texts(m.Val)
		}
	})
	return out, err
}

// texts are the strings of a list, copied.
func texts(v fastjson.Value) []string {
	out := v.Strs()
	for i := range out {
		out[i] = strings.Clone(out[i])
	}
	return out
}

func (b *broker) LiteParent(ctx context.Context, topic string) (out mq.LiteParent, err error) {
	err = b.ask(ctx, protocol.ReqGetParentTopicInfo, &protocol.GetParentTopicInfoRequestHeader{Topic: topic}, func(v fastjson.Value) {
		out = mq.LiteParent{
			TTL: v.Get("ttl").Int32(), Groups: texts(v.Get("groups")), Queues: v.Get("lmqNum").Int32(), Topics: v.Get("liteTopicCount").Int32(),
		}
	})
	return out, err
}

func (b *broker) LiteTopic(ctx context.Context, parent, topic string) (out mq.LiteTopic, err error) {
	h := &protocol.GetLiteTopicInfoRequestHeader{ParentTopic: parent, LiteTopic: topic}
	err = b.ask(ctx, protocol.ReqGetLiteTopicInfo, h, func(v fastjson.Value) {
		at := v.Get("topicOffset")
		out = mq.LiteTopic{
			Min: mq.Index(at.Get("minOffset").Int64()), Max: mq.Index(at.Get("maxOffset").Int64()), LastUpdate: at.Get("lastUpdateTimestamp").Int64(),
			Here: v.Get("shardingToBroker").Bool(),
		}
		for _, s := range v.Get("subscriber").Arr() {
			out.Subscribers = append(out.Subscribers, mq.LiteSubscriber{Client: strings.Clone(s.Get("clientId").Str()), Group: strings.Clone(s.Get("group").Str())})
		}
	})
	return out, err
}

func (b *broker) LiteClient(ctx context.Context, parent, group, client string) (out mq.LiteClient, err error) {
	h := &protocol.GetLiteClientInfoRequestHeader{ParentTopic: parent, Group: group, ClientID: client, MaxCount: maxLiteTopics}
	err = b.ask(ctx, protocol.ReqGetLiteClientInfo, h, func(v fastjson.Value) {
		out = mq.LiteClient{
			LastAccess: v.Get("lastAccessTime").Int64(), LastConsume: v.Get("lastConsumeTime").Int64(), Count: v.Get("liteTopicCount").Int32(),
			Topics: texts(v.Get("liteTopicSet")),
		}
	})
	return out, err
}

// maxLiteTopics is how many topics of a client are asked for, as Java's tool does.
const maxLiteTopics = 1000

func (b *broker) LiteGroup(ctx context.Context, group, topic string, most int32) (out mq.LiteGroup, err error) {
	h := &protocol.GetLiteGroupInfoRequestHeader{Group: group, LiteTopic: topic, TopK: most}
	err = b.ask(ctx, protocol.ReqGetLiteGroupInfo, h, func(v fastjson.Value) {
		out = mq.LiteGroup{
			Behind: v.Get("totalLagCount").Int64(), Earliest: v.Get("earliestUnconsumedTimestamp").Int64Or(-1),
			Most: liteLags(v.Get("lagCountTopK")), Earlier: liteLags(v.Get("lagTimestampTopK")),
		}
		if at := v.Get("liteTopicOffsetWrapper"); at.Exists() {
			out.Topic = &mq.LitePosition{
				End: mq.Index(at.Get("brokerOffset").Int64()), Committed: mq.Index(at.Get("consumerOffset").Int64()), LastTime: at.Get("lastTimestamp").Int64(),
			}
		}
	})
	return out, err
}

func liteLags(v fastjson.Value) []mq.LiteLag {
	out := make([]mq.LiteLag, 0, v.Len())
	for _, e := range v.Arr() {
		out = append(out, mq.LiteLag{
			Topic: strings.Clone(e.Get("liteTopic").Str()), Behind: e.Get("lagCount").Int64(), Earliest: e.Get("earliestUnconsumedTimestamp").Int64Or(-1),
		})
	}
	return out
}

func (b *broker) TriggerLite(ctx context.Context, group, client string) error {
	_, err := b.call(ctx, protocol.ReqTriggerLiteDispatch, &protocol.TriggerLiteDispatchRequestHeader{Group: group, ClientID: client}, nil)
	return err
}
