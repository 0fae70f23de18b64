package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// SubscriptionData is what a consumer wants of one topic.
type SubscriptionData struct {
	Topic           string
	SubString       string   // * for all
	TagsSet         []string // of a TAG expression
	CodeSet         []int32  // Java hash codes of the tags
	SubVersion      int64    // ms
	ExpressionType  string   // TAG or SQL92
	ClassFilterMode bool
}

// Write writes s.
func (s *SubscriptionData) Write(w *fastjson.Writer) {
	w.ObjStart()
	boolField(w, "classFilterMode", s.ClassFilterMode)
	listField(w, "codeSet", s.CodeSet, func(w *fastjson.Writer, c *int32) { w.Int(int64(*c)) })
	strField(w, "expressionType", s.ExpressionType)
	strField(w, "subString", s.SubString)
	intField(w, "subVersion", s.SubVersion)
	w.Key("tagsSet")
	w.Strs(s.TagsSet)
	strField(w, "topic", s.Topic)
	w.ObjEnd()
}

func (s *SubscriptionData) read(v fastjson.Value) {
	*s = SubscriptionData{
		Topic: v.Get("topic").Str(), SubString: v.Get("subString").Str(), TagsSet: v.Get("tagsSet").Strs(),
		CodeSet:    readList(v.Get("codeSet"), func(c *int32, v fastjson.Value) { *c = v.Int32() }),
		SubVersion: v.Get("subVersion").Int64(), ExpressionType: v.Get("expressionType").Str(),
		ClassFilterMode: v.Get("classFilterMode").Bool(),
	}
	if s.ExpressionType == "" {
		s.ExpressionType = "TAG"
	}
}

func writeSubscription(w *fastjson.Writer, s *SubscriptionData) { s.Write(w) }

// ConsumerData is one consumer group of a client.
type ConsumerData struct {
	GroupName           string
	ConsumeType         string // CONSUME_ACTIVELY, CONSUME_PASSIVELY, CONSUME_POP
	MessageModel        string // BROADCASTING, CLUSTERING
	ConsumeFromWhere    string
	SubscriptionDataSet []SubscriptionData
	UnitMode            bool
}

// Write writes c.
func (c *ConsumerData) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "consumeFromWhere", c.ConsumeFromWhere)
	optField(w, "consumeType", c.ConsumeType)
	strField(w, "groupName", c.GroupName)
	optField(w, "messageModel", c.MessageModel)
	listField(w, "subscriptionDataSet", c.SubscriptionDataSet, writeSubscription)
	boolField(w, "unitMode", c.UnitMode)
	w.ObjEnd()
}

func (c *ConsumerData) read(v fastjson.Value) {
	*c = ConsumerData{
		GroupName: v.Get("groupName").Str(), ConsumeType: v.Get("consumeType").Str(), MessageModel: v.Get("messageModel").Str(),
		ConsumeFromWhere: v.Get("consumeFromWhere").Str(), UnitMode: v.Get("unitMode").Bool(),
		SubscriptionDataSet: readList(v.Get("subscriptionDataSet"), (*SubscriptionData).read),
	}
}

// HeartbeatData is the body of code 34.
type HeartbeatData struct {
	ClientID             string
	Producers            []string // group names of producerDataSet
	Consumers            []ConsumerData
	HeartbeatFingerprint int32
	WithoutSub           bool
}

// Write writes h.
func (h *HeartbeatData) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "clientID", h.ClientID)
	listField(w, "consumerDataSet", h.Consumers, func(w *fastjson.Writer, c *ConsumerData) { c.Write(w) })
	intField(w, "heartbeatFingerprint", h.HeartbeatFingerprint)
	listField(w, "producerDataSet", h.Producers, func(w *fastjson.Writer, p *string) {
		w.ObjStart()
		strField(w, "groupName", *p)
		w.ObjEnd()
	})
	boolField(w, "withoutSub", h.WithoutSub)
	w.ObjEnd()
}

func (h *HeartbeatData) read(v fastjson.Value) {
	*h = HeartbeatData{
		ClientID:             v.Get("clientID").Str(),
		Producers:            readList(v.Get("producerDataSet"), func(p *string, v fastjson.Value) { *p = v.Get("groupName").Str() }),
		Consumers:            readList(v.Get("consumerDataSet"), (*ConsumerData).read),
		HeartbeatFingerprint: v.Get("heartbeatFingerprint").Int32(),
		WithoutSub:           v.Get("withoutSub").Bool(),
	}
}

// Decode reads h.
func (h *HeartbeatData) Decode(data []byte) error { return decodeBody(data, h.read) }

// AppendTo appends h.
func (h *HeartbeatData) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, h.Write) }

