package meta

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

var errNoObject = errors.New("not an object")

// member is one member of an object that we write.
type member struct {
	name  string
	write func(w *fastjson.Writer)
}

func byName(a, b member) int { return strings.Compare(a.name, b.name) }

// writeObject writes known members and unknown ones in alphabetical order, as Java's fastjson does.
func writeObject(w *fastjson.Writer, known []member, extra []fastjson.Member) {
	if len(extra) > 0 {
		known = slices.Clone(known)
		for _, m := range extra {
			known = append(known, member{m.Key.Str(), func(w *fastjson.Writer) { w.Value(m.Val) }})
		}
		slices.SortStableFunc(known, byName)
	}
	w.ObjStart()
	for _, m := range known {
		w.Key(m.name)
		m.write(w)
	}
	w.ObjEnd()
}

// parseDocument parses a text whose top is an object.
func parseDocument(data []byte) (fastjson.Value, error) {
	v, err := fastjson.Parse(data)
	if err != nil {
		return v, err
	}
	if v.Kind() != fastjson.Object {
		return v, errNoObject
	}
	return v, nil
}

func writeVersion(w *fastjson.Writer, v mq.DataVersion) {
	w.ObjStart()
	w.Key("counter")
	w.Int(v.Counter)
	w.Key("stateVersion")
	w.Int(v.StateVersion)
	w.Key("timestamp")
	w.Int(v.Timestamp)
	w.ObjEnd()
}

// readVersion reads a dataVersion. Files of old brokers have none.
func readVersion(v fastjson.Value) (d mq.DataVersion, err error) {
	f := fields{v: v}
	d.Counter = f.int("counter", 0, 64)
	d.StateVersion = f.int("stateVersion", 0, 64)
	d.Timestamp = f.int("timestamp", 0, 64)
	if f.err != nil {
		return mq.DataVersion{}, fmt.Errorf("dataVersion: %w", f.err)
	}
	return d, nil
}

// intOf returns an integer of so many bits, given as a number or as text.
func intOf(v fastjson.Value, bits int) (int64, error) {
	if k := v.Kind(); k == fastjson.Number || k == fastjson.String {
		if n, err := strconv.ParseInt(strings.TrimSpace(v.Str()), 10, bits); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%q is not an integer of %d bits", v.Str(), bits)
}

// fields reads the members of an object with the defaults of the Java class. The first wrong one sets err.
type fields struct {
	v   fastjson.Value
	err error
}

func (f *fields) get(name string) (fastjson.Value, bool) {
	v := f.v.Get(name)
	return v, v.Exists()
}

func (f *fields) set(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (f *fields) int(name string, def int64, bits int) int64 {
	v, ok := f.get(name)
	if !ok {
		return def
	}
	n, err := intOf(v, bits)
	if err != nil {
		f.set(name, err)
	}
	return n
}

func (f *fields) int32(name string, def int32) int32 { return int32(f.int(name, int64(def), 32)) }

func (f *fields) bool(name string, def bool) bool {
	v, ok := f.get(name)
	if !ok {
		return def
	}
	b := v.BoolOr(def)
	if b != v.BoolOr(!def) {
		f.set(name, fmt.Errorf("%q is not true or false", v.Str()))
	}
	return b
}

func (f *fields) str(name, def string) string {
	v, ok := f.get(name)
	if !ok {
		return def
	}
	if v.Kind() == fastjson.Object || v.Kind() == fastjson.Array {
		f.set(name, errors.New("not a text"))
	}
	return strings.Clone(v.Str())
}

func (f *fields) strings(name string) map[string]string {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	if v.Kind() != fastjson.Object {
		f.set(name, errNoObject)
		return nil
	}
	out := make(map[string]string, v.Len())
	for _, m := range v.Members() {
		if m.Val.Kind() != fastjson.Null {
			out[strings.Clone(m.Key.Str())] = strings.Clone(m.Val.Str())
		}
	}
	return out
}

// raw returns a member as compact text, nil when there is none.
func (f *fields) raw(name string) []byte {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	return v.AppendTo(nil, fastjson.Compact)
}

// rest returns the members that are not in known, which is sorted.
func (f *fields) rest(known []string) []fastjson.Member {
	var out []fastjson.Member
	for _, m := range f.v.Members() {
		if _, ok := slices.BinarySearch(known, m.Key.Str()); !ok {
			out = append(out, m)
		}
	}
	return out
}

func writeStrings(w *fastjson.Writer, m map[string]string) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	w.ObjStart()
	for _, k := range keys {
		w.Key(k)
		w.Str(m[k])
	}
	w.ObjEnd()
}

// writeRaw writes a text that was checked when it came in; what cannot be parsed becomes null.
func writeRaw(w *fastjson.Writer, text []byte) {
	v, err := fastjson.Parse(text)
	if err != nil {
		w.Null()
		return
	}
	w.Value(v)
}
