package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// Connection is one client of a group.
type Connection struct {
	ClientID   string
	ClientAddr string
	Language   string
	Version    int32
}

func writeConnection(w *fastjson.Writer, c *Connection) {
	w.ObjStart()
	strField(w, "clientAddr", c.ClientAddr)
	strField(w, "clientId", c.ClientID)
	optField(w, "language", c.Language)
	intField(w, "version", c.Version)
	w.ObjEnd()
}

func (c *Connection) read(v fastjson.Value) {
	*c = Connection{
		ClientID: v.Get("clientId").Str(), ClientAddr: v.Get("clientAddr").Str(), Language: v.Get("language").Str(),
		Version: v.Get("version").Int32(),
	}
}

// ConsumerConnection is the answer to code 203.
type ConsumerConnection struct {
	ConnectionSet     []Connection
	SubscriptionTable map[string]SubscriptionData // by topic
	ConsumeType       string
	MessageModel      string
	ConsumeFromWhere  string
}

// Write writes c.
func (c *ConsumerConnection) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "connectionSet", c.ConnectionSet, writeConnection)
	optField(w, "consumeFromWhere", c.ConsumeFromWhere)
	optField(w, "consumeType", c.ConsumeType)
	optField(w, "messageModel", c.MessageModel)
	w.Key("subscriptionTable")
	w.ObjStart()
	for _, topic := range slices.Sorted(maps.Keys(c.SubscriptionTable)) {
		w.Key(topic)
		s := c.SubscriptionTable[topic]
		s.Write(w)
	}
	w.ObjEnd()
	w.ObjEnd()
}

func (c *ConsumerConnection) read(v fastjson.Value) {
	t := v.Get("subscriptionTable")
	*c = ConsumerConnection{
		ConnectionSet: readList(v.Get("connectionSet"), (*Connection).read), ConsumeType: v.Get("consumeType").Str(),
		MessageModel: v.Get("messageModel").Str(), ConsumeFromWhere: v.Get("consumeFromWhere").Str(),
		SubscriptionTable: make(map[string]SubscriptionData, t.Len()),
	}
	for _, m := range t.Members() {
		var s SubscriptionData
		s.read(m.Val)
		c.SubscriptionTable[m.Key.Str()] = s
	}
}

// Decode reads c.
func (c *ConsumerConnection) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *ConsumerConnection) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, c.Write)
}

// ProducerConnection is the answer to code 204.
type ProducerConnection struct {
	ConnectionSet []Connection
}

// Write writes p.
func (p *ProducerConnection) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "connectionSet", p.ConnectionSet, writeConnection)
	w.ObjEnd()
}

func (p *ProducerConnection) read(v fastjson.Value) {
	p.ConnectionSet = readList(v.Get("connectionSet"), (*Connection).read)
}

// Decode reads p.
func (p *ProducerConnection) Decode(data []byte) error { return decodeBody(data, p.read) }

// AppendTo appends p.
func (p *ProducerConnection) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, p.Write)
}

// ProducerInfo is one client of ProducerTableInfo. RemoteIP has a slash in front, as Java prints socket addresses.
type ProducerInfo struct {
	ClientID            string
	RemoteIP            string
	Language            string
	Version             int32
	LastUpdateTimestamp int64
}

// ProducerTableInfo is the answer to code 328. Consumers is ours only: nil = not told. Their subscriptions are left out.
type ProducerTableInfo struct {
	Data      map[string][]ProducerInfo     // by group
	Consumers map[string]ConsumerConnection // by group
}

// FieldWithConsumers is the field of a request with code 328 that asks for Consumers, too. Java's brokers ignore it.
const FieldWithConsumers = "withConsumers"

