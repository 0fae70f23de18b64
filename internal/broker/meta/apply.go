package meta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// What a slave does with the records and the full states that a CometMQ master tells (see tablefeed). Records are those of the
// journals. What is applied goes into the slave's own journal; Sync, or the persist of topics and groups, makes it outlive
// this process.

// maxFollowedName bounds the names that are taken over; longer ones cannot be made anywhere.
const maxFollowedName = 1 << 10

// Applied is what came of records.
type Applied struct {
	Gone    []string // topics or groups that are deleted
	Changed bool
}

// Deletes reports whether records of topics or groups delete one.
func Deletes(rec []byte) bool {
	r := journalfile.NewReader(rec)
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			versionOf(&r)
		case recPut:
			r.Bytes()
			r.Bytes()
		case recForbid:
			r.Bytes()
			r.Bytes()
			r.Int()
		default:
			return true
		}
	}
	return false
}

// Apply applies records of the master's table.
func (t *table[C]) Apply(rec []byte) (Applied, error) {
	t.mu.Lock()
	out, err := t.applyLocked(rec)
	return t.applied(out, err)
}

// applied unlocks mu and writes the journal.
func (t *table[C]) applied(out Applied, err error) (Applied, error) {
	if !out.Changed {
		t.mu.Unlock()
		return out, err
	}
	t.seq++
	t.dirty = true
	seq := t.seq
	t.mu.Unlock()
	t.kick.fold()
	if perr := t.persist(seq); err == nil {
		err = perr
	}
	return out, err
}

func (t *table[C]) applyLocked(rec []byte) (out Applied, err error) {
	r := journalfile.NewReader(rec)
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			v := versionOf(&r)
			if r.Err() == nil && t.version != v {
				t.version = v
				t.pending = appendVersion(t.pending, v)
				out.Changed = true
			}
		case recPut:
			name, text := string(r.Bytes()), r.Bytes()
			if r.Err() != nil {
				break
			}
			changed, perr := t.takeLocked(name, bytes.Clone(text))
			if perr != nil {
				return out, perr
			}
			out.Changed = out.Changed || changed
		case recDelete:
			name := string(r.Bytes())
			if r.Err() == nil && t.dropLocked(name) {
				out.Gone, out.Changed = append(out.Gone, name), true
			} else if r.Err() == nil && strings.HasPrefix(name, lightPrefix) {
				out.Gone = append(out.Gone, name) // it never has an entry
			}
		default:
			if t.more == nil {
				return out, fmt.Errorf("unknown record %d", kind)
			}
			if t.pending, err = t.more.applyLocked(t.pending, kind, &r); err != nil {
				return out, err
			}
			out.Changed = true
		}
	}
	return out, r.Err()
}

// takeLocked makes text, which it keeps, the row of name.
func (t *table[C]) takeLocked(name string, text []byte) (changed bool, err error) {
	if name == "" || len(name) > maxFollowedName {
		return false, fmt.Errorf("a %s with a name of %d bytes", t.codec.what, len(name))
	}
	v, err := parseDocument(text)
	if err != nil {
		return false, err
	}
	c, extra, err := t.codec.decode(name, v)
	if err != nil {
		return false, fmt.Errorf("%s %q: %w", t.codec.what, name, err)
	}
	return t.rowLocked(name, &row[C]{cfg: c, extra: extra}), nil
}

func (t *table[C]) rowLocked(name string, r *row[C]) (changed bool) {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	t.codec.encode(w, &r.cfg, r.extra)
	e := t.rows.get(name)
	if e != nil {
		have := fastjson.NewWriter(nil, fastjson.Compact)
		old := e.row.Load()
		t.codec.encode(have, &old.cfg, old.extra)
		if bytes.Equal(have.Bytes(), w.Bytes()) {
			return false
		}
	}
	t.storeLocked(e, name, r)
	t.pending = appendBytes(append(t.pending, recPut), name)
	t.pending = appendBytes(t.pending, w.Bytes())
	return true
}

func (t *table[C]) dropLocked(name string) bool {
	e := t.rows.get(name)
	if e == nil {
		return false
	}
	e.gone.Store(true)
	t.rows.remove(name)
	t.pending = appendBytes(append(t.pending, recDelete), name)
	return true
}

