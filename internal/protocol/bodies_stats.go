package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// QueueTopicOffset is one queue's entry of a TopicStatsTable.
type QueueTopicOffset struct {
	Queue               MessageQueue
	MinOffset           int64
	MaxOffset           int64
	LastUpdateTimestamp int64
}

// TopicStatsTable is the answer to code 202. Its keys are objects.
type TopicStatsTable struct {
	OffsetTable []QueueTopicOffset
	TopicPutTps float64
}

// Write writes t.
func (t *TopicStatsTable) Write(w *fastjson.Writer) {
	w.ObjStart()
	queueTable(w, "offsetTable", t.OffsetTable, func(w *fastjson.Writer, o *QueueTopicOffset) {
		o.Queue.Write(w)
		w.Colon()
		w.ObjStart()
		intField(w, "lastUpdateTimestamp", o.LastUpdateTimestamp)
		intField(w, "maxOffset", o.MaxOffset)
		intField(w, "minOffset", o.MinOffset)
		w.ObjEnd()
	})
	w.Key("topicPutTps")
	w.Float(t.TopicPutTps)
	w.ObjEnd()
}

// queueTable writes an object whose entries write their key, a colon and a value.
func queueTable[T any](w *fastjson.Writer, key string, list []T, write func(w *fastjson.Writer, e *T)) {
	w.Key(key)
	w.ObjStart()
	for i := range list {
		write(w, &list[i])
	}
	w.ObjEnd()
}

func readTable[T any](v fastjson.Value, read func(e *T, m fastjson.Member)) []T {
	ms := v.Members()
	if len(ms) == 0 {
		return nil
	}
	list := make([]T, len(ms))
	for i := range ms {
		read(&list[i], ms[i])
	}
	return list
}

func (t *TopicStatsTable) read(v fastjson.Value) {
	t.OffsetTable = readTable(v.Get("offsetTable"), func(o *QueueTopicOffset, m fastjson.Member) {
		o.Queue.read(m.Key)
		o.MinOffset = m.Val.Get("minOffset").Int64()
		o.MaxOffset = m.Val.Get("maxOffset").Int64()
		o.LastUpdateTimestamp = m.Val.Get("lastUpdateTimestamp").Int64()
	})
	t.TopicPutTps = v.Get("topicPutTps").Float()
}

// Decode reads t.
func (t *TopicStatsTable) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *TopicStatsTable) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, t.Write) }

// QueueConsumeOffset is one queue's entry of ConsumeStats.
type QueueConsumeOffset struct {
	Queue          MessageQueue
	BrokerOffset   int64
	ConsumerOffset int64
	PullOffset     int64
	LastTimestamp  int64
}

// ConsumeStats is the answer to code 208. Its keys are objects.
type ConsumeStats struct {
	ConsumeTps  float64
	OffsetTable []QueueConsumeOffset
}

// Write writes c.
func (c *ConsumeStats) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("consumeTps")
	w.Float(c.ConsumeTps)
	queueTable(w, "offsetTable", c.OffsetTable, func(w *fastjson.Writer, o *QueueConsumeOffset) {
		o.Queue.Write(w)
		w.Colon()
		w.ObjStart()
		intField(w, "brokerOffset", o.BrokerOffset)
		intField(w, "consumerOffset", o.ConsumerOffset)
		intField(w, "lastTimestamp", o.LastTimestamp)
		intField(w, "pullOffset", o.PullOffset)
		w.ObjEnd()
	})
	w.ObjEnd()
}

func (c *ConsumeStats) read(v fastjson.Value) {
	c.ConsumeTps = v.Get("consumeTps").Float()
	c.OffsetTable = readTable(v.Get("offsetTable"), func(o *QueueConsumeOffset, m fastjson.Member) {
		o.Queue.read(m.Key)
		o.BrokerOffset = m.Val.Get("brokerOffset").Int64()
		o.ConsumerOffset = m.Val.Get("consumerOffset").Int64()
		o.PullOffset = m.Val.Get("pullOffset").Int64()
		o.LastTimestamp = m.Val.Get("lastTimestamp").Int64()
	})
}

// Decode reads c.
func (c *ConsumeStats) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *ConsumeStats) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, c.Write) }

// GroupConsumeStats is one group's part of a ConsumeStatsList, one ConsumeStats a topic.
type GroupConsumeStats struct {
	Group string
	Stats []ConsumeStats
}

// ConsumeStatsList is the answer to code 317.
type ConsumeStatsList struct {
	BrokerAddr        string
	Groups            []GroupConsumeStats // consumeStatsList
	TotalDiff         int64
	TotalInflightDiff int64
}