// Write writes p.
func (p *ProducerTableInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("data")
	w.ObjStart()
	for _, group := range slices.Sorted(maps.Keys(p.Data)) {
		listField(w, group, p.Data[group], func(w *fastjson.Writer, i *ProducerInfo) {
			w.ObjStart()
			strField(w, "clientId", i.ClientID)
			optField(w, "language", i.Language)
			intField(w, "lastUpdateTimestamp", i.LastUpdateTimestamp)
			strField(w, "remoteIP", i.RemoteIP)
			intField(w, "version", i.Version)
			w.ObjEnd()
		})
	}
	w.ObjEnd()
	if p.Consumers != nil {
		w.Key("consumers")
		w.ObjStart()
		for _, group := range slices.Sorted(maps.Keys(p.Consumers)) {
			w.Key(group)
			c := p.Consumers[group]
			c.Write(w)
		}
		w.ObjEnd()
	}
	w.ObjEnd()
}

func (p *ProducerTableInfo) read(v fastjson.Value) {
	t := v.Get("data")
	p.Data = make(map[string][]ProducerInfo, t.Len())
	for _, m := range t.Members() {
		p.Data[m.Key.Str()] = readList(m.Val, func(i *ProducerInfo, v fastjson.Value) {
			*i = ProducerInfo{
				ClientID: v.Get("clientId").Str(), RemoteIP: v.Get("remoteIP").Str(), Language: v.Get("language").Str(),
				Version: v.Get("version").Int32(), LastUpdateTimestamp: v.Get("lastUpdateTimestamp").Int64(),
			}
		})
	}
	p.Consumers = nil
	if t = v.Get("consumers"); t.Exists() {
		p.Consumers = make(map[string]ConsumerConnection, t.Len())
		for _, m := range t.Members() {
			var c ConsumerConnection
			c.read(m.Val)
			p.Consumers[m.Key.Str()] = c
		}
	}
}

// Decode reads p.
func (p *ProducerTableInfo) Decode(data []byte) error { return decodeBody(data, p.read) }

// AppendTo appends p.
func (p *ProducerTableInfo) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, p.Write)
}

// QuerySubscriptionResponseBody is the answer to code 345.
type QuerySubscriptionResponseBody struct {
	Group        string
	Topic        string
	Subscription *SubscriptionData // optional
}

// Write writes q.
func (q *QuerySubscriptionResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "group", q.Group)
	if q.Subscription != nil {
		w.Key("subscriptionData")
		q.Subscription.Write(w)
	}
	strField(w, "topic", q.Topic)
	w.ObjEnd()
}

func (q *QuerySubscriptionResponseBody) read(v fastjson.Value) {
	*q = QuerySubscriptionResponseBody{Group: v.Get("group").Str(), Topic: v.Get("topic").Str()}
	if s := v.Get("subscriptionData"); s.Exists() {
		q.Subscription = new(SubscriptionData)
		q.Subscription.read(s)
	}
}

// Decode reads q.
func (q *QuerySubscriptionResponseBody) Decode(data []byte) error { return decodeBody(data, q.read) }

// AppendTo appends q.
func (q *QuerySubscriptionResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, q.Write)
}

// ConsumeMessageDirectlyResult is a client's answer to code 309.
type ConsumeMessageDirectlyResult struct {
	Order          bool
	AutoCommit     bool
	ConsumeResult  string // CR_SUCCESS, CR_LATER, CR_ROLLBACK, CR_COMMIT, CR_THROW_EXCEPTION, CR_RETURN_NULL
	Remark         string // optional
	SpentTimeMills int64
}

// Write writes c.
func (c *ConsumeMessageDirectlyResult) Write(w *fastjson.Writer) {
	w.ObjStart()
	boolField(w, "autoCommit", c.AutoCommit)
	optField(w, "consumeResult", c.ConsumeResult)
	boolField(w, "order", c.Order)
	optField(w, "remark", c.Remark)
	intField(w, "spentTimeMills", c.SpentTimeMills)
	w.ObjEnd()
}

func (c *ConsumeMessageDirectlyResult) read(v fastjson.Value) {
	*c = ConsumeMessageDirectlyResult{
		Order: v.Get("order").Bool(), AutoCommit: v.Get("autoCommit").BoolOr(true), ConsumeResult: v.Get("consumeResult").Str(),
		Remark: v.Get("remark").Str(), SpentTimeMills: v.Get("spentTimeMills").Int64(),
	}
}

// Decode reads c.
func (c *ConsumeMessageDirectlyResult) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *ConsumeMessageDirectlyResult) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, c.Write)
}
