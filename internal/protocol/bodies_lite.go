package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// LiteSubscriptionCtlRequestBody is the body of code 200071.
type LiteSubscriptionCtlRequestBody struct {
	Set []LiteSubscription // subscriptionSet
}

// LiteSubscription is Java's LiteSubscriptionDTO.
type LiteSubscription struct {
	Action                 string // PARTIAL_ADD, PARTIAL_REMOVE, COMPLETE_ADD, COMPLETE_REMOVE
	ClientID, Group, Topic string
	Lites                  []string // liteTopicSet
	HasOffset              bool
	OffsetType             string // offsetOption.type
	OffsetValue            int64
	Version                int64
}

// Write writes l.
func (l *LiteSubscriptionCtlRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("subscriptionSet")
	w.ArrStart()
	for i := range l.Set {
		s := &l.Set[i]
		w.ObjStart()
		optField(w, "action", s.Action)
		optField(w, "clientId", s.ClientID)
		optField(w, "group", s.Group)
		if s.Lites != nil {
			w.Key("liteTopicSet")
			w.Strs(s.Lites)
		}
		if s.HasOffset {
			w.Key("offsetOption")
			w.ObjStart()
			strField(w, "type", s.OffsetType)
			intField(w, "value", s.OffsetValue)
			w.ObjEnd()
		}
		optField(w, "topic", s.Topic)
		intField(w, "version", s.Version)
		w.ObjEnd()
	}
	w.ArrEnd()
	w.ObjEnd()
}

func (l *LiteSubscriptionCtlRequestBody) read(v fastjson.Value) {
	l.Set = nil
	for _, x := range v.Get("subscriptionSet").Arr() {
		o := x.Get("offsetOption")
		l.Set = append(l.Set, LiteSubscription{
			Action: x.Get("action").Str(), ClientID: x.Get("clientId").Str(), Group: x.Get("group").Str(), Topic: x.Get("topic").Str(),
			Lites: x.Get("liteTopicSet").Strs(), Version: x.Get("version").Int64(),
			HasOffset: o.Exists(), OffsetType: o.Get("type").Str(), OffsetValue: o.Get("value").Int64(),
		})
	}
}

// Decode reads l.
func (l *LiteSubscriptionCtlRequestBody) Decode(data []byte) error { return decodeBody(data, l.read) }

// AppendTo appends l.
func (l *LiteSubscriptionCtlRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, l.Write)
}

// GetBrokerLiteInfoResponseBody is the answer to code 200074.
type GetBrokerLiteInfoResponseBody struct {
	StoreType                                                  string
	MaxLmqNum, CurrentLmqNum, LiteSubscriptionCount            int32
	OrderInfoCount, CqTableSize, OffsetTableSize, EventMapSize int32
	TopicMeta                                                  map[string]int32
	GroupMeta                                                  map[string][]string
}

// Write writes g.
func (g *GetBrokerLiteInfoResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	intField(w, "cqTableSize", g.CqTableSize)
	intField(w, "currentLmqNum", g.CurrentLmqNum)
	intField(w, "eventMapSize", g.EventMapSize)
	w.Key("groupMeta")
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(g.GroupMeta)) {
		w.Key(k)
		w.Strs(g.GroupMeta[k])
	}
	w.ObjEnd()
	intField(w, "liteSubscriptionCount", g.LiteSubscriptionCount)
	intField(w, "maxLmqNum", g.MaxLmqNum)
	intField(w, "offsetTableSize", g.OffsetTableSize)
	intField(w, "orderInfoCount", g.OrderInfoCount)
	strField(w, "storeType", g.StoreType)
	w.Key("topicMeta")
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(g.TopicMeta)) {
		intField(w, k, g.TopicMeta[k])
	}
	w.ObjEnd()
	w.ObjEnd()
}

