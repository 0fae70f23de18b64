package httpapi

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// maskingRule hides a property, or a value in bodies that are JSON, from roles below admin.
type maskingRule struct {
	Kind    string `json:"kind"` // property or jsonPath
	Pattern string `json:"pattern"`
	Topic   string `json:"topic,omitempty"` // RE2 of topics, "" = all
}

const hidden = "***"

// settings are those of the console that can be changed while it runs.
type settings struct {
	Masking    []maskingRule `json:"masking"`
	Prometheus string        `json:"prometheus,omitempty"`
}

// settingsCache keeps what is in the file.
type settingsCache struct {
	mu sync.Mutex // guards v
	v  *settings
}

func (a *API) settings() (*settings, error) {
	a.own.mu.Lock()
	v := a.own.v
	a.own.mu.Unlock()
	if v != nil {
		return v, nil
	}
	v = &settings{Masking: []maskingRule{}}
	if _, err := a.keep.get(settingsBucket, "settings", v); err != nil {
		return nil, err
	}
	a.own.mu.Lock()
	a.own.v = v
	a.own.mu.Unlock()
	return v, nil
}

// masking are the rules for one topic and one caller.
type masking struct {
	rules []maskingRule
	all   bool // the rules cannot be read: nothing is shown
}

func (c *call) masks(topic string) *masking {
	m := &masking{}
	if c.who.may(roleAdmin) {
		return m
	}
	s, err := c.a.settings()
	if err != nil {
		c.a.log.Error("the masking rules of the dashboard cannot be read", "err", err)
		m.all = true
		return m
	}
	for _, r := range s.Masking {
		re, err := scope(r.Topic) // was checked when it was stored
		if err == nil && (re == nil || re.MatchString(topic)) {
			m.rules = append(m.rules, r)
		}
	}
	return m
}

func (m *masking) properties(p map[string]string) {
	for k := range p {
		if m.all {
			p[k] = hidden
		}
		for _, r := range m.rules {
			if r.Kind == "property" && r.Pattern == k {
				p[k] = hidden
			}
		}
	}
}

// body hides values. What is no JSON is hidden as a whole when a rule is for bodies, since nobody can say where the value is.
func (m *masking) body(raw []byte) (shown []byte, masked bool) {
	if m.all {
		return []byte(hidden), true
	}
	var v any
	for _, r := range m.rules {
		if r.Kind != "jsonPath" {
			continue
		}
		if v == nil {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber()
			if d.Decode(&v) != nil || v == nil {
				return []byte(hidden), true
			}
		}
		p, err := parsePath(r.Pattern)
		if err == nil && p.replace(v) {
			masked = true
		}
	}
	if !masked {
		return raw, false
	}
	b, err := json.Marshal(v)
	if err != nil {
		return []byte(hidden), true
	}
	return b, true
}

// jsonPath is a path of names and indexes: $.a.b[0].
type jsonPath []string

var pathPart = regexp.MustCompile(`^(?:\.([^.\[\]=\s]+)|\[(\d{1,6})\]|\['([^']+)'\]|\[\*\])`)

func parsePath(s string) (jsonPath, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "$")
	if !ok {
		return nil, badField("json", "badPath", "a path begins with $")
	}
	var out jsonPath
	for rest != "" {
		m := pathPart.FindStringSubmatch(rest)
		if m == nil {
			return nil, badField("json", "badPath", "%q: want .name, [0], ['name'] or [*]", rest)
		}
		part := "*"
		for _, g := range m[1:] {
			if g != "" {
				part = g
			}
		}
		out = append(out, part)
		rest = rest[len(m[0]):]
	}
	if len(out) > 32 {
		return nil, badField("json", "badPath", "the path has more than 32 parts")
	}
	return out, nil
}

// each shows the children that a part of the path means; set replaces one.
func children(v any, part string, each func(child any, set func(any))) {
	switch x := v.(type) {
	case map[string]any:
		for k, child := range x {
			if part == "*" || part == k {
				each(child, func(n any) { x[k] = n })
			}
		}
	case []any:
		for i, child := range x {
			if part == "*" || part == strconv.Itoa(i) {
				each(child, func(n any) { x[i] = n })
			}
		}
	}
}

// replace hides what the path means.
func (p jsonPath) replace(v any) (any bool) {
	if len(p) == 0 {
		return false
	}
	children(v, p[0], func(child interface{}, set func(interface{})) {
		if len(p) == 1 {
			set(hidden)
			any = true
			return
		}
		any = p[1:].replace(child) || any
	})
	return any
}

// find shows the values that the path means.
func (p jsonPath) find(v any, show func(any)) {
	if len(p) == 0 {
		show(v)
		return
	}
	children(v, p[0], func(child any, _ func(any)) { p[1:].find(child, show) })
}
