package liveprops

import (
	"errors"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/magiconair/properties"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Table is one state of a configuration; it does not change.
type Table struct{ values map[string]string }

// Edit sets values in the text of a properties file and leaves the rest as it is.
type Edit func(file []byte, values map[string]string) []byte

// Over puts values over defaults. A value that does not parse is replaced by the default; keys without a default are kept.
func Over(defaults, values map[string]string) Table {
	all := maps.Clone(defaults)
	for k, v := range values {
		if def, ok := defaults[k]; !ok || valid(def, v) {
			all[k] = v
		}
	}
	return Table{all}
}

// valid reports whether v can replace a value like def: a number needs a number. Java reads anything else than "true" as false, so a
// boolean takes all.
func valid(def, v string) bool {
	if _, err := strconv.ParseInt(def, 10, 64); err != nil {
		return true
	}
	_, err := strconv.ParseInt(v, 10, 64)
	return err == nil
}

// Get returns a value, "" for a key that there is not.
func (t Table) Get(key string) string { return t.values[key] }

// On reports whether a key is true, as Java reads it.
func (t Table) On(key string) bool { return strings.EqualFold(t.values[key], "true") }

// With returns the table with the changes applied. Keys that do not exist are ignored, as in Java.
func (t Table) With(changes map[string]string) Table {
	all := maps.Clone(t.values)
	for k, v := range changes {
		old, ok := all[k]
		if !ok || !valid(old, v) {
			continue
		}
		if old == "true" || old == "false" {
			v = strconv.FormatBool(strings.EqualFold(v, "true"))
		}
		all[k] = v
	}
	return Table{all}
}

// Locked reports whether a change touches one of the keys that are always locked or one of configBlackList.
func (t Table) Locked(changes map[string]string, always []string) bool {
	black := strings.Split(t.values["configBlackList"], ";")
	for k := range changes {
		if slices.Contains(always, k) || slices.Contains(black, k) {
			return true
		}
	}
	return false
}

// Text is the answer to tools.
func (t Table) Text() []byte { return Text(t.values) }

// Text prints values as Java does: sorted, one a line, nothing escaped.
func Text(values map[string]string) []byte {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(values)) {
		b = append(b, k...)
		b = append(b, '=')
		b = append(b, values[k]...)
		b = append(b, '\n')
	}
	return b
}

// Store writes what was changed into a file, and makes its folder. What else stands there stays, comments and order too, if edit can do
// that; a file that is not there gets all keys, as in Java. edit may be nil.
//
// Differs from Java: it writes the whole configuration anew, and what the operator has written into the file is gone.
func (t Table) Store(fs vfs.FS, name string, changes map[string]string, edit Edit) error {
	if err := fs.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	old, err := vfs.ReadFile(fs, name)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && edit == nil:
		return vfs.WriteFileAtomic(fs, name, t.Text(), true)
	case err != nil:
		return err
	}
	values := map[string]string{}
	for k := range changes {
		if v, known := t.values[k]; known {
			values[k] = v
		}
	}
	return vfs.WriteFileAtomic(fs, name, edit(old, values), true)
}

// Parse reads properties text. ${x} is not expanded.
func Parse(text []byte) (map[string]string, error) {
	l := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := l.LoadBytes(text)
	if err != nil {
		return nil, err
	}
	return p.Map(), nil
}
