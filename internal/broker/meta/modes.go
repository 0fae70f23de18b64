package meta

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Modes says which groups pull and which pop a topic, Java's messageRequestMode.json. It changes rarely, so each change writes the
// whole file; there is no journal.
type Modes struct {
	fs   vfs.FS
	file string
	feed *tablefeed.Feed

	writing chan struct{} // its holder may write the file

	mu    sync.RWMutex // guards the field below
	modes map[modeKey]mq.RequestMode
}

type modeKey struct{ topic, group string }

func newModes(fsys vfs.FS, root string) *Modes {
	return &Modes{
		fs: fsys, file: path.Join(root, "config", "messageRequestMode.json"), writing: make(chan struct{}, 1),
		modes: map[modeKey]mq.RequestMode{},
	}
}

// Get returns the mode of a group in a topic.
func (m *Modes) Get(topic, group string) (mq.RequestMode, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.modes[modeKey{topic, group}]
	return r, ok
}

// List returns all modes, by topic and group.
func (m *Modes) List() []mq.RequestMode {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]mq.RequestMode, 0, len(m.modes))
	for _, r := range m.modes {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b mq.RequestMode) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.Group, b.Group))
	})
	return out
}

// Put sets a mode. It is on disk when Put returns; when that fails the mode counts until the broker stops.
func (m *Modes) Put(r mq.RequestMode) error {
	r = mq.RequestMode{Topic: strings.Clone(r.Topic), Group: strings.Clone(r.Group), Mode: strings.Clone(r.Mode), ShareQueues: r.ShareQueues}
	m.writing <- struct{}{}
	defer func() { <-m.writing }()
	m.mu.Lock()
	m.modes[modeKey{r.Topic, r.Group}] = r
	m.mu.Unlock()
	return m.writeLocked()
}

// writeLocked writes the file; the caller has writing.
func (m *Modes) writeLocked() error {
	data := m.JSON()
	m.feed.Add(tablefeed.Modes, data, true)
	if err := vfs.WriteFileAtomic(m.fs, m.file, data, true); err != nil {
		return fmt.Errorf("write %s: %w", m.file, err)
	}
	return nil
}

// JSON returns the table as messageRequestMode.json has it.
func (m *Modes) JSON() []byte {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	list := m.List()
	w.ObjStart()
	w.Key("messageRequestModeMap")
	w.ObjStart()
	for i, r := range list {
		if i == 0 || list[i-1].Topic != r.Topic {
			if i > 0 {
				w.ObjEnd()
			}
			w.Key(r.Topic)
			w.ObjStart()
		}
		w.Key(r.Group)
		w.ObjStart()
		w.Key("consumerGroup")
		w.Str(r.Group)
		w.Key("mode")
		w.Str(r.Mode)
		w.Key("popShareQueueNum")
		w.Int(int64(r.ShareQueues))
		w.Key("topic")
		w.Str(r.Topic)
		w.ObjEnd()
	}
	if len(list) > 0 {
		w.ObjEnd()
	}
	w.ObjEnd()
	w.ObjEnd()
	return w.Bytes()
}

// load reads the file, or its .bak when it is damaged. Modes are settings of operators: when both are damaged opening fails.
func (m *Modes) load() error {
	err := m.read(m.file)
	if err == nil {
		return nil
	}
	if m.read(m.file+".bak") == nil && len(m.modes) > 0 {
		return nil
	}
	return err
}

func (m *Modes) read(file string) error {
	data, err := vfs.ReadFile(m.fs, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &CorruptError{File: file, Err: err}
	}
	modes, err := decodeModes(data)
	if err != nil {
		return &CorruptError{File: file, Err: err}
	}
	m.mu.Lock()
	m.modes = modes
	m.mu.Unlock()
	return nil
}

func decodeModes(data []byte) (map[modeKey]mq.RequestMode, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	modes := map[modeKey]mq.RequestMode{}
	for _, topic := range doc.Get("messageRequestModeMap").Members() {
		for _, group := range topic.Val.Members() {
			f := fields{v: group.Val}
			r := mq.RequestMode{
				Topic: strings.Clone(topic.Key.Str()), Group: strings.Clone(group.Key.Str()), Mode: f.str("mode", "PULL"),
				ShareQueues: f.int32("popShareQueueNum", 0),
			}
			if f.err != nil {
				return nil, f.err
			}
			modes[modeKey{r.Topic, r.Group}] = r
		}
	}
	return modes, nil
}