// AppendTo appends g.
func (g *GetBrokerLiteInfoResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// GetParentTopicInfoResponseBody is the answer to code 200075.
type GetParentTopicInfoResponseBody struct {
	Topic          string
	TTL            int32
	LmqNum         int32
	LiteTopicCount int32
	Groups         []string
}

// Write writes g.
func (g *GetParentTopicInfoResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	if g.Groups != nil {
		w.Key("groups")
		w.Strs(g.Groups)
	}
	intField(w, "liteTopicCount", g.LiteTopicCount)
	intField(w, "lmqNum", g.LmqNum)
	strField(w, "topic", g.Topic)
	intField(w, "ttl", g.TTL)
	w.ObjEnd()
}

// AppendTo appends g.
func (g *GetParentTopicInfoResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// LiteSubscriber is Java's ClientGroup.
type LiteSubscriber struct{ ClientID, Group string }

// GetLiteTopicInfoResponseBody is the answer to code 200076.
type GetLiteTopicInfoResponseBody struct {
	ParentTopic, LiteTopic string
	Subscriber             []LiteSubscriber
	Min, Max, LastUpdate   int64
	ShardingToBroker       bool
}

// Write writes g.
func (g *GetLiteTopicInfoResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "liteTopic", g.LiteTopic)
	optField(w, "parentTopic", g.ParentTopic)
	boolField(w, "shardingToBroker", g.ShardingToBroker)
	w.Key("subscriber")
	w.ArrStart()
	for _, s := range g.Subscriber {
		w.ObjStart()
		strField(w, "clientId", s.ClientID)
		strField(w, "group", s.Group)
		w.ObjEnd()
	}
	w.ArrEnd()
	w.Key("topicOffset")
	w.ObjStart()
	intField(w, "lastUpdateTimestamp", g.LastUpdate)
	intField(w, "maxOffset", g.Max)
	intField(w, "minOffset", g.Min)
	w.ObjEnd()
	w.ObjEnd()
}

// AppendTo appends g.
func (g *GetLiteTopicInfoResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// GetLiteClientInfoResponseBody is the answer to code 200077.
type GetLiteClientInfoResponseBody struct {
	ParentTopic, Group, ClientID string
	LastAccess                   int64    // ms, -1 = never
	LiteTopicCount               int32    // -1: the client is not known
	LiteTopicSet                 []string // light queues; nil: the client is not known
}

// Write writes g. lastConsumeTime is what Java never fills in.
func (g *GetLiteClientInfoResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "clientId", g.ClientID)
	optField(w, "group", g.Group)
	intField(w, "lastAccessTime", g.LastAccess)
	intField(w, "lastConsumeTime", int64(0))
	intField(w, "liteTopicCount", g.LiteTopicCount)
	if g.LiteTopicSet != nil {
		w.Key("liteTopicSet")
		w.Strs(g.LiteTopicSet)
	}
	optField(w, "parentTopic", g.ParentTopic)
	w.ObjEnd()
}

// AppendTo appends g.
func (g *GetLiteClientInfoResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// LiteLagInfo is a lite topic that a group is behind in.
type LiteLagInfo struct {
	LiteTopic string
	LagCount  int64
	Earliest  int64 // ms
}

// GetLiteGroupInfoResponseBody is the answer to code 200078.
type GetLiteGroupInfoResponseBody struct {
	Group, ParentTopic, LiteTopic string
	Earliest, TotalLag            int64
	Position                      *QueueConsumeOffset
	ByCount, ByTime               []LiteLagInfo // nil: one lite topic was asked about
}

func writeLags(w *fastjson.Writer, key string, list []LiteLagInfo) {
	if list == nil {
		return
	}
	w.Key(key)
	w.ArrStart()
	for _, l := range list {
		w.ObjStart()
		intField(w, "earliestUnconsumedTimestamp", l.Earliest)
		intField(w, "lagCount", l.LagCount)
		strField(w, "liteTopic", l.LiteTopic)
		w.ObjEnd()
	}
	w.ArrEnd()
}

// Write writes g.
func (g *GetLiteGroupInfoResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	intField(w, "earliestUnconsumedTimestamp", g.Earliest)
	strField(w, "group", g.Group)
	writeLags(w, "lagCountTopK", g.ByCount)
	writeLags(w, "lagTimestampTopK", g.ByTime)
	optField(w, "liteTopic", g.LiteTopic)
	if p := g.Position; p != nil {
		w.Key("liteTopicOffsetWrapper")
		w.ObjStart()
		intField(w, "brokerOffset", p.BrokerOffset)
		intField(w, "consumerOffset", p.ConsumerOffset)
		intField(w, "lastTimestamp", p.LastTimestamp)
		intField(w, "pullOffset", p.PullOffset)
		w.ObjEnd()
	}
	strField(w, "parentTopic", g.ParentTopic)
	intField(w, "totalLagCount", g.TotalLag)
	w.ObjEnd()
}

// AppendTo appends g.
func (g *GetLiteGroupInfoResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}
