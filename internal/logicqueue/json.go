package logicqueue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// Write writes m as Java does. currIdMap stays empty, as in all that Java's tools and brokers write of a whole mapping.
func (m *Mapping) Write(w *fastjson.Writer) {
	w.ObjStart()
	text(w, "bname", m.Broker)
	w.Key("currIdMap")
	w.ObjStart()
	w.ObjEnd()
	w.Key("dirty")
	w.Bool(m.Dirty)
	number(w, "epoch", m.Epoch)
	w.Key("hostedQueues")
	w.ObjStart()
	for _, id := range slices.Sorted(maps.Keys(m.Queues)) {
		w.KeyInt(int64(id))
		w.ArrStart()
		for k := range m.Queues[id] {
			m.Queues[id][k].write(w)
		}
		w.ArrEnd()
	}
	w.ObjEnd()
	text(w, "scope", m.Scope)
	text(w, "topic", m.Topic)
	number(w, "totalQueues", int64(m.Total))
	w.ObjEnd()
}

func (i *Item) write(w *fastjson.Writer) {
	w.ObjStart()
	text(w, "bname", i.Broker)
	number(w, "endOffset", int64(i.End))
	number(w, "gen", int64(i.Gen))
	number(w, "logicOffset", int64(i.Logic))
	number(w, "queueId", int64(i.Queue))
	number(w, "startOffset", int64(i.Start))
	number(w, "timeOfEnd", i.TimeOfEnd)
	number(w, "timeOfStart", i.TimeOfStart)
	w.ObjEnd()
}

func text(w *fastjson.Writer, key, v string) {
	w.Key(key)
	w.Str(v)
}

func number(w *fastjson.Writer, key string, v int64) {
	w.Key(key)
	w.Int(v)
}

// JSON returns m as text.
func (m *Mapping) JSON() []byte {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	m.Write(w)
	return w.Bytes()
}

// Parse reads what JSON or Java wrote. It does not Check.
func Parse(data []byte) (*Mapping, error) {
	v, err := fastjson.Parse(data)
	if err != nil {
		return nil, err
	}
	return Decode(v)
}

// Decode reads a mapping, with Java's defaults for what is missing. It does not Check.
func Decode(v fastjson.Value) (*Mapping, error) {
	if v.Kind() != fastjson.Object {
		return nil, errors.New("a mapping is not an object")
	}
	m := &Mapping{
		Topic: strings.Clone(v.Get("topic").Str()), Scope: strings.Clone(v.Get("scope").Str()), Total: v.Get("totalQueues").Int32(),
		Broker: strings.Clone(v.Get("bname").Str()), Epoch: v.Get("epoch").Int64(), Dirty: v.Get("dirty").Bool(),
	}
	if m.Scope == "" {
		m.Scope = ScopeGlobal
	}
	hosted := v.Get("hostedQueues")
	m.Queues = make(map[int32]Items, hosted.Len())
	for _, q := range hosted.Members() {
		id, err := strconv.ParseInt(strings.TrimSpace(q.Key.Str()), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("hostedQueues: %q is no queue id", q.Key.Str())
		}
		if q.Val.Kind() != fastjson.Array {
			return nil, fmt.Errorf("hostedQueues: queue %d is not a list", id)
		}
		list := make(Items, 0, q.Val.Len())
		for _, e := range q.Val.Arr() {
			list = append(list, Item{
				Gen: e.Get("gen").Int32(), Queue: e.Get("queueId").Int32(), Broker: strings.Clone(e.Get("bname").Str()),
				Logic: Index(e.Get("logicOffset").Int64()), Start: Index(e.Get("startOffset").Int64()),
				End:         Index(e.Get("endOffset").Int64Or(-1)),
				TimeOfStart: e.Get("timeOfStart").Int64Or(-1), TimeOfEnd: e.Get("timeOfEnd").Int64Or(-1),
			})
		}
		m.Queues[int32(id)] = list
	}
	return m, nil
}

// MarshalJSON writes m as plain JSON, with all keys quoted.
func (m *Mapping) MarshalJSON() ([]byte, error) {
	w := fastjson.NewWriter(nil, fastjson.Standard)
	m.Write(w)
	return w.Bytes(), nil
}

// UnmarshalJSON is Parse.
func (m *Mapping) UnmarshalJSON(data []byte) error {
	v, err := Parse(data)
	if err == nil {
		*m = *v
	}
	return err
}
