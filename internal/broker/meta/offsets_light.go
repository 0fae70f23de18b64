package meta

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/vfs"
)

// With enableLmq Java keeps the positions of all groups in lmqConsumerOffset.json instead of consumerOffset.json. It is the same
// document with one more member: the positions of groups called %LMQ%..., which have no queue numbers.
const (
	lightTable  = "lmqOffsetTable"
	lightPrefix = "%LMQ%"
)

// openOffsets makes the table of positions.
//
// Differs from Java: when enableLmq is set for the first time the positions of consumerOffset.json are taken over. There all
// groups begin anew.
func openOffsets(fsys vfs.FS, root string, o Options) (*Offsets, error) {
	if !o.LightOffsets {
		return newOffsets(newLedger(fsys, root, "consumerOffset.json", "offsets", o.Log), o.Now), nil
	}
	to, from := path.Join(root, "config", "lmqConsumerOffset.json"), path.Join(root, "config", "consumerOffset.json")
	if _, err := fsys.Stat(to); errors.Is(err, fs.ErrNotExist) {
		switch data, err := vfs.ReadFile(fsys, from); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", from, err)
		default:
			if err := vfs.WriteFileAtomic(fsys, to, data, false); err != nil {
				return nil, fmt.Errorf("copy %s to %s: %w", from, to, err)
			}
			o.Log.Info("consumer positions taken over", "from", from, "to", to)
		}
	}
	offsets := newOffsets(newLedger(fsys, root, "lmqConsumerOffset.json", "lmqoffsets", o.Log), o.Now)
	offsets.light = true
	return offsets, nil
}

// splitLight takes the cells of light groups out of cells and adds a member with them to extra.
func splitLight(cells []cell, extra []fastjson.Member) ([]cell, []fastjson.Member) {
	isLight := func(c cell) bool { return strings.HasPrefix(c.key.group, lightPrefix) && c.queue == 0 }
	w := fastjson.NewWriter(nil, fastjson.Compact)
	w.ObjStart()
	w.Key(lightTable)
	w.ObjStart()
	for _, c := range cells {
		if isLight(c) {
			w.Key(c.key.topic + "@" + c.key.group)
			w.Int(c.at)
		}
	}
	w.ObjEnd()
	w.ObjEnd()
	doc, err := fastjson.Parse(w.Bytes())
	if err != nil {
		return cells, extra // cannot be: it was just written
	}
	return slices.DeleteFunc(slices.Clone(cells), isLight), append(slices.Clone(extra), doc.Members()...)
}

func (o *Offsets) decodeLight(v fastjson.Value) error {
	if v.Kind() != fastjson.Object {
		return fmt.Errorf("%s: %w", lightTable, errNoObject)
	}
	for _, m := range v.Members() {
		topic, group, ok := strings.Cut(m.Key.Str(), "@")
		if !ok {
			continue
		}
		at, err := intOf(m.Val, 64)
		if err != nil {
			return fmt.Errorf("%s: %q: offset %w", lightTable, m.Key.Str(), err)
		}
		o.addLocked(group, topic, 0).at.Store(at)
	}
	return nil
}
