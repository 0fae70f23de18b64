package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// GroupForbidden is the answer to code 353.
type GroupForbidden struct {
	Group, Topic string
	Readable     bool
}

// Write writes g.
func (g *GroupForbidden) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "group", g.Group)
	w.Key("readable")
	w.Bool(g.Readable)
	strField(w, "topic", g.Topic)
	w.ObjEnd()
}

func (g *GroupForbidden) read(v fastjson.Value) {
	*g = GroupForbidden{Group: v.Get("group").Str(), Topic: v.Get("topic").Str(), Readable: v.Get("readable").Bool()}
}

// Decode reads g.
func (g *GroupForbidden) Decode(data []byte) error { return decodeBody(data, g.read) }

// AppendTo appends g.
func (g *GroupForbidden) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, g.Write) }

// QueryCorrectionOffsetBody is the answer to code 308.
type QueryCorrectionOffsetBody struct {
	Offsets map[int32]int64 // correctionOffsets, by queue
}

// Write writes q.
func (q *QueryCorrectionOffsetBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("correctionOffsets")
	w.ObjStart()
	for _, id := range slices.Sorted(maps.Keys(q.Offsets)) {
		w.KeyInt(int64(id))
		w.Int(q.Offsets[id])
	}
	w.ObjEnd()
	w.ObjEnd()
}

func (q *QueryCorrectionOffsetBody) read(v fastjson.Value) {
	t := v.Get("correctionOffsets")
	q.Offsets = make(map[int32]int64, t.Len())
	for _, m := range t.Members() {
		q.Offsets[m.Key.Int32()] = m.Val.Int64()
	}
}

// Decode reads q.
func (q *QueryCorrectionOffsetBody) Decode(data []byte) error { return decodeBody(data, q.read) }

// AppendTo appends q.
func (q *QueryCorrectionOffsetBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, q.Write)
}
