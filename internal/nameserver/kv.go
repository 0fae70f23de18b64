package nameserver

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
)

// orderNamespace holds the order configuration of topics.
const orderNamespace = "ORDER_TOPIC_CONFIG"

// kvTable is the key-value configuration: namespace -> key -> value, on disk as Java's kvConfig.json. Readers take the
// current table; a writer makes the next one, writes it and then publishes it.
type kvTable struct {
	fs   vfs.FS
	name string // "" keeps the table in memory only

	table atomic.Pointer[map[string]map[string]string]
	write chan struct{} // has room for one: the writer
}

func loadKV(fsys vfs.FS, name string) (*kvTable, error) {
	k := &kvTable{fs: fsys, name: name, write: make(chan struct{}, 1)}
	if fsys == nil {
		k.name = ""
	}
	table := make(map[string]map[string]string)
	k.table.Store(&table)
	if k.name == "" {
		return k, nil
	}
	data, err := vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read kvConfigPath: %w", err)
	}
	if table, err = decodeKV(data); err != nil {
		return nil, fmt.Errorf("read kvConfigPath %s: %w", name, err)
	}
	k.table.Store(&table)
	return k, nil
}

func (k *kvTable) get(namespace, key string) (string, bool) {
	v, ok := (*k.table.Load())[namespace][key]
	return v, ok
}

// list returns a namespace as a KVTable body.
func (k *kvTable) list(namespace string) ([]byte, bool) {
	keys, ok := (*k.table.Load())[namespace]
	if !ok {
		return nil, false
	}
	d := protocol.KVTable{Table: keys}
	return d.AppendTo(nil, false), true
}

func (k *kvTable) put(namespace, key, value string) error {
	return k.change(namespace, true, func(keys map[string]string) { keys[key] = value })
}

// touch makes the namespace exist and takes the key out of it: what Java does when the value is missing.
func (k *kvTable) touch(namespace, key string) error {
	return k.change(namespace, true, func(keys map[string]string) { delete(keys, key) })
}

func (k *kvTable) remove(namespace, key string) error {
	return k.change(namespace, false, func(keys map[string]string) { delete(keys, key) })
}

func (k *kvTable) change(namespace string, create bool, f func(keys map[string]string)) error {
	k.write <- struct{}{}
	defer func() { <-k.write }()
	next := maps.Clone(*k.table.Load())
	if keys, ok := next[namespace]; ok || create {
		keys = maps.Clone(keys)
		if keys == nil {
			keys = make(map[string]string)
		}
		f(keys)
		next[namespace] = keys
	}
	if k.name != "" {
		if err := k.fs.MkdirAll(path.Dir(k.name)); err != nil {
			return fmt.Errorf("write kvConfigPath: %w", err)
		}
		if err := vfs.WriteFileAtomic(k.fs, k.name, encodeKV(next), true); err != nil {
			return fmt.Errorf("write kvConfigPath: %w", err)
		}
	}
	k.table.Store(&next)
	return nil
}

// encodeKV writes {"configTable":{namespace:{key:value}}}.
func encodeKV(table map[string]map[string]string) []byte {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	w.ObjStart()
	w.Key("configTable")
	w.ObjStart()
	for _, ns := range slices.Sorted(maps.Keys(table)) {
		w.Key(ns)
		writeStrings(w, table[ns])
	}
	w.ObjEnd()
	w.ObjEnd()
	return w.Bytes()
}

func writeStrings(w *fastjson.Writer, m map[string]string) {
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.Key(k)
		w.Str(m[k])
	}
	w.ObjEnd()
}

func decodeKV(data []byte) (map[string]map[string]string, error) {
	table := make(map[string]map[string]string)
	if len(data) == 0 {
		return table, nil
	}
	v, err := fastjson.Parse(data)
	if err != nil {
		return nil, err
	}
	for _, ns := range v.Get("configTable").Members() {
		keys := make(map[string]string)
		for _, m := range ns.Val.Members() {
			keys[m.Key.Str()] = m.Val.Str()
		}
		table[ns.Key.Str()] = keys
	}
	return table, nil
}
