package meta

import (
	"cmp"
	"encoding/binary"
	"fmt"
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

// versionStep is how many commits share one data version (Java's consumerOffsetUpdateVersionStep).
const versionStep = 500

// Record kinds of offsets. A commit belongs to the last pair record of the same frame.
const (
	recPair       byte = 2 // group, topic
	recCommit     byte = 3 // queue, offset
	recDeletePair byte = 4 // group, topic
	recReset      byte = 5 // queue, offset: a commit that is a pending reset
)

// Offsets holds the positions of the consumer groups, Java's consumerOffset.json.
//
// A commit stores the value in its slot and puts the slot on a list, once until the next drain, so what waits for the journal
// is bounded by the number of queues and not by the number of commits.
type Offsets struct {
	led  *ledger
	now  func() time.Time
	kick kick

	mu    sync.RWMutex // guards the maps, not the slots
	pairs map[pairKey]*pair

	dmu   sync.Mutex // guards the fields below; after mu
	list  []*slot    // changed since the last drain
	spare []*slot

	commits atomic.Int64 // since the start
	resets  atomic.Int64 // slots that are pending resets
	dirty   atomic.Bool  // the JSON is behind

	vmu     sync.Mutex // guards the fields below
	version mq.DataVersion
	bumped  bool              // version is not in the journal yet
	light   bool              // never changed: groups called %LMQ%... have a table of their own
	pull    fastjson.Value    // pullOffsetTable as it was read
	extra   []fastjson.Member // members that we do not know
	odd     []fastjson.Member // entries of offsetTable that are not topic@group
}

type pairKey struct{ group, topic string }

// pair is the queues of one group and topic.
type pair struct {
	key    pairKey
	queues map[int32]*slot
}

// slot is the position of one queue.
type slot struct {
	pair   *pair
	queue  int32
	at     atomic.Int64
	listed atomic.Bool
	reset  atomic.Int64 // pending reset: its position + 1, which counts instead of at; 0 = none
	dead   atomic.Bool  // deleted: must not be written any more
}

func newOffsets(led *ledger, now func() time.Time) *Offsets {
	o := &Offsets{led: led, now: now, kick: newKick(), pairs: map[pairKey]*pair{}}
	led.drain, led.snapshot = o.drain, o.snapshot
	return o
}

// Commit sets a position, also backwards. The strings may be borrowed. What was committed is safe from a kill of the
// process when Sync returned, or within a flush interval while Run runs.
func (o *Offsets) Commit(group, topic string, queue int32, at mq.Index) {
	o.mu.RLock()
	var s *slot
	if p := o.pairs[pairKey{group, topic}]; p != nil {
		s = p.queues[queue]
	}
	o.mu.RUnlock()
	if s == nil {
		s = o.add(group, topic, queue)
	}
	o.set(s, at)
}

func (o *Offsets) set(s *slot, at mq.Index) {
	s.at.Store(int64(at))
	o.touch(s)
	if o.commits.Add(1)%versionStep == 0 {
		o.bump()
	}
}

// touch puts a slot on the list for the journal.
func (o *Offsets) touch(s *slot) {
	if !s.listed.Swap(true) {
		o.dmu.Lock()
		o.list = append(o.list, s)
		first := len(o.list) == 1
		o.dmu.Unlock()
		if first {
			o.kick.flush()
		}
		if !o.dirty.Swap(true) {
			o.kick.fold()
		}
	}
}

func (o *Offsets) add(group, topic string, queue int32) *slot {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.addLocked(group, topic, queue)
}

func (o *Offsets) addLocked(group, topic string, queue int32) *slot {
	p := o.pairs[pairKey{group, topic}]
	if p == nil {
		p = &pair{key: pairKey{strings.Clone(group), strings.Clone(topic)}, queues: map[int32]*slot{}}
		o.pairs[p.key] = p
	}
	s := p.queues[queue]
	if s == nil {
		s = &slot{pair: p, queue: queue}
		p.queues[queue] = s
	}
	return s
}

func (o *Offsets) bump() {
	o.vmu.Lock()
	defer o.vmu.Unlock()
	o.version.Counter++
	o.version.Timestamp = o.now().UnixMilli()
	o.bumped = true
}

// Query returns a position.
func (o *Offsets) Query(group, topic string, queue int32) (mq.Index, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if p := o.pairs[pairKey{group, topic}]; p != nil {
		if s := p.queues[queue]; s != nil {
			return s.position(), true
		}
	}
	return 0, false
}

// Queues returns all positions of a group in a topic, nil when there is none.
func (o *Offsets) Queues(group, topic string) map[int32]mq.Index {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p := o.pairs[pairKey{group, topic}]
	if p == nil {
		return nil
	}
	out := make(map[int32]mq.Index, len(p.queues))
	for q, s := range p.queues {
		out[q] = s.position()
	}
	return out
}

// Pairs is how many groups have positions in how many topics.
func (o *Offsets) Pairs() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.pairs)
}