// JSON returns the table as its file has it, as of now.
func (t *table[C]) JSON() []byte {
	t.mu.Lock()
	text := t.textLocked()
	t.mu.Unlock()
	return text()
}

// Become makes the table that of a text like JSON's. putsOnly: nothing is deleted, and the version stays.
func (t *table[C]) Become(text []byte, putsOnly bool) (Applied, error) {
	next := &table[C]{codec: t.codec, now: t.now, led: &ledger{}, kick: newKick()}
	next.rows.seed = t.rows.seed
	if t.more != nil {
		next.more = t.more.empty()
	}
	if err := next.decode(bytes.Clone(text)); err != nil {
		return Applied{}, fmt.Errorf("%ss of the master: %w", t.codec.what, err)
	}
	t.mu.Lock()
	var out Applied
	for _, e := range next.rows.all() {
		if len(e.name) > maxFollowedName || e.name == "" {
			return t.applied(out, fmt.Errorf("a %s with a name of %d bytes", t.codec.what, len(e.name)))
		}
		out.Changed = t.rowLocked(e.name, e.row.Load()) || out.Changed
	}
	if putsOnly {
		return t.applied(out, nil)
	}
	for _, e := range t.rows.all() {
		if next.rows.get(e.name) == nil && t.dropLocked(e.name) {
			out.Gone, out.Changed = append(out.Gone, e.name), true
		}
	}
	if t.more != nil {
		t.pending = t.more.becomeLocked(t.pending, next.more)
		out.Changed = true
	}
	if t.version != next.version {
		t.version = next.version
		t.pending = appendVersion(t.pending, t.version)
		out.Changed = true
	}
	t.extra = next.extra
	return t.applied(out, nil)
}

func (f *forbidden) empty() section { return &forbidden{} }

// applyLocked takes over one record and appends it.
func (f *forbidden) applyLocked(dst []byte, kind byte, r *journalfile.Reader) ([]byte, error) {
	if kind != recForbid {
		return dst, fmt.Errorf("unknown record %d", kind)
	}
	group, topic, bits := string(r.Bytes()), string(r.Bytes()), r.Int()
	if r.Err() == nil {
		dst = f.setLocked(dst, group, topic, int32(bits))
	}
	return dst, nil
}

func appendForbid(dst []byte, k pairKey, bits int32) []byte {
	dst = appendBytes(append(dst, recForbid), k.group)
	dst = appendBytes(dst, k.topic)
	return binary.AppendVarint(dst, int64(bits))
}

// becomeLocked takes over the entries of other and appends the records of what that changes.
func (f *forbidden) becomeLocked(dst []byte, other section) []byte {
	next, ok := other.(*forbidden)
	if !ok {
		return dst
	}
	for k := range f.load() {
		if _, ok := next.load()[k]; !ok {
			dst = appendForbid(dst, k, 0)
		}
	}
	f.bits.Store(next.bits.Load())
	for k, bits := range f.load() {
		dst = appendForbid(dst, k, bits)
	}
	return dst
}

// Bound gives the next index of a queue, beyond which no position may be.
type Bound func(topic string, queue int32) mq.Index

// Apply applies records of the master's table. bound, if not nil, limits the positions; a position that is limited never goes
// back by it. Sync makes it outlive this process.
func (o *Offsets) Apply(rec []byte, bound Bound) error {
	r := journalfile.NewReader(rec)
	var key pairKey
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			v := versionOf(&r)
			if r.Err() == nil && bound == nil {
				o.setVersion(v)
			}
		case recPair:
			key = pairKey{string(r.Bytes()), string(r.Bytes())}
			if len(key.group) > maxFollowedName || len(key.topic) > maxFollowedName {
				return fmt.Errorf("a position with names of %d and %d bytes", len(key.group), len(key.topic))
			}
		case recCommit, recReset:
			q, at := r.Int(), r.Int()
			if r.Err() != nil {
				break
			}
			if int64(int32(q)) != q {
				return fmt.Errorf("a position in queue %d", q)
			}
			o.take(key, int32(q), at, kind == recReset, bound)
		case recDeletePair:
			k := pairKey{string(r.Bytes()), string(r.Bytes())}
			if r.Err() != nil {
				break
			}
			if err := o.Delete(k.group, k.topic); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown record %d", kind)
		}
	}
	return r.Err()
}

