package meta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// shardCount keeps the copy that an insertion makes small: 10,000 names are 40 a shard.
const shardCount = 256

// shards maps names to entries. Readers take no lock; a writer, under the table's mutex, replaces the map of one shard.
type shards[C any] struct {
	seed  maphash.Seed
	maps  [shardCount]atomic.Pointer[map[string]*Entry[C]]
	count atomic.Int64
}

func (s *shards[C]) shard(name string) *atomic.Pointer[map[string]*Entry[C]] {
	return &s.maps[maphash.String(s.seed, name)%shardCount]
}

func (s *shards[C]) get(name string) *Entry[C] {
	if m := s.shard(name).Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

func (s *shards[C]) put(e *Entry[C]) {
	p := s.shard(e.name)
	var next map[string]*Entry[C]
	if m := p.Load(); m != nil {
		next = make(map[string]*Entry[C], len(*m)+1)
		maps.Copy(next, *m)
	} else {
		next = make(map[string]*Entry[C], 1)
	}
	if _, ok := next[e.name]; !ok {
		s.count.Add(1)
	}
	next[e.name] = e
	p.Store(&next)
}

func (s *shards[C]) remove(name string) {
	p := s.shard(name)
	m := p.Load()
	if m == nil {
		return
	}
	if _, ok := (*m)[name]; !ok {
		return
	}
	next := maps.Clone(*m)
	delete(next, name)
	s.count.Add(-1)
	p.Store(&next)
}

// all returns the entries sorted by name.
func (s *shards[C]) all() []*Entry[C] {
	out := make([]*Entry[C], 0, s.count.Load())
	for i := range s.maps {
		if m := s.maps[i].Load(); m != nil {
			for _, e := range *m {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Entry[C]) int { return strings.Compare(a.name, b.name) })
	return out
}

// Entry is one topic or group. It stays the same object while its configuration changes, until it is deleted.
type Entry[C any] struct {
	name    string
	row     atomic.Pointer[row[C]]
	gone    atomic.Bool
	runtime atomic.Value
}

// row is one state of an entry; it is never changed.
type row[C any] struct {
	cfg   C
	extra []fastjson.Member // members that we do not know
}

// Name returns the name.
func (e *Entry[C]) Name() string { return e.name }

// Config returns the configuration. Maps and slices in it are shared: the caller must not change them.
func (e *Entry[C]) Config() C { return e.row.Load().cfg }

// Gone reports whether the entry was deleted.
func (e *Entry[C]) Gone() bool { return e.gone.Load() }

// Runtime returns what InitRuntime stored, nil before.
func (e *Entry[C]) Runtime() any { return e.runtime.Load() }

// InitRuntime stores v as the broker's own state of this entry, unless there is one, and returns what is stored. All values
// must have one concrete type.
func (e *Entry[C]) InitRuntime(v any) any {
	if e.runtime.CompareAndSwap(nil, v) {
		return v
	}
	return e.runtime.Load()
}

// Record kinds of topics and groups.
const (
	recVersion byte = 1 // counter, stateVersion, timestamp
	recPut     byte = 2 // name, compact JSON
	recDelete  byte = 3 // name
	recForbid  byte = 4 // group, topic, bits (groups only)
)

// codec is what differs between topics and groups.
type codec[C any] struct {
	what   string // "topic", "group" in error texts
	member string // the object of the document that holds the entries
	encode func(w *fastjson.Writer, c *C, extra []fastjson.Member)
	decode func(name string, v fastjson.Value) (C, []fastjson.Member, error)
	attrs  func(c *C) *map[string]string
	known  func(key string) (attribute, bool)
}

// table is what topics and groups have in common.
type table[C any] struct {
	codec codec[C]
	led   *ledger
	now   func() time.Time
	kick  kick
	rows  shards[C]

	mu      sync.Mutex // guards the fields below and writes to rows
	version mq.DataVersion
	extra   []fastjson.Member // unknown members of the document
	pending []byte            // records that the ledger has not drained
	seq     uint64            // of the last change
	dirty   bool              // the JSON is behind
	// more lets groups keep their second object in the document; may be nil.
	more section
}

// section is a part of the document besides the entries.
type section interface {
	member() string
	snapshotLocked() func(w *fastjson.Writer)
	decodeLocked(v fastjson.Value) error
	replayLocked(kind byte, r *journalfile.Reader) error
	// For slaves: another one without entries, taking over a record, and taking over all that another one has. Both append the
	// records of what changed.
	empty() section
	applyLocked(dst []byte, kind byte, r *journalfile.Reader) ([]byte, error)
	becomeLocked(dst []byte, other section) []byte
}

func newTable[C any](led *ledger, c codec[C], now func() time.Time) *table[C] {
	t := &table[C]{codec: c, led: led, now: now, kick: newKick()}
	t.rows.seed = maphash.MakeSeed()
	led.durable = true
	led.drain, led.snapshot = t.drain, t.snapshot
	return t
}

// Get finds an entry by a name that may be borrowed.
func (t *table[C]) Get(name string) (*Entry[C], bool) {
	e := t.rows.get(name)
	return e, e != nil
}

// Len returns the number of entries.
func (t *table[C]) Len() int { return int(t.rows.count.Load()) }

// List returns all entries sorted by name, with the version that they belong to.
func (t *table[C]) List() ([]*Entry[C], mq.DataVersion) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rows.all(), t.version
}

// Version returns the table's data version.
func (t *table[C]) Version() mq.DataVersion {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

// bumpLocked advances the version as Java's DataVersion.nextVersion does and journals it.
func (t *table[C]) bumpLocked() {
	t.version.Counter++
	t.version.Timestamp = t.now().UnixMilli()
	t.pending = appendVersion(t.pending, t.version)
	t.seq++
	t.dirty = true
}

func appendVersion(dst []byte, v mq.DataVersion) []byte {
	dst = append(dst, recVersion)
	dst = binary.AppendVarint(dst, v.Counter)
	dst = binary.AppendVarint(dst, v.StateVersion)
	return binary.AppendVarint(dst, v.Timestamp)
}

func versionOf(r *journalfile.Reader) (v mq.DataVersion) {
	v.Counter = r.Int()
	v.StateVersion = r.Int()
	v.Timestamp = r.Int()
	return v
}

// setLocked makes c the configuration of name and journals it.
func (t *table[C]) setLocked(name string, c C) *Entry[C] {
	e := t.rows.get(name)
	r := &row[C]{cfg: c}
	if e != nil {
		r.extra = e.row.Load().extra
	}
	e = t.storeLocked(e, name, r)
	w := fastjson.NewWriter(nil, fastjson.Compact)
	t.codec.encode(w, &r.cfg, r.extra)
	t.pending = append(t.pending, recPut)
	t.pending = appendBytes(t.pending, name)
	t.pending = appendBytes(t.pending, w.Bytes())
	return e
}

func (t *table[C]) storeLocked(e *Entry[C], name string, r *row[C]) *Entry[C] {
	if e != nil {
		e.row.Store(r)
		return e
	}
	e = &Entry[C]{name: strings.Clone(name)}
	e.row.Store(r)
	t.rows.put(e)
	return e
}

// put creates or updates name. The attributes of c carry Java's signs; c must not alias borrowed memory.
func (t *table[C]) put(name string, c C) (*Entry[C], mq.DataVersion, error) {
	t.mu.Lock()
	old := t.rows.get(name)
	var have map[string]string
	if old != nil {
		cfg := old.Config()
		have = *t.codec.attrs(&cfg)
	}
	attrs := t.codec.attrs(&c)
	final, err := alterAttributes(old == nil, t.codec.known, have, *attrs)
	if err != nil {
		t.mu.Unlock()
		return old, mq.DataVersion{}, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	*attrs = final
	e := t.setLocked(name, c)
	return t.finish(e)
}

// finish bumps the version, unlocks mu and waits until the change is on disk.
func (t *table[C]) finish(e *Entry[C]) (*Entry[C], mq.DataVersion, error) {
	t.bumpLocked()
	v, seq := t.version, t.seq
	t.mu.Unlock()
	t.kick.fold()
	err := t.persist(seq)
	t.led.feed.Await(false, awaitSlaves)
	return e, v, err
}

// awaitSlaves is how long a change of a topic or group waits for slaves that are in step. When it was answered, they have it,
// so that it outlives this broker as a message does; and they have it before the first message that needs it.
const awaitSlaves = 100 * time.Millisecond

// persist waits until change seq is on disk. If the journal cannot take it the JSON must.
func (t *table[C]) persist(seq uint64) error {
	err := t.led.flush(seq, true)
	if err == nil {
		return nil
	}
	if ferr := t.Fold(); ferr != nil {
		return fmt.Errorf("the change of a %s is in memory but not on disk: %w", t.codec.what, errors.Join(err, ferr))
	}
	return nil
}

// ensure returns the entry with the name of c, created with the configuration that make returns when there is none.
func (t *table[C]) ensure(name string, make func() C) (e *Entry[C], created bool, v mq.DataVersion, err error) {
	if have := t.rows.get(name); have != nil {
		return have, false, t.Version(), nil
	}
	t.mu.Lock()
	if have := t.rows.get(name); have != nil {
		seq := t.seq
		v = t.version
		t.mu.Unlock()
		// Another goroutine is creating it right now: wait for the disk with it.
		return have, false, v, t.persist(seq)
	}
	e, v, err = t.finish(t.setLocked(name, make()))
	return e, true, v, err
}

// update changes an entry in place; f works on a copy whose maps it must replace, not change, and returns false to leave
// everything as it is. Attributes carry no signs here.
func (t *table[C]) update(name string, f func(c *C) bool) (*Entry[C], mq.DataVersion, error) {
	t.mu.Lock()
	e := t.rows.get(name)
	if e == nil {
		t.mu.Unlock()
		return nil, mq.DataVersion{}, ErrNotFound
	}
	c := e.Config()
	if !f(&c) {
		v := t.version
		t.mu.Unlock()
		return e, v, nil
	}
	return t.finish(t.setLocked(name, c))
}

// remove deletes an entry; extra may journal more under the lock.
func (t *table[C]) remove(name string, extra func()) (deleted bool, v mq.DataVersion, err error) {
	t.mu.Lock()
	e := t.rows.get(name)
	if e == nil {
		v = t.version
		t.mu.Unlock()
		return false, v, nil
	}
	e.gone.Store(true)
	t.rows.remove(name)
	t.pending = append(t.pending, recDelete)
	t.pending = appendBytes(t.pending, name)
	if extra != nil {
		extra()
	}
	_, v, err = t.finish(nil)
	return true, v, err
}

// seed adds entries that every broker has, without a new version, as Java's constructor does. What the file says wins.
func (t *table[C]) seed(name string, c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows.get(name) == nil {
		t.storeLocked(nil, name, &row[C]{cfg: c})
		t.dirty = true
		t.kick.fold()
	}
}

func (t *table[C]) drain(dst []byte) ([]byte, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dst = append(dst, t.pending...)
	if t.pending = t.pending[:0]; cap(t.pending) > 1<<20 {
		t.pending = nil
	}
	return dst, t.seq
}

func (t *table[C]) snapshot() func() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty = false
	return t.textLocked()
}

// textLocked copies the table and returns what writes it.
func (t *table[C]) textLocked() func() []byte {
	type item struct {
		name string
		row  *row[C]
	}
	entries := t.rows.all()
	items := make([]item, len(entries))
	for i, e := range entries {
		items[i] = item{e.name, e.row.Load()}
	}
	version, extra := t.version, t.extra
	members := make([]member, 0, 3)
	members = append(members,
		member{"dataVersion", func(w *fastjson.Writer) { writeVersion(w, version) }},
		member{t.codec.member, func(w *fastjson.Writer) {
			w.ObjStart()
			for _, it := range items {
				w.Key(it.name)
				t.codec.encode(w, &it.row.cfg, it.row.extra)
			}
			w.ObjEnd()
		}})
	if t.more != nil {
		members = append(members, member{t.more.member(), t.more.snapshotLocked()})
		slices.SortFunc(members, byName)
	}
	return func() []byte {
		w := fastjson.NewWriter(nil, fastjson.Pretty)
		writeObject(w, members, extra)
		return w.Bytes()
	}
}

// Fold writes the JSON file now, if it is behind.
func (t *table[C]) Fold() error {
	t.mu.Lock()
	dirty := t.dirty
	t.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := t.led.fold(); err != nil {
		t.mu.Lock()
		t.dirty = true
		t.mu.Unlock()
		return err
	}
	return nil
}

func (t *table[C]) load() error { return t.led.load(t.decode, t.replay) }

// decode replaces the table by a JSON text.
func (t *table[C]) decode(data []byte) error {
	rows := map[string]*row[C]{}
	var version mq.DataVersion
	var extra []fastjson.Member
	var more fastjson.Value
	if data == nil {
		version.Timestamp = t.now().UnixMilli()
	} else {
		doc, err := parseDocument(data)
		if err != nil {
			return err
		}
		for _, m := range doc.Members() {
			switch k := m.Key.Str(); {
			case k == "dataVersion":
				version, err = readVersion(m.Val)
			case k == t.codec.member:
				err = t.decodeRows(m.Val, rows)
			case t.more != nil && k == t.more.member():
				more = m.Val
			default:
				extra = append(extra, m)
			}
			if err != nil {
				return err
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.more != nil {
		if err := t.more.decodeLocked(more); err != nil {
			return err
		}
	}
	for _, e := range t.rows.all() {
		t.rows.remove(e.name)
	}
	for name, r := range rows {
		t.storeLocked(nil, name, r)
	}
	t.version, t.extra = version, extra
	return nil
}

func (t *table[C]) decodeRows(v fastjson.Value, rows map[string]*row[C]) error {
	if !v.Exists() {
		return nil
	}
	if v.Kind() != fastjson.Object {
		return fmt.Errorf("%s: %w", t.codec.member, errNoObject)
	}
	for _, m := range v.Members() {
		name := m.Key.Str()
		c, extra, err := t.codec.decode(name, m.Val)
		if err != nil {
			return fmt.Errorf("%s: %s %q: %w", t.codec.member, t.codec.what, name, err)
		}
		rows[name] = &row[C]{cfg: c, extra: extra}
	}
	return nil
}

// replay applies the records of one journal frame.
func (t *table[C]) replay(payload []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty = true
	r := journalfile.NewReader(payload)
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			if v := versionOf(&r); r.Err() == nil {
				t.version = v
			}
		case recPut:
			name, text := string(r.Bytes()), r.Bytes()
			if r.Err() != nil {
				break
			}
			v, err := parseDocument(text)
			if err != nil {
				return err
			}
			c, extra, err := t.codec.decode(name, v)
			if err != nil {
				return fmt.Errorf("%s %q: %w", t.codec.what, name, err)
			}
			t.storeLocked(t.rows.get(name), name, &row[C]{cfg: c, extra: extra})
		case recDelete:
			if name := string(r.Bytes()); r.Err() == nil {
				t.rows.remove(name)
			}
		default:
			if t.more == nil {
				return fmt.Errorf("unknown record %d", kind)
			}
			if err := t.more.replayLocked(kind, &r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

// ErrNotFound is returned for an entry that does not exist.
var ErrNotFound = errors.New("not found")