// Write writes c.
func (c *ConsumeStatsList) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "brokerAddr", c.BrokerAddr)
	listField(w, "consumeStatsList", c.Groups, func(w *fastjson.Writer, g *GroupConsumeStats) {
		w.ObjStart()
		listField(w, g.Group, g.Stats, func(w *fastjson.Writer, s *ConsumeStats) { s.Write(w) })
		w.ObjEnd()
	})
	intField(w, "totalDiff", c.TotalDiff)
	intField(w, "totalInflightDiff", c.TotalInflightDiff)
	w.ObjEnd()
}

func (c *ConsumeStatsList) read(v fastjson.Value) {
	*c = ConsumeStatsList{
		BrokerAddr: v.Get("brokerAddr").Str(), TotalDiff: v.Get("totalDiff").Int64(),
		TotalInflightDiff: v.Get("totalInflightDiff").Int64(),
	}
	for _, e := range v.Get("consumeStatsList").Arr() {
		for _, m := range e.Members() {
			c.Groups = append(c.Groups, GroupConsumeStats{Group: m.Key.Str(), Stats: readList(m.Val, (*ConsumeStats).read)})
		}
	}
}

// Decode reads c.
func (c *ConsumeStatsList) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *ConsumeStatsList) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, c.Write)
}

// GroupList is the answer to code 300.
type GroupList struct {
	GroupList []string
}

// Write writes g.
func (g *GroupList) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("groupList")
	w.Strs(g.GroupList)
	w.ObjEnd()
}

func (g *GroupList) read(v fastjson.Value) { g.GroupList = v.Get("groupList").Strs() }

// Decode reads g.
func (g *GroupList) Decode(data []byte) error { return decodeBody(data, g.read) }

// AppendTo appends g.
func (g *GroupList) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, g.Write) }

// ConsumerOffsetSerializeWrapper is the answer to code 43.
type ConsumerOffsetSerializeWrapper struct {
	DataVersion DataVersion
	OffsetTable map[string]map[int64]int64 // topic@group, queue, offset
}

// Write writes c.
func (c *ConsumerOffsetSerializeWrapper) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("dataVersion")
	c.DataVersion.Write(w)
	w.Key("offsetTable")
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(c.OffsetTable)) {
		writeLongs(w, k, c.OffsetTable[k])
	}
	w.ObjEnd()
	w.ObjEnd()
}

func (c *ConsumerOffsetSerializeWrapper) read(v fastjson.Value) {
	c.DataVersion.read(v.Get("dataVersion"))
	t := v.Get("offsetTable")
	c.OffsetTable = make(map[string]map[int64]int64, t.Len())
	for _, m := range t.Members() {
		c.OffsetTable[m.Key.Str()] = readLongs(m.Val)
	}
}

// Decode reads c.
func (c *ConsumerOffsetSerializeWrapper) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *ConsumerOffsetSerializeWrapper) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, c.Write)
}

// StatsItem is one window of BrokerStatsData.
type StatsItem struct {
	Sum   int64
	Tps   float64
	AvgPt float64
}

func (s *StatsItem) write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("avgpt")
	w.Float(s.AvgPt)
	intField(w, "sum", s.Sum)
	w.Key("tps")
	w.Float(s.Tps)
	w.ObjEnd()
}

func (s *StatsItem) read(v fastjson.Value) {
	*s = StatsItem{Sum: v.Get("sum").Int64(), Tps: v.Get("tps").Float(), AvgPt: v.Get("avgpt").Float()}
}

// BrokerStatsData is the answer to code 315.
type BrokerStatsData struct {
	Minute, Hour, Day StatsItem
}

// Write writes b.
func (b *BrokerStatsData) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("statsDay")
	b.Day.write(w)
	w.Key("statsHour")
	b.Hour.write(w)
	w.Key("statsMinute")
	b.Minute.write(w)
	w.ObjEnd()
}

func (b *BrokerStatsData) read(v fastjson.Value) {
	b.Day.read(v.Get("statsDay"))
	b.Hour.read(v.Get("statsHour"))
	b.Minute.read(v.Get("statsMinute"))
}

// Decode reads b.
func (b *BrokerStatsData) Decode(data []byte) error { return decodeBody(data, b.read) }

// AppendTo appends b.
func (b *BrokerStatsData) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, b.Write) }

// ConsumeQueueData is one entry of a consume queue.
type ConsumeQueueData struct {
	PhysicOffset   int64
	PhysicSize     int32
	TagsCode       int64
	ExtendDataJSON string // optional
	BitMap         string // optional
	Eval           bool
	Msg            string // optional
}

// QueryConsumeQueueResponseBody is the answer to code 321.
type QueryConsumeQueueResponseBody struct {
	Subscription  *SubscriptionData // optional
	FilterData    string            // optional
	QueueData     []ConsumeQueueData
	MaxQueueIndex int64
	MinQueueIndex int64
}

