package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// yaml writes v as JSON would name it. Texts are quoted as in JSON, which YAML reads.
func yaml(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeYAML(&out, plain, 0, false); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// bare are keys that need no quotes; words that YAML takes for something else are short.
var bare = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{5,}$`)

// writeYAML writes v at a depth; inline: behind "- ", so that its first line is not indented.
func writeYAML(w *bytes.Buffer, v any, depth int, inline bool) error {
	pad := func() {
		if !inline {
			w.WriteString(strings.Repeat("  ", depth))
		}
		inline = false
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			pad()
			w.WriteString("{}\n")
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			pad()
			key, err := json.Marshal(k)
			if err != nil {
				return err
			}
			if bare.MatchString(k) {
				key = []byte(k)
			}
			w.Write(key)
			w.WriteByte(':')
			if err := writeMember(w, v[k], depth+1); err != nil {
				return err
			}
		}
	case []any:
		if len(v) == 0 {
			pad()
			w.WriteString("[]\n")
		}
		for _, e := range v {
			pad()
			w.WriteString("- ")
			if err := writeYAML(w, e, depth+1, true); err != nil {
				return err
			}
		}
	default:
		pad()
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		w.Write(append(b, '\n'))
	}
	return nil
}

// writeMember writes what stands behind a key.
func writeMember(w *bytes.Buffer, v any, depth int) error {
	nested := false
	switch v := v.(type) {
	case map[string]any:
		nested = len(v) > 0
	case []any:
		nested = len(v) > 0
	}
	if nested {
		w.WriteByte('\n')
		return writeYAML(w, v, depth, false)
	}
	w.WriteByte(' ')
	return writeYAML(w, v, 0, true)
}
