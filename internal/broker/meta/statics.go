package meta

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Statics is which static topics there are and what this broker knows of their queues, Java's topicQueueMapping.json. It changes
// rarely, so each change writes the whole file; there is no journal. Reading it takes one load when there is no static topic.
type Statics struct {
	fs   vfs.FS
	file string
	feed *tablefeed.Feed
	now  func() time.Time

	writing chan struct{} // its holder may change the table and write the file

	table atomic.Pointer[staticTable] // nil: no static topic
}

// staticTable is never changed.
type staticTable struct {
	maps    map[string]*logicqueue.Mapping
	version mq.DataVersion
}

func newStatics(fsys vfs.FS, root string, now func() time.Time) *Statics {
	return &Statics{
		fs: fsys, file: path.Join(root, "config", "topicQueueMapping.json"), now: now, writing: make(chan struct{}, 1),
	}
}

// Get returns the mapping of a topic, nil when it is not static. The name may be borrowed.
func (s *Statics) Get(topic string) *logicqueue.Mapping {
	t := s.table.Load()
	if t == nil {
		return nil
	}
	return t.maps[topic]
}

// current returns the table, an empty one when there is no static topic.
func (s *Statics) current() *staticTable {
	if t := s.table.Load(); t != nil {
		return t
	}
	return &staticTable{}
}

// Version returns Java's mappingDataVersion.
func (s *Statics) Version() mq.DataVersion { return s.current().version }

// Put makes next the mapping of its topic as logicqueue.Accept allows. It is on disk when Put returns without an error. An error of
// Accept is an *mq.Error and changes nothing; after any other the mapping counts until the broker stops.
func (s *Statics) Put(next *logicqueue.Mapping, force bool) error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	have := s.current()
	m, err := logicqueue.Accept(have.maps[next.Topic], next, force)
	if err != nil {
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	changed := maps.Clone(have.maps)
	if changed == nil {
		changed = map[string]*logicqueue.Mapping{}
	}
	changed[m.Topic] = m
	return s.writeLocked(changed)
}

// Swap makes next the mapping of its topic if old still is. It is on disk when Swap returns without an error.
func (s *Statics) Swap(old, next *logicqueue.Mapping) (swapped bool, err error) {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	have := s.current()
	if have.maps[next.Topic] != old {
		return false, nil
	}
	changed := maps.Clone(have.maps)
	changed[next.Topic] = next
	return true, s.writeLocked(changed)
}

// Topics returns the names of all static topics, sorted.
func (s *Statics) Topics() []string { return slices.Sorted(maps.Keys(s.current().maps)) }

// Delete removes a topic. It returns when that is on disk.
func (s *Statics) Delete(topic string) error {
	if s.Get(topic) == nil {
		return nil
	}
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	left := maps.Clone(s.current().maps)
	delete(left, topic)
	return s.writeLocked(left)
}

// writeLocked publishes a table with the next version and writes the file; the caller has writing.
func (s *Statics) writeLocked(m map[string]*logicqueue.Mapping) error {
	v := s.current().version
	v.Counter++
	v.Timestamp = s.now().UnixMilli()
	return s.setLocked(&staticTable{maps: m, version: v})
}

func (s *Statics) setLocked(t *staticTable) error {
	s.table.Store(t)
	data := t.json()
	s.feed.Add(tablefeed.Statics, data, true)
	if err := vfs.WriteFileAtomic(s.fs, s.file, data, true); err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	return nil
}

// JSON returns the table as topicQueueMapping.json has it.
func (s *Statics) JSON() []byte { return s.current().json() }

func (t *staticTable) json() []byte {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	w.ObjStart()
	w.Key("dataVersion")
	writeVersion(w, t.version)
	w.Key("topicQueueMappingInfoMap")
	w.ObjStart()
	for _, topic := range slices.Sorted(maps.Keys(t.maps)) {
		w.Key(topic)
		t.maps[topic].Write(w)
	}
	w.ObjEnd()
	w.ObjEnd()
	return w.Bytes()
}

// Follow makes the table of a slave that of its Java master, which tells it together with the topics.
func (s *Statics) Follow(list []mq.TopicConfig) error {
	want := map[string]*logicqueue.Mapping{}
	for i := range list {
		if m := list[i].Static; m != nil {
			if err := m.Check(); err != nil {
				return fmt.Errorf("static topic %s of the master: %w", list[i].Name, err)
			}
			want[list[i].Name] = m.Clone()
		}
	}
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if same(s.current().maps, want) {
		return nil
	}
	return s.writeLocked(want)
}

// Become makes the table that of a text like JSON's. It is on disk when Become returns.
func (s *Statics) Become(text []byte) error {
	t, err := decodeStatics(text)
	if err != nil {
		return fmt.Errorf("static topics of the master: %w", err)
	}
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if have := s.current(); have.version == t.version && same(have.maps, t.maps) {
		return nil
	}
	return s.setLocked(t)
}

func same(a, b map[string]*logicqueue.Mapping) bool {
	return maps.EqualFunc(a, b, (*logicqueue.Mapping).Equal)
}

// load reads the file, or its .bak when it is damaged. It is what operators have said: when both are damaged opening fails.
func (s *Statics) load() error {
	err := s.read(s.file)
	if err == nil {
		return nil
	}
	if s.read(s.file+".bak") == nil && s.table.Load() != nil {
		return nil
	}
	return err
}

func (s *Statics) read(file string) error {
	data, err := vfs.ReadFile(s.fs, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &CorruptError{File: file, Err: err}
	}
	t, err := decodeStatics(data)
	if err != nil {
		return &CorruptError{File: file, Err: err}
	}
	if len(t.maps) > 0 || t.version != (mq.DataVersion{}) {
		s.table.Store(t)
	}
	return nil
}

func decodeStatics(data []byte) (*staticTable, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	t := &staticTable{maps: map[string]*logicqueue.Mapping{}}
	if v := doc.Get("dataVersion"); v.Exists() {
		if t.version, err = readVersion(v); err != nil {
			return nil, err
		}
	}
	for _, e := range doc.Get("topicQueueMappingInfoMap").Members() {
		m, err := logicqueue.Decode(e.Val)
		if err == nil {
			err = m.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("static topic %s: %w", e.Key.Str(), err)
		}
		t.maps[strings.Clone(e.Key.Str())] = m
	}
	return t, nil
}
