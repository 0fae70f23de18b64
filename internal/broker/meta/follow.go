package meta

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// Tables of a slave: they become what its master says, with the master's version. What is the same is not touched.

// Follow makes the topics those of list and the version v. It returns those that are gone and whether anything changed.
func (t *Topics) Follow(list []mq.TopicConfig, v mq.DataVersion) (gone []string, changed bool, err error) {
	want := make(map[string]mq.TopicConfig, len(list))
	for _, c := range list {
		want[c.Name] = cloneTopic(c)
	}
	return t.follow(want, v)
}

// Follow makes the groups those of list and the version v, like Topics.Follow. What groups are forbidden stays.
func (g *Groups) Follow(list []mq.GroupConfig, v mq.DataVersion) (gone []string, changed bool, err error) {
	want := make(map[string]mq.GroupConfig, len(list))
	for _, c := range list {
		want[c.Name] = cloneGroup(c)
	}
	return g.follow(want, v)
}

func (t *table[C]) follow(want map[string]C, v mq.DataVersion) (gone []string, changed bool, err error) {
	t.mu.Lock()
	if t.version == v {
		t.mu.Unlock()
		return nil, false, nil
	}
	for name, c := range maps.All(want) {
		if e := t.rows.get(name); e != nil {
			have := e.Config()
			if bytes.Equal(t.text(&have), t.text(&c)) {
				continue
			}
		}
		t.setLocked(name, c)
	}
	for _, e := range t.rows.all() {
		if _, ok := want[e.name]; ok {
			continue
		}
		e.gone.Store(true)
		t.rows.remove(e.name)
		t.pending = appendBytes(append(t.pending, recDelete), e.name)
		gone = append(gone, e.name)
	}
	t.version = v
	t.pending = appendVersion(t.pending, v)
	t.seq++
	t.dirty = true
	seq := t.seq
	t.mu.Unlock()
	t.kick.fold()
	return gone, true, t.persist(seq)
}

func (t *table[C]) text(c *C) []byte {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	t.codec.encode(w, c, nil)
	return w.Bytes()
}

// JSON returns the table as consumerOffset.json has it, as of now.
func (o *Offsets) JSON() []byte { return o.text()() }

// Follow takes over all positions of a text like JSON's. Positions that are not in it stay, as on Java's slave.
func (o *Offsets) Follow(text []byte) error {
	next := &Offsets{pairs: map[pairKey]*pair{}, now: o.now}
	if err := next.decode(text); err != nil {
		return fmt.Errorf("consumer offsets: %w", err)
	}
	for key, p := range next.pairs {
		for queue, s := range p.queues {
			at := mq.Index(s.at.Load())
			if have, ok := o.Query(key.group, key.topic, queue); !ok || have != at {
				o.Commit(key.group, key.topic, queue, at)
			}
		}
	}
	o.vmu.Lock()
	o.bumped = o.bumped || o.version != next.version
	o.version = next.version
	o.vmu.Unlock()
	return o.Sync()
}

// actLead is by how much the versions of a slave that acts as the master are newer than what it last heard from there: more than the
// master can have counted until it died. A Java master takes over positions only if their version is not older than its own.
const actLead = 1 << 20

// Act makes the positions newer than those of a master that has died.
func (o *Offsets) Act() {
	o.vmu.Lock()
	defer o.vmu.Unlock()
	o.version.Counter += actLead
	o.version.Timestamp = o.now().UnixMilli()
	o.bumped = true
}

// Act makes the positions newer than those of a master that has died.
func (d *Delays) Act() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version.Counter += actLead - 1
	d.bumpLocked()
	d.dirty = true
}

// Resume takes over the positions of a text like JSON's that are ahead of ours, up to the end of their queue here. Queues that end
// does not know are left out.
func (o *Offsets) Resume(text []byte, end func(topic string, queue int32) (mq.Index, bool)) error {
	if len(text) == 0 {
		return nil
	}
	next := &Offsets{pairs: map[pairKey]*pair{}, now: o.now}
	if err := next.decode(text); err != nil {
		return fmt.Errorf("consumer offsets: %w", err)
	}
	for key, p := range next.pairs {
		for queue, s := range p.queues {
			limit, ok := end(key.topic, queue)
			if !ok {
				continue
			}
			at := min(mq.Index(s.at.Load()), limit)
			if have, ok := o.Query(key.group, key.topic, queue); !ok || have < at {
				o.Commit(key.group, key.topic, queue, at)
			}
		}
	}
	return o.Sync()
}

// JSON returns the table as delayOffset.json has it, with the positions as of now.
func (d *Delays) JSON() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := fastjson.NewWriter(nil, fastjson.Compact)
	writeObject(w, []member{
		{"dataVersion", func(w *fastjson.Writer) { writeVersion(w, d.version) }},
		{"offsetTable", func(w *fastjson.Writer) {
			w.ObjStart()
			for _, l := range d.sortedLocked() {
				w.KeyInt(int64(l))
				w.Int(d.levels[l].at)
			}
			w.ObjEnd()
		}},
	}, nil)
	return w.Bytes()
}

// Follow takes over the positions of a text like JSON's. What they stand for is in the log before end.
func (d *Delays) Follow(text []byte, end mq.Offset) error {
	next := newDelays(&ledger{}, d.now, 0)
	if err := next.decode(text); err != nil {
		return fmt.Errorf("delay offsets: %w", err)
	}
	for level, p := range next.levels {
		if have, ok := d.Get(level); !ok || have != mq.Index(p.at) {
			d.Set(level, mq.Index(p.at), end)
		}
	}
	return d.Sync()
}

// Resume takes over the positions of a text like JSON's that are ahead of ours. What they stand for is not in the log here: others
// have it.
func (d *Delays) Resume(text []byte) error {
	next := newDelays(&ledger{}, d.now, 0)
	if err := next.decode(text); err != nil {
		return fmt.Errorf("delay offsets: %w", err)
	}
	for level, p := range next.levels {
		if have, ok := d.Get(level); !ok || have < mq.Index(p.at) {
			d.Set(level, mq.Index(p.at), 0)
		}
	}
	return d.Sync()
}
