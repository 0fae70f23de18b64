package protocol

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// The JSON bodies. Each type has
//
//	Decode(data []byte) error                     tolerant; what is missing gets Java's default; nothing aliases data
//	AppendTo(dst []byte, std bool) []byte         Java's text: compact, or standard JSON when std
//	Write(w *fastjson.Writer)                     the same as part of a larger document, or pretty
//
// Keys are written in alphabetical order, optional ones (said so in the comment) are left out when empty. Tables whose
// key repeats a field of the value are slices here; they are written in the order given.

// ErrBody is wrapped by every error about a body that is not what its request wants.
var ErrBody = errors.New("bad body")

// decodeBody parses data as an object and hands it to read.
func decodeBody(data []byte, read func(v fastjson.Value)) error {
	v, err := fastjson.Parse(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	if v.Kind() != fastjson.Object {
		return fmt.Errorf("%w: no JSON object", ErrBody)
	}
	read(v)
	return nil
}

// appendBody appends what write writes.
func appendBody(dst []byte, std bool, write func(w *fastjson.Writer)) []byte {
	m := fastjson.Compact
	if std {
		m = fastjson.Standard
	}
	w := fastjson.NewWriter(dst, m)
	write(w)
	return w.Bytes()
}

func strField(w *fastjson.Writer, key, val string) {
	w.Key(key)
	w.Str(val)
}

func optField(w *fastjson.Writer, key, val string) {
	if val != "" {
		strField(w, key, val)
	}
}

func intField[T int32 | int64](w *fastjson.Writer, key string, val T) {
	w.Key(key)
	w.Int(int64(val))
}

func boolField(w *fastjson.Writer, key string, val bool) {
	w.Key(key)
	w.Bool(val)
}

// rawField writes JSON text that was kept as it came; in the form of w.
func rawField(w *fastjson.Writer, key string, raw []byte) {
	w.Key(key)
	v, err := fastjson.Parse(raw)
	if err != nil {
		v = fastjson.Value{}
	}
	w.Value(v)
}

func listField[T any](w *fastjson.Writer, key string, list []T, write func(w *fastjson.Writer, e *T)) {
	w.Key(key)
	w.ArrStart()
	for i := range list {
		write(w, &list[i])
	}
	w.ArrEnd()
}

func readList[T any](v fastjson.Value, read func(e *T, v fastjson.Value)) []T {
	a := v.Arr()
	if len(a) == 0 {
		return nil
	}
	list := make([]T, len(a))
	for i := range a {
		read(&list[i], a[i])
	}
	return list
}

func stringsField(w *fastjson.Writer, key string, m map[string]string) {
	w.Key(key)
	writeStrings(w, m)
}

func writeStrings(w *fastjson.Writer, m map[string]string) {
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		strField(w, k, m[k])
	}
	w.ObjEnd()
}

// readStrings reads an object of texts; null values are left out, as Java leaves them out when it writes.
func readStrings(v fastjson.Value) map[string]string {
	m := make(map[string]string, v.Len())
	for _, e := range v.Members() {
		if e.Val.Exists() {
			m[e.Key.Str()] = textOf(e.Val)
		}
	}
	return m
}

// textOf is a value as text, also when it is an object: fastjson gives a String field the JSON text.
func textOf(v fastjson.Value) string {
	if k := v.Kind(); k == fastjson.Object || k == fastjson.Array {
		return string(v.AppendTo(nil, fastjson.Compact))
	}
	return v.Str()
}

// KVTable is a table of texts.
type KVTable struct {
	Table map[string]string
}

// Write writes t.
func (t *KVTable) Write(w *fastjson.Writer) {
	w.ObjStart()
	stringsField(w, "table", t.Table)
	w.ObjEnd()
}

func (t *KVTable) read(v fastjson.Value) { t.Table = readStrings(v.Get("table")) }

// Decode reads t.
func (t *KVTable) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *KVTable) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, t.Write) }

// MessageQueue names a queue.
type MessageQueue struct {
	Topic      string
	BrokerName string
	QueueID    int32
}

// Write writes q; also as a key, with Colon behind it.
func (q *MessageQueue) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "brokerName", q.BrokerName)
	intField(w, "queueId", q.QueueID)
	strField(w, "topic", q.Topic)
	w.ObjEnd()
}

// read also takes the object as text, the form in which a strict JSON library writes a key.
func (q *MessageQueue) read(v fastjson.Value) {
	if v.Kind() == fastjson.String {
		if in, err := fastjson.ParseString(v.Str()); err == nil {
			v = in
		}
	}
	*q = MessageQueue{Topic: v.Get("topic").Str(), BrokerName: v.Get("brokerName").Str(), QueueID: v.Get("queueId").Int32()}
}

func writeQueue(w *fastjson.Writer, q *MessageQueue) { q.Write(w) }

// DataVersion is the version of a table.
type DataVersion struct {
	Counter      int64
	StateVersion int64
	Timestamp    int64 // ms
}

// Write writes d.
func (d DataVersion) Write(w *fastjson.Writer) {
	w.ObjStart()
	intField(w, "counter", d.Counter)
	intField(w, "stateVersion", d.StateVersion)
	intField(w, "timestamp", d.Timestamp)
	w.ObjEnd()
}

func (d *DataVersion) read(v fastjson.Value) {
	*d = DataVersion{Counter: v.Get("counter").Int64(), StateVersion: v.Get("stateVersion").Int64(), Timestamp: v.Get("timestamp").Int64()}
}

// Decode reads d.
func (d *DataVersion) Decode(data []byte) error { return decodeBody(data, d.read) }

// AppendTo appends d.
func (d DataVersion) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, d.Write) }