// GetConsumerListByGroupResponseBody is the answer to code 38.
type GetConsumerListByGroupResponseBody struct {
	ConsumerIDList []string
}

// Write writes g.
func (g *GetConsumerListByGroupResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("consumerIdList")
	w.Strs(g.ConsumerIDList)
	w.ObjEnd()
}

func (g *GetConsumerListByGroupResponseBody) read(v fastjson.Value) {
	g.ConsumerIDList = v.Get("consumerIdList").Strs()
}

// Decode reads g.
func (g *GetConsumerListByGroupResponseBody) Decode(data []byte) error {
	return decodeBody(data, g.read)
}

// AppendTo appends g.
func (g *GetConsumerListByGroupResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// CheckClientRequestBody is the body of code 46.
type CheckClientRequestBody struct {
	ClientID     string
	Group        string
	Subscription SubscriptionData
	Namespace    string // optional
}

// Write writes c.
func (c *CheckClientRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "clientId", c.ClientID)
	strField(w, "group", c.Group)
	optField(w, "namespace", c.Namespace)
	w.Key("subscriptionData")
	c.Subscription.Write(w)
	w.ObjEnd()
}

func (c *CheckClientRequestBody) read(v fastjson.Value) {
	*c = CheckClientRequestBody{ClientID: v.Get("clientId").Str(), Group: v.Get("group").Str(), Namespace: v.Get("namespace").Str()}
	c.Subscription.read(v.Get("subscriptionData"))
}

// Decode reads c.
func (c *CheckClientRequestBody) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *CheckClientRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, c.Write)
}

// LockBatchRequestBody is the body of codes 41 and 42.
type LockBatchRequestBody struct {
	ConsumerGroup  string
	ClientID       string
	OnlyThisBroker bool
	MQSet          []MessageQueue
}

// Write writes l.
func (l *LockBatchRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "clientId", l.ClientID)
	strField(w, "consumerGroup", l.ConsumerGroup)
	listField(w, "mqSet", l.MQSet, writeQueue)
	boolField(w, "onlyThisBroker", l.OnlyThisBroker)
	w.ObjEnd()
}

func (l *LockBatchRequestBody) read(v fastjson.Value) {
	*l = LockBatchRequestBody{
		ConsumerGroup: v.Get("consumerGroup").Str(), ClientID: v.Get("clientId").Str(),
		OnlyThisBroker: v.Get("onlyThisBroker").Bool(), MQSet: readList(v.Get("mqSet"), (*MessageQueue).read),
	}
}

// Decode reads l.
func (l *LockBatchRequestBody) Decode(data []byte) error { return decodeBody(data, l.read) }

// AppendTo appends l.
func (l *LockBatchRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, l.Write)
}

// UnlockBatchRequestBody is Java's second name for the same shape.
type UnlockBatchRequestBody = LockBatchRequestBody

// LockBatchResponseBody is the answer to code 41.
type LockBatchResponseBody struct {
	LockOKMQSet []MessageQueue
}

// Write writes l.
func (l *LockBatchResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "lockOKMQSet", l.LockOKMQSet, writeQueue)
	w.ObjEnd()
}

func (l *LockBatchResponseBody) read(v fastjson.Value) {
	l.LockOKMQSet = readList(v.Get("lockOKMQSet"), (*MessageQueue).read)
}

// Decode reads l.
func (l *LockBatchResponseBody) Decode(data []byte) error { return decodeBody(data, l.read) }

// AppendTo appends l.
func (l *LockBatchResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, l.Write)
}

// QueryAssignmentRequestBody is the body of code 400.
type QueryAssignmentRequestBody struct {
	Topic         string
	ConsumerGroup string
	ClientID      string
	StrategyName  string
	MessageModel  string
}

// Write writes q.
func (q *QueryAssignmentRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "clientId", q.ClientID)
	strField(w, "consumerGroup", q.ConsumerGroup)
	optField(w, "messageModel", q.MessageModel)
	strField(w, "strategyName", q.StrategyName)
	strField(w, "topic", q.Topic)
	w.ObjEnd()
}

func (q *QueryAssignmentRequestBody) read(v fastjson.Value) {
	*q = QueryAssignmentRequestBody{
		Topic: v.Get("topic").Str(), ConsumerGroup: v.Get("consumerGroup").Str(), ClientID: v.Get("clientId").Str(),
		StrategyName: v.Get("strategyName").Str(), MessageModel: v.Get("messageModel").Str(),
	}
}

// Decode reads q.
func (q *QueryAssignmentRequestBody) Decode(data []byte) error { return decodeBody(data, q.read) }

