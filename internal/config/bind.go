package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is one key of a struct, as its tags tell.
type field struct {
	key      string
	doc      string
	live     bool
	index    []int
	typ      reflect.Type
	unit     time.Duration
	unitName string
	min, max *int64
	enum     []string
	sep      string
}

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour}

// fieldsOf lists the keys of a struct type, also those of structs in it. A wrong tag is a bug of this package.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		key, ok := sf.Tag.Lookup("key")
		if key == "-" { // made of others
			continue
		}
		if !ok {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				out = append(out, f)
			}
			continue
		}
		f := field{
			key: key, doc: sf.Tag.Get("doc"), live: sf.Tag.Get("live") == "true", index: []int{i}, typ: sf.Type,
			unitName: sf.Tag.Get("unit"), enum: strings.Fields(sf.Tag.Get("enum")), sep: sf.Tag.Get("sep"),
		}
		f.unit = units[f.unitName]
		f.min, f.max = bound(sf.Tag, "min"), bound(sf.Tag, "max")
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b field) int { return strings.Compare(a.key, b.key) })
	return out
}

func bound(tag reflect.StructTag, name string) *int64 {
	s, ok := tag.Lookup(name)
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("config: tag " + name + ": " + s)
	}
	return &n
}

// allowed says what values a key takes.
func (f *field) allowed() string {
	switch {
	case len(f.enum) > 0:
		return "one of " + strings.Join(f.enum, ", ")
	case f.sep != "":
		return "a list separated by " + strconv.Quote(f.sep)
	case f.typ.Kind() == reflect.Bool:
		return "true or false"
	case f.typ.Kind() == reflect.String:
		return "a text"
	}
	what := "a whole number"
	if f.unit != 0 {
		what += " of " + map[string]string{"ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours"}[f.unitName]
	}
	switch {
	case f.min != nil && f.max != nil:
		return fmt.Sprintf("%s from %d to %d", what, *f.min, *f.max)
	case f.min != nil:
		return fmt.Sprintf("%s, at least %d", what, *f.min)
	}
	return what
}

// set parses text into the field of the struct cfg; false = not allowed.
func (f *field) set(cfg reflect.Value, text string) bool {
	v := cfg.FieldByIndex(f.index)
	text = strings.TrimSpace(text)
	switch {
	case len(f.enum) > 0:
		i := slices.IndexFunc(f.enum, func(e string) bool { return strings.EqualFold(e, text) })
		if i < 0 {
			return false
		}
		v.SetString(f.enum[i])
	case f.sep != "":
		v.Set(reflect.ValueOf(splitList(text, f.sep)))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		switch strings.ToLower(text) {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			return false
		}
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || (f.min != nil && n < *f.min) || (f.max != nil && n > *f.max) {
			return false
		}
		if f.unit != 0 {
			if n > int64(1<<63-1)/int64(f.unit) {
				return false
			}
			n *= int64(f.unit)
		}
		if v.OverflowInt(n) {
			return false
		}
		v.SetInt(n)
	}
	return true
}

// text formats the field as it stands in a file.
func (f *field) text(cfg reflect.Value) string {
	v := cfg.FieldByIndex(f.index)
	switch {
	case f.sep != "":
		return strings.Join(v.Interface().([]string), f.sep)
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case f.unit != 0:
		return strconv.FormatInt(v.Int()/int64(f.unit), 10)
	}
	return strconv.FormatInt(v.Int(), 10)
}

func splitList(s, sep string) []string {
	var out []string
	for p := range strings.SplitSeq(s, sep) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// Properties returns the effective values by key, as they stand in a file.
func (b *Broker) Properties() map[string]string { return propertiesOf(b) }

// Properties returns the effective values by key, as they stand in a file.
func (n *Namesrv) Properties() map[string]string { return propertiesOf(n) }

// Properties returns the effective values by key, as they stand in a file.
func (c *Controller) Properties() map[string]string { return propertiesOf(c) }

func propertiesOf[T any](cfg *T) map[string]string {
	v := reflect.ValueOf(cfg).Elem()
	out := map[string]string{}
	for _, f := range fieldsOf(v.Type()) {
		out[f.key] = f.text(v)
		if IsSecret(f.key) && out[f.key] != "" {
			out[f.key] = Hidden
		}
	}
	return out
}

// Format prints values as a properties file, sorted by key.
func Format(props map[string]string) string {
	keys := make([]string, 0, len(props))
	for k := range props {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(escape(k, true))
		b.WriteByte('=')
		b.WriteString(escape(props[k], false))
		b.WriteByte('\n')
	}
	return b.String()
}

// escape writes what a properties reader would not take literally. Text beyond ASCII becomes \uXXXX, which Java reads too.
func escape(s string, key bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' && (key || i == 0):
			b.WriteString(`\ `)
		case key && strings.ContainsRune("=:#!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r > 0xFFFF:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04X\u%04X`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		case r < ' ' || r > '~':
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