// take sets one position as the master has it.
func (o *Offsets) take(key pairKey, queue int32, at int64, reset bool, bound Bound) {
	if bound != nil {
		limit := int64(bound(key.topic, queue))
		if have, ok := o.Query(key.group, key.topic, queue); at > limit && ok && int64(have) >= limit {
			return
		}
		at = min(at, limit)
	}
	s := o.find(key.group, key.topic, queue)
	mark := int64(0)
	if reset {
		mark = at + 1
	}
	if s != nil && s.at.Load() == at && s.reset.Load() == mark {
		return
	}
	o.mu.Lock()
	s = o.addLocked(key.group, key.topic, queue)
	o.mark(s, mark)
	s.at.Store(at)
	o.mu.Unlock()
	o.touch(s)
}

func (o *Offsets) setVersion(v mq.DataVersion) {
	o.vmu.Lock()
	defer o.vmu.Unlock()
	o.bumped = o.bumped || o.version != v
	o.version = v
}

// Become makes the table that of a text like JSON's. First comes what is there, so that no position is missing at any time.
func (o *Offsets) Become(text []byte) error {
	next := &Offsets{pairs: map[pairKey]*pair{}, now: o.now}
	if err := next.decode(bytes.Clone(text)); err != nil {
		return fmt.Errorf("consumer offsets of the master: %w", err)
	}
	for key, p := range next.pairs {
		for queue, s := range p.queues {
			o.take(key, queue, int64(s.position()), s.reset.Load() > 0, nil)
		}
	}
	o.setVersion(next.version)
	o.vmu.Lock()
	o.pull, o.extra, o.odd = next.pull, next.extra, next.odd
	o.vmu.Unlock()
	return o.delete(func(k pairKey) bool { return next.pairs[k] == nil })
}

// Clamp brings positions that are beyond the end of their queue back to it: what stood there is gone with the end of the log,
// and what will stand there has not been consumed. It returns how many those are.
func (o *Offsets) Clamp(bound Bound) int {
	type over struct {
		s     *slot
		limit int64
	}
	var list []over
	o.mu.RLock()
	for k, p := range o.pairs {
		for q, s := range p.queues {
			if at := int64(s.position()); at > 0 {
				if limit := int64(bound(k.topic, q)); at > limit {
					list = append(list, over{s, limit})
				}
			}
		}
	}
	o.mu.RUnlock()
	for _, x := range list {
		o.mu.Lock()
		if x.s.reset.Load() > 0 {
			o.mark(x.s, x.limit+1)
		}
		x.s.at.Store(x.limit)
		o.mu.Unlock()
		o.touch(x.s)
	}
	return len(list)
}

// Apply applies records of the master's table: what they stand for is in the log. Sync makes it outlive this process.
func (d *Delays) Apply(rec []byte) error {
	r := journalfile.NewReader(rec)
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			if v := versionOf(&r); r.Err() == nil {
				d.setVersion(v)
			}
		case recDelay:
			level, at, end := r.Int(), r.Int(), r.Int()
			if r.Err() != nil {
				break
			}
			if level < 1 || level > maxDelayLevel {
				return fmt.Errorf("delay level %d", level)
			}
			d.Set(int32(level), mq.Index(at), mq.Offset(end))
		default:
			return fmt.Errorf("unknown record %d", kind)
		}
	}
	return r.Err()
}

func (d *Delays) setVersion(v mq.DataVersion) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bumped = d.bumped || d.version != v
	d.version = v
}

// Become makes the table that of a text like JSON's; what the positions stand for is in the log before end.
func (d *Delays) Become(text []byte, end mq.Offset) error {
	next := newDelays(&ledger{}, d.now, 0)
	if err := next.decode(text); err != nil {
		return fmt.Errorf("delay offsets of the master: %w", err)
	}
	for level, p := range next.levels {
		if have, ok := d.Get(level); !ok || have != mq.Index(p.at) {
			d.Set(level, mq.Index(p.at), end)
		}
	}
	d.setVersion(next.version)
	return nil
}

