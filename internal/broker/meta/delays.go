package meta

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// recDelay: level, index, end of the log that holds what was delivered.
const recDelay byte = 5

// maxDelayLevel bounds the levels that a file may name.
const maxDelayLevel = 1 << 16

// Delays holds how far each delay level was delivered, Java's delayOffset.json.
//
// A position must never be on a disk that does not have the delivered messages: they would be lost. So each one in the journal
// carries the end of the log behind its messages and counts at load only if the log reaches that far; and the JSON, which has
// no room for that, holds positions whose messages are on disk (see Durable).
//
// Differs from Java: there a power cut may leave a position in the JSON whose messages are not in the log.
type Delays struct {
	led    *ledger
	now    func() time.Time
	logEnd int64
	stale  int // positions in the journal that the log does not reach

	mu      sync.Mutex // guards the fields below
	levels  map[int32]*delayPos
	version mq.DataVersion
	extra   []fastjson.Member
	bumped  bool
	commits int64
	dirty   bool // the JSON is behind
}

type delayPos struct {
	at, end int64
	safe    int64 // the newest position whose messages are on disk
	loose   bool  // end is not that of at
	changed bool  // not in the journal yet
}

func newDelays(led *ledger, now func() time.Time, logEnd int64) *Delays {
	d := &Delays{led: led, now: now, logEnd: logEnd, levels: map[int32]*delayPos{}}
	led.drain, led.snapshot = d.drain, d.snapshot
	return d
}

// Get returns the position of a level, counted from 1.
func (d *Delays) Get(level int32) (mq.Index, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.levels[level]
	if p == nil {
		return 0, false
	}
	return mq.Index(p.at), true
}

// End returns the end of the log behind what was before the position of a level, 0 when it is not known.
func (d *Delays) End(level int32) mq.Offset {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.levels[level]; p != nil && !p.loose {
		return mq.Offset(p.end)
	}
	return 0
}

// All returns the positions of all levels and the table's version.
func (d *Delays) All() (map[int32]mq.Index, mq.DataVersion) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[int32]mq.Index, len(d.levels))
	for l, p := range d.levels {
		out[l] = mq.Index(p.at)
	}
	return out, d.version
}

// Set moves a level to the position at; what was before it is in the log before end. Sync makes that outlive this process.
func (d *Delays) Set(level int32, at mq.Index, end mq.Offset) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.levels[level]
	if p == nil {
		p = &delayPos{}
		d.levels[level] = p
	}
	p.at, p.end, p.changed, d.dirty = int64(at), max(p.end, int64(end)), true, true
	p.loose = end == 0
	d.commits++
	if d.commits%versionStep == 0 {
		d.bumpLocked()
	}
}

func (d *Delays) bumpLocked() {
	d.version.Counter++
	d.version.Timestamp = d.now().UnixMilli()
	d.bumped = true
}

// Sync hands all positions to the operating system.
func (d *Delays) Sync() error { return d.led.flush(^uint64(0), false) }

// Durable says how much of the log is on disk.
func (d *Delays) Durable(end mq.Offset) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.levels {
		if p.end <= int64(end) {
			p.safe = p.at
		}
	}
}

// Fold writes the JSON file if it is behind. Call Durable before.
func (d *Delays) Fold() error {
	d.mu.Lock()
	dirty := d.dirty
	if dirty {
		d.bumpLocked()
	}
	d.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := d.led.fold(); err != nil {
		d.mu.Lock()
		d.dirty = true
		d.mu.Unlock()
		return err
	}
	return d.Sync() // what the JSON does not say yet belongs into the new journal
}

func (d *Delays) drain(dst []byte) ([]byte, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.sortedLocked() {
		p := d.levels[l]
		if !p.changed {
			continue
		}
		p.changed = false
		dst = binary.AppendVarint(append(dst, recDelay), int64(l))
		dst = binary.AppendVarint(dst, p.at)
		dst = binary.AppendVarint(dst, p.end)
	}
	if d.bumped {
		d.bumped = false
		dst = appendVersion(dst, d.version)
	}
	return dst, 0
}

func (d *Delays) sortedLocked() []int32 {
	out := make([]int32, 0, len(d.levels))
	for l := range d.levels {
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

func (d *Delays) snapshot() func() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirty = false
	levels := d.sortedLocked()
	at := make([]int64, len(levels))
	for i, l := range levels {
		p := d.levels[l]
		if at[i] = p.safe; p.safe != p.at {
			d.dirty = true
		}
		p.changed = true // the next journal says it again: the JSON has not the end, or not even the position
	}
	version, extra := d.version, d.extra
	return func() []byte {
		w := fastjson.NewWriter(nil, fastjson.Pretty)
		writeObject(w, []member{
			{"dataVersion", func(w *fastjson.Writer) { writeVersion(w, version) }},
			{"offsetTable", func(w *fastjson.Writer) {
				w.ObjStart()
				for i, l := range levels {
					w.KeyInt(int64(l))
					w.Int(at[i])
				}
				w.ObjEnd()
			}},
		}, extra)
		return w.Bytes()
	}
}

func (d *Delays) load() error { return d.led.load(d.decode, d.replay) }

func (d *Delays) decode(data []byte) error {
	next := Delays{levels: map[int32]*delayPos{}}
	if data == nil {
		next.version.Timestamp = d.now().UnixMilli()
	} else {
		doc, err := parseDocument(data)
		if err != nil {
			return err
		}
		for _, m := range doc.Members() {
			switch m.Key.Str() {
			case "dataVersion":
				next.version, err = readVersion(m.Val)
			case "offsetTable":
				err = next.decodeTable(m.Val)
			default:
				next.extra = append(next.extra, m)
			}
			if err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.levels, d.version, d.extra = next.levels, next.version, next.extra
	return nil
}

func (d *Delays) decodeTable(v fastjson.Value) error {
	if !v.Exists() {
		return nil
	}
	if v.Kind() != fastjson.Object {
		return fmt.Errorf("offsetTable: %w", errNoObject)
	}
	for _, m := range v.Members() {
		level, err := intOf(m.Key, 32)
		if err != nil || level < 1 || level > maxDelayLevel {
			return fmt.Errorf("offsetTable: level %q is not a number from 1 to %d", m.Key.Str(), maxDelayLevel)
		}
		at, err := intOf(m.Val, 64)
		if err != nil {
			return fmt.Errorf("offsetTable: level %d: offset %w", level, err)
		}
		d.levels[int32(level)] = &delayPos{at: at, safe: at}
	}
	return nil
}

// replay applies the records of one journal frame, except positions whose messages a power cut has taken.
func (d *Delays) replay(payload []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirty = true
	r := journalfile.NewReader(payload)
	for r.More() {
		switch kind := r.Byte(); kind {
		case recVersion:
			if v := versionOf(&r); r.Err() == nil {
				d.version = v
			}
		case recDelay:
			level, at, end := r.Int(), r.Int(), r.Int()
			if r.Err() != nil {
				break
			}
			if level < 1 || level > maxDelayLevel {
				return fmt.Errorf("delay level %d", level)
			}
			p := d.levels[int32(level)]
			if p == nil {
				p = &delayPos{}
				d.levels[int32(level)] = p
			}
			if end > d.logEnd {
				d.stale++
				p.changed = true // say again what holds, before the log grows over end
				continue
			}
			p.at, p.end, p.changed = at, end, false
		default:
			return fmt.Errorf("unknown record %d", kind)
		}
	}
	return r.Err()
}
