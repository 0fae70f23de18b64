package httpapi

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
)

const (
	maxPattern  = 4096    // bytes of an expression
	maxBodyScan = 1 << 20 // bytes of a body that predicates look at
)

// filter is what a search wants of a message; everything must fit.
type filter struct {
	tags     []string // nil: all
	key      string
	props    [][2]string
	sql      *selector.SQL
	contains []byte
	regex    *regexp.Regexp
	path     jsonPath
	want     any // of path
	not      bool
	hide     *masking
}

// parseFilter reads the predicates of a question.
func parseFilter(v url.Values) (*filter, error) {
	f := &filter{key: strings.TrimSpace(v.Get("key")), contains: []byte(v.Get("contains")), hide: &masking{}}
	for _, name := range []string{"tag", "key", "property", "sql", "contains", "regex", "json"} {
		for _, s := range v[name] {
			if len(s) > maxPattern {
				return nil, badField(name, "tooLong", "%s: %d bytes, %d are allowed", name, len(s), maxPattern)
			}
		}
	}
	if s := strings.TrimSpace(v.Get("tag")); s != "" && s != "*" {
		t, err := selector.ParseTags(s)
		if err != nil {
			return nil, badField("tag", "badTags", "%v", err)
		}
		f.tags = t.Words()
	}
	for _, s := range v["property"] {
		name, want, ok := strings.Cut(s, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, badField("property", "badProperty", "%q: want name=value", s)
		}
		f.props = append(f.props, [2]string{name, want})
	}
	var err error
	if s := strings.TrimSpace(v.Get("sql")); s != "" {
		if f.sql, err = selector.ParseSQL(s); err != nil {
			return nil, badField("sql", "badSQL", "%v", err)
		}
	}
	if s := v.Get("regex"); s != "" {
		if f.regex, err = regexp.Compile(s); err != nil {
			return nil, badField("regex", "badRegex", "%v", err)
		}
	}
	if s := strings.TrimSpace(v.Get("json")); s != "" {
		if err := f.parseJSON(s); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// parseJSON reads $.path==value. A value that is no JSON is a text.
func (f *filter) parseJSON(s string) (err error) {
	i := strings.IndexAny(s, "=!")
	if i < 0 || i+2 > len(s) || s[i+1] != '=' {
		return badField("json", "badPath", "%q: want $.path==value or $.path!=value", s)
	}
	f.not = s[i] == '!'
	if f.path, err = parsePath(s[:i]); err != nil {
		return err
	}
	text := strings.TrimSpace(s[i+2:])
	if f.want, err = decodeJSON([]byte(text)); err != nil {
		f.want, err = text, nil
	}
	return err
}

// decodeJSON reads one value and keeps numbers as they are written.
func decodeJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err = d.Decode(&v); err == nil && d.More() {
		err = errStop
	}
	return v, err
}

// looksAtBody says whether the body must be unpacked.
func (f *filter) looksAtBody() bool { return len(f.contains) > 0 || f.regex != nil || f.path != nil }

// expression is what the broker can sort out by itself.
func (f *filter) expression() string {
	if f.tags == nil {
		return "*"
	}
	return strings.Join(f.tags, " || ")
}

// fits decides about one message.
func (f *filter) fits(m *record.Message) bool {
	get := func(name string) string {
		v, _ := m.Props.Get(name)
		return string(v)
	}
	if f.tags != nil && !slices.Contains(f.tags, get("TAGS")) { // the broker compares hashes only
		return false
	}
	if f.key != "" && get("UNIQ_KEY") != f.key && !slices.Contains(strings.Fields(get("KEYS")), f.key) {
		return false
	}
	for _, p := range f.props {
		if v, ok := m.Props.Get(p[0]); !ok || string(v) != p[1] {
			return false
		}
	}
	if f.sql != nil && !f.sql.Matches(m.Props) {
		return false
	}
	return !f.looksAtBody() || f.fitsBody(m)
}

func (f *filter) fitsBody(m *record.Message) bool {
	body, packed := unpack(m, maxBodyScan)
	if packed {
		return false
	}
	if len(body) > maxBodyScan {
		body = body[:maxBodyScan]
	}
	body, _ = f.hide.body(body) // what is hidden cannot be guessed by searching for it
	if len(f.contains) > 0 && !bytes.Contains(body, f.contains) {
		return false
	}
	if f.regex != nil && !f.regex.Match(body) {
		return false
	}
	if f.path == nil {
		return true
	}
	v, err := decodeJSON(body)
	if err != nil {
		return false
	}
	found, equal := false, false
	f.path.find(v, func(got any) {
		found = true
		equal = equal || same(got, f.want)
	})
	return found && equal != f.not
}

// same compares JSON values; numbers by value.
func same(a, b any) bool {
	x, ok1 := a.(json.Number)
	y, ok2 := b.(json.Number)
	if ok1 && ok2 {
		if x == y {
			return true
		}
		p, err1 := x.Float64()
		q, err2 := y.Float64()
		return err1 == nil && err2 == nil && p == q
	}
	if ok1 != ok2 { // "1" and 1: people do not write the quotes
		return textOf(a) == textOf(b)
	}
	p, err1 := json.Marshal(a)
	q, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

func textOf(v any) string {
	switch x := v.(type) {
	case json.Number:
		return x.String()
	case string:
		return x
	}
	return "\x00"
}