// Write writes q.
func (q *QueryConsumeQueueResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "filterData", q.FilterData)
	intField(w, "maxQueueIndex", q.MaxQueueIndex)
	intField(w, "minQueueIndex", q.MinQueueIndex)
	listField(w, "queueData", q.QueueData, func(w *fastjson.Writer, d *ConsumeQueueData) {
		w.ObjStart()
		optField(w, "bitMap", d.BitMap)
		boolField(w, "eval", d.Eval)
		optField(w, "extendDataJson", d.ExtendDataJSON)
		optField(w, "msg", d.Msg)
		intField(w, "physicOffset", d.PhysicOffset)
		intField(w, "physicSize", d.PhysicSize)
		intField(w, "tagsCode", d.TagsCode)
		w.ObjEnd()
	})
	if q.Subscription != nil {
		w.Key("subscriptionData")
		q.Subscription.Write(w)
	}
	w.ObjEnd()
}

func (q *QueryConsumeQueueResponseBody) read(v fastjson.Value) {
	*q = QueryConsumeQueueResponseBody{
		FilterData: v.Get("filterData").Str(), MaxQueueIndex: v.Get("maxQueueIndex").Int64(), MinQueueIndex: v.Get("minQueueIndex").Int64(),
		QueueData: readList(v.Get("queueData"), func(d *ConsumeQueueData, v fastjson.Value) {
			*d = ConsumeQueueData{
				PhysicOffset: v.Get("physicOffset").Int64(), PhysicSize: v.Get("physicSize").Int32(), TagsCode: v.Get("tagsCode").Int64(),
				ExtendDataJSON: v.Get("extendDataJson").Str(), BitMap: v.Get("bitMap").Str(), Eval: v.Get("eval").Bool(), Msg: v.Get("msg").Str(),
			}
		}),
	}
	if s := v.Get("subscriptionData"); s.Exists() {
		q.Subscription = new(SubscriptionData)
		q.Subscription.read(s)
	}
}

// Decode reads q.
func (q *QueryConsumeQueueResponseBody) Decode(data []byte) error { return decodeBody(data, q.read) }

// AppendTo appends q.
func (q *QueryConsumeQueueResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, q.Write)
}

// QueueTimeSpan says between which times the messages of a queue lie.
type QueueTimeSpan struct {
	Queue            MessageQueue
	MinTimeStamp     int64
	MaxTimeStamp     int64
	ConsumeTimeStamp int64
	DelayTime        int64
	// The same times as text (yyyy-MM-dd#HH:mm:ss:SSS), which Java writes beside the numbers and nobody reads.
	MinTimeStampStr, MaxTimeStampStr, ConsumeTimeStampStr string
}

// QueryConsumeTimeSpanBody is the answer to code 303.
type QueryConsumeTimeSpanBody struct {
	ConsumeTimeSpanSet []QueueTimeSpan
}

// Write writes q.
func (q *QueryConsumeTimeSpanBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "consumeTimeSpanSet", q.ConsumeTimeSpanSet, func(w *fastjson.Writer, s *QueueTimeSpan) {
		w.ObjStart()
		intField(w, "consumeTimeStamp", s.ConsumeTimeStamp)
		optField(w, "consumeTimeStampStr", s.ConsumeTimeStampStr)
		intField(w, "delayTime", s.DelayTime)
		intField(w, "maxTimeStamp", s.MaxTimeStamp)
		optField(w, "maxTimeStampStr", s.MaxTimeStampStr)
		w.Key("messageQueue")
		s.Queue.Write(w)
		intField(w, "minTimeStamp", s.MinTimeStamp)
		optField(w, "minTimeStampStr", s.MinTimeStampStr)
		w.ObjEnd()
	})
	w.ObjEnd()
}

func (q *QueryConsumeTimeSpanBody) read(v fastjson.Value) {
	q.ConsumeTimeSpanSet = readList(v.Get("consumeTimeSpanSet"), func(s *QueueTimeSpan, v fastjson.Value) {
		s.Queue.read(v.Get("messageQueue"))
		s.MinTimeStamp, s.MinTimeStampStr = v.Get("minTimeStamp").Int64(), v.Get("minTimeStampStr").Str()
		s.MaxTimeStamp, s.MaxTimeStampStr = v.Get("maxTimeStamp").Int64(), v.Get("maxTimeStampStr").Str()
		s.ConsumeTimeStamp, s.ConsumeTimeStampStr = v.Get("consumeTimeStamp").Int64(), v.Get("consumeTimeStampStr").Str()
		s.DelayTime = v.Get("delayTime").Int64()
	})
}

// Decode reads q.
func (q *QueryConsumeTimeSpanBody) Decode(data []byte) error { return decodeBody(data, q.read) }

// AppendTo appends q.
func (q *QueryConsumeTimeSpanBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, q.Write)
}
