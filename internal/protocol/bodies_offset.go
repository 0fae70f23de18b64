package protocol

import (
	"encoding/base64"
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// QueueOffset is one queue with an offset.
type QueueOffset struct {
	Queue  MessageQueue
	Offset int64
}

// writeOffsets writes a table with objects as keys.
func writeOffsets(w *fastjson.Writer, key string, list []QueueOffset) {
	queueTable(w, key, list, func(w *fastjson.Writer, o *QueueOffset) {
		o.Queue.Write(w)
		w.Colon()
		w.Int(o.Offset)
	})
}

func readOffsets(v fastjson.Value) []QueueOffset {
	return readTable(v, func(o *QueueOffset, m fastjson.Member) {
		o.Queue.read(m.Key)
		o.Offset = m.Val.Int64()
	})
}

// ResetOffsetBody is the answer to code 222 and the body of code 220.
type ResetOffsetBody struct {
	OffsetTable []QueueOffset
}

// Write writes r.
func (r *ResetOffsetBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	writeOffsets(w, "offsetTable", r.OffsetTable)
	w.ObjEnd()
}

func (r *ResetOffsetBody) read(v fastjson.Value) { r.OffsetTable = readOffsets(v.Get("offsetTable")) }

// Decode reads r.
func (r *ResetOffsetBody) Decode(data []byte) error { return decodeBody(data, r.read) }

// AppendTo appends r.
func (r *ResetOffsetBody) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, r.Write) }

// ResetOffsetBodyForC is ResetOffsetBody for C++ clients, which want a list.
type ResetOffsetBodyForC struct {
	OffsetTable []QueueOffset
}

// Write writes r.
func (r *ResetOffsetBodyForC) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "offsetTable", r.OffsetTable, func(w *fastjson.Writer, o *QueueOffset) {
		w.ObjStart()
		strField(w, "brokerName", o.Queue.BrokerName)
		intField(w, "offset", o.Offset)
		intField(w, "queueId", o.Queue.QueueID)
		strField(w, "topic", o.Queue.Topic)
		w.ObjEnd()
	})
	w.ObjEnd()
}

func (r *ResetOffsetBodyForC) read(v fastjson.Value) {
	r.OffsetTable = readList(v.Get("offsetTable"), func(o *QueueOffset, v fastjson.Value) {
		o.Queue.read(v)
		o.Offset = v.Get("offset").Int64()
	})
}

// Decode reads r.
func (r *ResetOffsetBodyForC) Decode(data []byte) error { return decodeBody(data, r.read) }

// AppendTo appends r.
func (r *ResetOffsetBodyForC) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, r.Write)
}

// GetConsumerStatusBody is a client's answer to code 221 (MessageQueueTable) and the broker's to 223 (ConsumerTable).
type GetConsumerStatusBody struct {
	MessageQueueTable []QueueOffset
	ConsumerTable     map[string][]QueueOffset // by client id
}

// Write writes g.
func (g *GetConsumerStatusBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("consumerTable")
	w.ObjStart()
	for _, id := range slices.Sorted(maps.Keys(g.ConsumerTable)) {
		writeOffsets(w, id, g.ConsumerTable[id])
	}
	w.ObjEnd()
	writeOffsets(w, "messageQueueTable", g.MessageQueueTable)
	w.ObjEnd()
}

func (g *GetConsumerStatusBody) read(v fastjson.Value) {
	t := v.Get("consumerTable")
	*g = GetConsumerStatusBody{
		MessageQueueTable: readOffsets(v.Get("messageQueueTable")), ConsumerTable: make(map[string][]QueueOffset, t.Len()),
	}
	for _, m := range t.Members() {
		g.ConsumerTable[m.Key.Str()] = readOffsets(m.Val)
	}
}

// Decode reads g.
func (g *GetConsumerStatusBody) Decode(data []byte) error { return decodeBody(data, g.read) }

// AppendTo appends g.
func (g *GetConsumerStatusBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// BatchAck acknowledges messages of one popped batch.
type BatchAck struct {
	ConsumerGroup string // c
	Topic         string // t
	Retry         string // r: "0", "1" or "2"
	StartOffset   int64  // so
	QueueID       int32  // q
	ReviveQueueID int32  // rq
	PopTime       int64  // pt
	InvisibleTime int64  // it
	BitSet        []byte // b: little-endian bits, relative to StartOffset; base64 in the text
}

// BatchAckMessageRequestBody is the body of code 200151.
type BatchAckMessageRequestBody struct {
	BrokerName string
	Acks       []BatchAck
}

// Write writes b.
func (b *BatchAckMessageRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "acks", b.Acks, func(w *fastjson.Writer, a *BatchAck) {
		w.ObjStart()
		strField(w, "b", base64.StdEncoding.EncodeToString(a.BitSet))
		strField(w, "c", a.ConsumerGroup)
		intField(w, "it", a.InvisibleTime)
		intField(w, "pt", a.PopTime)
		intField(w, "q", a.QueueID)
		strField(w, "r", a.Retry)
		intField(w, "rq", a.ReviveQueueID)
		intField(w, "so", a.StartOffset)
		strField(w, "t", a.Topic)
		w.ObjEnd()
	})
	strField(w, "brokerName", b.BrokerName)
	w.ObjEnd()
}

func (b *BatchAckMessageRequestBody) read(v fastjson.Value) {
	b.BrokerName = v.Get("brokerName").Str()
	b.Acks = readList(v.Get("acks"), func(a *BatchAck, v fastjson.Value) {
		get := func(short, long string) fastjson.Value {
			if e := v.Get(short); e.Exists() {
				return e
			}
			return v.Get(long)
		}
		*a = BatchAck{
			ConsumerGroup: get("c", "consumerGroup").Str(), Topic: get("t", "topic").Str(), Retry: get("r", "retry").Str(),
			StartOffset: get("so", "startOffset").Int64(), QueueID: get("q", "queueId").Int32(),
			ReviveQueueID: get("rq", "reviveQueueId").Int32(), PopTime: get("pt", "popTime").Int64(),
			InvisibleTime: get("it", "invisibleTime").Int64(),
		}
		if bits, err := base64.StdEncoding.DecodeString(get("b", "bitSet").Str()); err == nil {
			a.BitSet = bits
		}
	})
}

// Decode reads b.
func (b *BatchAckMessageRequestBody) Decode(data []byte) error { return decodeBody(data, b.read) }

// AppendTo appends b.
func (b *BatchAckMessageRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, b.Write)
}