// AppendTo appends q.
func (q *QueryAssignmentRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, q.Write)
}

// MessageQueueAssignment is one queue given to a consumer.
type MessageQueueAssignment struct {
	Queue       MessageQueue
	Mode        string            // PULL or POP
	Attachments map[string]string // optional
}

// QueryAssignmentResponseBody is the answer to code 400. A nil list says: no decision, the client keeps what it has.
type QueryAssignmentResponseBody struct {
	Assignments []MessageQueueAssignment // messageQueueAssignments
}

// Write writes q.
func (q *QueryAssignmentResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	if q.Assignments != nil {
		listField(w, "messageQueueAssignments", q.Assignments, func(w *fastjson.Writer, a *MessageQueueAssignment) {
			w.ObjStart()
			if len(a.Attachments) > 0 {
				stringsField(w, "attachments", a.Attachments)
			}
			w.Key("messageQueue")
			a.Queue.Write(w)
			strField(w, "mode", a.Mode)
			w.ObjEnd()
		})
	}
	w.ObjEnd()
}

func (q *QueryAssignmentResponseBody) read(v fastjson.Value) {
	q.Assignments = nil
	list := v.Get("messageQueueAssignments")
	if list.Kind() != fastjson.Array {
		return
	}
	q.Assignments = make([]MessageQueueAssignment, list.Len())
	for i, e := range list.Arr() {
		a := &q.Assignments[i]
		a.Queue.read(e.Get("messageQueue"))
		a.Mode = e.Get("mode").Str()
		if m := e.Get("attachments"); m.Len() > 0 {
			a.Attachments = readStrings(m)
		}
	}
}

// Decode reads q.
func (q *QueryAssignmentResponseBody) Decode(data []byte) error { return decodeBody(data, q.read) }

// AppendTo appends q.
func (q *QueryAssignmentResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, q.Write)
}

// SetMessageRequestModeRequestBody is the body of code 401.
type SetMessageRequestModeRequestBody struct {
	Topic            string
	ConsumerGroup    string
	Mode             string // PULL or POP
	PopShareQueueNum int32
}

// Write writes s.
func (s *SetMessageRequestModeRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "consumerGroup", s.ConsumerGroup)
	strField(w, "mode", s.Mode)
	intField(w, "popShareQueueNum", s.PopShareQueueNum)
	strField(w, "topic", s.Topic)
	w.ObjEnd()
}

func (s *SetMessageRequestModeRequestBody) read(v fastjson.Value) {
	*s = SetMessageRequestModeRequestBody{
		Topic: v.Get("topic").Str(), ConsumerGroup: v.Get("consumerGroup").Str(), Mode: v.Get("mode").Str(),
		PopShareQueueNum: v.Get("popShareQueueNum").Int32(),
	}
	if s.Mode == "" {
		s.Mode = "PULL"
	}
}

// Decode reads s.
func (s *SetMessageRequestModeRequestBody) Decode(data []byte) error { return decodeBody(data, s.read) }

// AppendTo appends s.
func (s *SetMessageRequestModeRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, s.Write)
}

// MessageRequestModeSerializeWrapper is the answer to code 402, and a file.
type MessageRequestModeSerializeWrapper struct {
	Modes map[string]map[string]SetMessageRequestModeRequestBody // messageRequestModeMap: topic, group
}

// Write writes m.
func (m *MessageRequestModeSerializeWrapper) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("messageRequestModeMap")
	w.ObjStart()
	for _, topic := range slices.Sorted(maps.Keys(m.Modes)) {
		w.Key(topic)
		w.ObjStart()
		for _, group := range slices.Sorted(maps.Keys(m.Modes[topic])) {
			w.Key(group)
			s := m.Modes[topic][group]
			s.Write(w)
		}
		w.ObjEnd()
	}
	w.ObjEnd()
	w.ObjEnd()
}

func (m *MessageRequestModeSerializeWrapper) read(v fastjson.Value) {
	t := v.Get("messageRequestModeMap")
	m.Modes = make(map[string]map[string]SetMessageRequestModeRequestBody, t.Len())
	for _, topic := range t.Members() {
		groups := make(map[string]SetMessageRequestModeRequestBody, topic.Val.Len())
		for _, group := range topic.Val.Members() {
			var s SetMessageRequestModeRequestBody
			s.read(group.Val)
			groups[group.Key.Str()] = s
		}
		m.Modes[topic.Key.Str()] = groups
	}
}

// Decode reads m.
func (m *MessageRequestModeSerializeWrapper) Decode(data []byte) error {
	return decodeBody(data, m.read)
}

// AppendTo appends m.
func (m *MessageRequestModeSerializeWrapper) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, m.Write)
}