// Clamp is Offsets.Clamp for levels; bound gets levels less one.
func (d *Delays) Clamp(bound func(queue int32) mq.Index) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for level, p := range d.levels {
		if limit := int64(bound(level - 1)); p.at > limit {
			p.at, p.safe, p.changed, d.dirty = limit, min(p.safe, limit), true, true
			n++
		}
	}
	return n
}

// Back moves a level back to a position, if it is beyond that. What was delivered from there on may be anywhere in the log, or not at all.
func (d *Delays) Back(level int32, to mq.Index) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.levels[level]
	if p == nil || p.at <= int64(to) {
		return false
	}
	p.at, p.safe, p.end, p.loose, p.changed, d.dirty = int64(to), min(p.safe, int64(to)), 1, false, true, true
	return true
}

// Records of filters, for slaves.
const (
	recFilter     byte = 1 // topic, group, JSON
	recFilterGone byte = 2 // topic, group
)

func (f *Filters) tellLocked(d *FilterData) {
	if !f.feed.On() {
		return
	}
	w := fastjson.NewWriter(nil, fastjson.Compact)
	d.write(w)
	rec := appendBytes(appendBytes([]byte{recFilter}, d.Topic), d.Group)
	f.feed.Add(tablefeed.Filters, appendBytes(rec, w.Bytes()), false)
}

func (f *Filters) tellGoneLocked(topic, group string) {
	if f.feed.On() {
		f.feed.Add(tablefeed.Filters, appendBytes(appendBytes([]byte{recFilterGone}, topic), group), false)
	}
}

// Apply applies records of the master's table.
func (f *Filters) Apply(rec []byte) error {
	r := journalfile.NewReader(rec)
	f.mu.Lock()
	defer f.mu.Unlock()
	for r.More() {
		kind := r.Byte()
		topic, group := string(r.Bytes()), string(r.Bytes())
		switch kind {
		case recFilter:
			text := r.Bytes()
			if r.Err() != nil {
				break
			}
			v, err := parseDocument(bytes.Clone(text))
			if err != nil {
				return err
			}
			d, err := f.decodeData(topic, group, v)
			if err != nil {
				return err
			}
			d.Dead = (&fields{v: v}).int("deadTime", 0, 64) // it is alive there
			f.putLocked(d)
		case recFilterGone:
			if r.Err() == nil && f.table[topic][group] != nil {
				delete(f.table[topic], group)
				f.tellGoneLocked(topic, group)
				f.changedLocked()
			}
		default:
			return fmt.Errorf("unknown record %d", kind)
		}
	}
	return r.Err()
}

// Records appends a record for each entry.
func (f *Filters) Records(dst []byte) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, topic := range slices.Sorted(maps.Keys(f.table)) {
		for _, group := range slices.Sorted(maps.Keys(f.table[topic])) {
			w := fastjson.NewWriter(nil, fastjson.Compact)
			f.table[topic][group].write(w)
			dst = appendBytes(appendBytes(append(dst, recFilter), topic), group)
			dst = appendBytes(dst, w.Bytes())
		}
	}
	return dst
}

// Become makes the table that of a text like Records'.
func (f *Filters) Become(rec []byte) error {
	f.mu.Lock()
	old := f.table
	f.table = map[string]map[string]*FilterData{}
	f.changedLocked()
	f.mu.Unlock()
	err := f.Apply(rec)
	if err != nil {
		f.mu.Lock()
		f.table = old
		f.mu.Unlock()
	}
	return err
}

// Become makes the table that of a text like JSON's. It is on disk when Become returns.
func (m *Modes) Become(text []byte) error {
	modes, err := decodeModes(text)
	if err != nil {
		return fmt.Errorf("request modes of the master: %w", err)
	}
	m.writing <- struct{}{}
	defer func() { <-m.writing }()
	m.mu.Lock()
	same := maps.Equal(m.modes, modes)
	m.modes = modes
	m.mu.Unlock()
	if same {
		return nil
	}
	return m.writeLocked()
}