// Topics returns the topics in which group has positions, sorted.
func (o *Offsets) Topics(group string) []string {
	return o.names(func(k pairKey) (string, bool) { return k.topic, k.group == group })
}

// Groups returns the groups that have positions in topic, sorted.
func (o *Offsets) Groups(topic string) []string {
	return o.names(func(k pairKey) (string, bool) { return k.group, k.topic == topic })
}

func (o *Offsets) names(pick func(pairKey) (string, bool)) []string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	var out []string
	for k := range o.pairs {
		if s, ok := pick(k); ok {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// Version returns the table's data version.
func (o *Offsets) Version() mq.DataVersion {
	o.vmu.Lock()
	defer o.vmu.Unlock()
	return o.version
}

// Sync hands everything committed so far to the operating system: a kill of this process loses none of it.
func (o *Offsets) Sync() error { return o.led.flush(^uint64(0), false) }

// DeleteTopic removes all positions in a topic.
func (o *Offsets) DeleteTopic(topic string) error {
	return o.delete(func(k pairKey) bool { return k.topic == topic })
}

// DeleteGroup removes all positions of a group.
func (o *Offsets) DeleteGroup(group string) error {
	return o.delete(func(k pairKey) bool { return k.group == group })
}

// Delete removes the positions of one group in one topic.
func (o *Offsets) Delete(group, topic string) error {
	return o.delete(func(k pairKey) bool { return k.group == group && k.topic == topic })
}

func (o *Offsets) delete(match func(pairKey) bool) error {
	// The turn keeps a drain from writing a commit of a removed slot behind the removal.
	o.led.lock()
	o.mu.Lock()
	for k, p := range o.pairs {
		if !match(k) {
			continue
		}
		delete(o.pairs, k)
		for _, s := range p.queues {
			s.dead.Store(true)
			o.mark(s, 0)
		}
		rec := appendBytes(append(o.led.unwritten, recDeletePair), k.group)
		o.led.unwritten = appendBytes(rec, k.topic)
	}
	o.mu.Unlock()
	o.led.unlock()
	if !o.dirty.Swap(true) {
		o.kick.fold()
	}
	return o.Sync()
}

// drain appends the changed slots to dst. It is called under the turn.
func (o *Offsets) drain(dst []byte) ([]byte, uint64) {
	o.dmu.Lock()
	list := o.list
	o.list = o.spare[:0]
	o.dmu.Unlock()
	var last *pair
	for _, s := range list {
		s.listed.Store(false) // before the load: a later commit lists it again
		if s.dead.Load() {
			continue
		}
		if s.pair != last {
			last = s.pair
			dst = appendBytes(append(dst, recPair), last.key.group)
			dst = appendBytes(dst, last.key.topic)
		}
		kind := recCommit
		at := s.at.Load()
		if r := s.reset.Load(); r > 0 {
			kind, at = recReset, r-1
		}
		dst = binary.AppendVarint(append(dst, kind), int64(s.queue))
		dst = binary.AppendVarint(dst, at)
	}
	clear(list)
	if cap(list) <= 1<<16 {
		o.dmu.Lock()
		o.spare = list[:0]
		o.dmu.Unlock()
	}
	o.vmu.Lock()
	if o.bumped {
		o.bumped = false
		dst = appendVersion(dst, o.version)
	}
	o.vmu.Unlock()
	return dst, 0
}

// cell is one position in a snapshot.
type cell struct {
	key   *pairKey
	queue int32
	at    int64
	reset bool
}

// snapshot copies the positions. It is called under the turn.
func (o *Offsets) snapshot() func() []byte {
	o.dirty.Store(false)
	return o.text()
}

// text copies the positions and returns what writes them.
func (o *Offsets) text() func() []byte {
	o.mu.RLock()
	cells := make([]cell, 0, len(o.pairs)*4)
	for _, p := range o.pairs {
		for q, s := range p.queues {
			cells = append(cells, cell{&p.key, q, int64(s.position()), s.reset.Load() > 0})
		}
	}
	o.mu.RUnlock()
	o.vmu.Lock()
	version, pull, extra, odd := o.version, o.pull, o.extra, o.odd
	o.vmu.Unlock()
	return func() []byte {
		slices.SortFunc(cells, func(a, b cell) int {
			if c := strings.Compare(a.key.topic, b.key.topic); c != 0 {
				return c
			}
			if c := strings.Compare(a.key.group, b.key.group); c != 0 {
				return c
			}
			return cmp.Compare(a.queue, b.queue)
		})
		if o.light {
			cells, extra = splitLight(cells, extra)
		}
		return encodeOffsets(cells, version, pull, extra, odd)
	}
}

func encodeOffsets(cells []cell, version mq.DataVersion, pull fastjson.Value, extra, odd []fastjson.Member) []byte {
	w := fastjson.NewWriter(nil, fastjson.Pretty)
	members := []member{
		{"dataVersion", func(w *fastjson.Writer) { writeVersion(w, version) }},
		{"groupTopicMap", func(w *fastjson.Writer) { writeGroupTopics(w, cells) }},
		{"offsetTable", func(w *fastjson.Writer) { writeOffsetTable(w, cells, odd) }},
		{"pullOffsetTable", func(w *fastjson.Writer) {
			if pull.Kind() == fastjson.Object {
				w.Value(pull)
				return
			}
			w.ObjStart()
			w.ObjEnd()
		}},
	}
	if slices.ContainsFunc(cells, func(c cell) bool { return c.reset }) {
		pending := slices.DeleteFunc(slices.Clone(cells), func(c cell) bool { return !c.reset })
		members = append(members, member{resetTable, func(w *fastjson.Writer) { writeOffsetTable(w, pending, nil) }})
	}
	writeObject(w, members, extra)
	return w.Bytes()
}

// writeGroupTopics writes what Java derives from the table with a getter and ignores when it reads.
func writeGroupTopics(w *fastjson.Writer, cells []cell) {
	groups := map[string][]string{}
	for i, c := range cells {
		if i == 0 || c.key != cells[i-1].key {
			groups[c.key.group] = append(groups[c.key.group], c.key.topic)
		}
	}
	w.ObjStart()
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		w.Key(g)
		w.Strs(groups[g])
	}
	w.ObjEnd()
}

func writeOffsetTable(w *fastjson.Writer, cells []cell, odd []fastjson.Member) {
	w.ObjStart()
	for i, c := range cells {
		if i == 0 || c.key != cells[i-1].key {
			if i > 0 {
				w.ObjEnd()
			}
			w.Key(c.key.topic + "@" + c.key.group)
			w.ObjStart()
		}
		w.KeyInt(int64(c.queue))
		w.Int(c.at)
	}
	if len(cells) > 0 {
		w.ObjEnd()
	}
	for _, m := range odd {
		w.Key(m.Key.Str())
		w.Value(m.Val)
	}
	w.ObjEnd()
}

// Fold writes the JSON file now, if it is behind.
func (o *Offsets) Fold() error {
	if !o.dirty.Load() {
		return nil
	}
	if err := o.led.fold(); err != nil {
		o.dirty.Store(true)
		return err
	}
	return nil
}

func (o *Offsets) load() error { return o.led.load(o.decode, o.replay) }

// decode replaces the table by a JSON text.
func (o *Offsets) decode(data []byte) error {
	next := &Offsets{pairs: map[pairKey]*pair{}, now: o.now}
	if data == nil {
		next.version.Timestamp = o.now().UnixMilli()
	} else {
		doc, err := parseDocument(data)
		if err != nil {
			return err
		}
		var resets fastjson.Value
		for _, m := range doc.Members() {
			switch m.Key.Str() {
			case "dataVersion":
				next.version, err = readVersion(m.Val)
			case "offsetTable":
				err = next.decodeTable(m.Val)
			case "groupTopicMap": // derived
			case "pullOffsetTable":
				next.pull = m.Val
			case resetTable:
				resets = m.Val
			case lightTable:
				err = next.decodeLight(m.Val)
			default:
				next.extra = append(next.extra, m)
			}
			if err != nil {
				return err
			}
		}
		if resets.Exists() {
			if err := next.decodeResets(resets); err != nil {
				return err
			}
		}
	}
	o.mu.Lock()
	o.pairs = next.pairs
	o.resets.Store(next.resets.Load())
	o.mu.Unlock()
	o.vmu.Lock()
	o.version, o.pull, o.extra, o.odd = next.version, next.pull, next.extra, next.odd
	o.vmu.Unlock()
	return nil
}

func (o *Offsets) decodeTable(v fastjson.Value) error {
	if !v.Exists() {
		return nil
	}
	if v.Kind() != fastjson.Object {
		return fmt.Errorf("offsetTable: %w", errNoObject)
	}
	for _, m := range v.Members() {
		topic, group, ok := strings.Cut(m.Key.Str(), "@")
		if !ok {
			o.odd = append(o.odd, m)
			continue
		}
		if m.Val.Kind() != fastjson.Object {
			return fmt.Errorf("offsetTable: %q: %w", m.Key.Str(), errNoObject)
		}
		for _, q := range m.Val.Members() {
			id, err := intOf(q.Key, 32)
			if err != nil {
				return fmt.Errorf("offsetTable: %q: queue %w", m.Key.Str(), err)
			}
			at, err := intOf(q.Val, 64)
			if err != nil {
				return fmt.Errorf("offsetTable: %q: queue %d: offset %w", m.Key.Str(), id, err)
			}
			o.addLocked(group, topic, int32(id)).at.Store(at)
		}
	}
	return nil
}

// replay applies the records of one journal frame.
func (o *Offsets) replay(payload []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dirty.Store(true)
	r := journalfile.NewReader(payload)
	var key pairKey
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			if v := versionOf(&r); r.Err() == nil {
				o.version = v
			}
		case recPair:
			key = pairKey{string(r.Bytes()), string(r.Bytes())}
		case recCommit, recReset:
			q, at := r.Int(), r.Int()
			if r.Err() == nil {
				s := o.addLocked(key.group, key.topic, int32(q))
				s.at.Store(at)
				if kind == recCommit {
					at = -1
				}
				o.mark(s, at+1)
			}
		case recDeletePair:
			k := pairKey{string(r.Bytes()), string(r.Bytes())}
			if p := o.pairs[k]; r.Err() == nil && p != nil {
				for _, s := range p.queues {
					o.mark(s, 0)
				}
				delete(o.pairs, k)
			}
		default:
			return fmt.Errorf("unknown record %d", kind)
		}
	}
	return r.Err()
}
