package crash

import (
	"fmt"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
)

// position is what was promised about one consumer offset. Offsets only go forward here.
type position struct {
	group, topic string
	queue        int32
	committed    int64 // the last one handed over
	synced       int64 // acknowledged: outlives the process
	folded       int64 // in the JSON file: outlives a power cut
}

// entry is what was promised about a topic. Its revision is its number of queues.
type entry struct {
	rev     int32 // acknowledged; 0 = does not exist
	pending int32 // handed over without an answer, -1 = none
}

type metaModel struct {
	positions []*position
	topics    map[string]*entry
	groups    map[string]bool
	maybe     map[string]bool // groups handed over without an answer
	version   int64           // counter of the topics' data version that was told to others
}

func newMetaModel() *metaModel {
	m := &metaModel{topics: map[string]*entry{}, groups: map[string]bool{}, maybe: map[string]bool{}}
	for _, g := range []string{"g1", "g2"} {
		for q := range int32(3) {
			m.positions = append(m.positions, &position{group: g, topic: "A", queue: q})
		}
	}
	return m
}

// synced notes that everything committed so far was acknowledged.
func (m *metaModel) synced() {
	for _, p := range m.positions {
		p.synced = p.committed
	}
}

// folded notes that what was committed when the fold began is in the JSON file.
func (m *metaModel) folded(before []int64) {
	for i, p := range m.positions {
		p.folded = max(p.folded, before[i])
	}
}

func (m *metaModel) committed() []int64 {
	out := make([]int64, len(m.positions))
	for i, p := range m.positions {
		out[i] = p.committed
	}
	return out
}

// check compares t with the model after an exit and takes over what is there.
func (m *metaModel) check(t *meta.Tables, by loss) error {
	for _, p := range m.positions {
		at, _ := t.Offsets.Query(p.group, p.topic, p.queue)
		least := p.synced
		if by == lossPower {
			least = p.folded
		}
		if int64(at) < least {
			return fmt.Errorf("offset of %s in %s/%d moved back from %d to %d", p.group, p.topic, p.queue, least, at)
		}
		if int64(at) > p.committed {
			return fmt.Errorf("offset of %s in %s/%d is %d, only %d was committed", p.group, p.topic, p.queue, at, p.committed)
		}
		p.committed, p.synced = int64(at), int64(at)
		p.folded = min(p.folded, int64(at))
	}
	for name, e := range m.topics {
		have := int32(0)
		if topic, ok := t.Topics.Get(name); ok {
			have = topic.Config().ReadQueues
		}
		if have != e.rev && (e.pending < 0 || have != e.pending) {
			return fmt.Errorf("topic %s has %d queues, acknowledged are %d (under way %d)", name, have, e.rev, e.pending)
		}
		e.rev, e.pending = have, -1
	}
	for name := range m.groups {
		if _, ok := t.Groups.Get(name); !ok {
			return fmt.Errorf("group %s is lost", name)
		}
	}
	for name := range m.maybe {
		if _, ok := t.Groups.Get(name); ok {
			m.groups[name] = true
		}
	}
	clear(m.maybe)
	if v := t.Topics.Version().Counter; v < m.version {
		return fmt.Errorf("data version of the topics moved back from %d to %d", m.version, v)
	}
	return nil
}

// putTopic changes a topic and notes what was promised.
func (m *metaModel) putTopic(t *meta.Tables, name string, alive func() bool) error {
	e := m.topics[name]
	if e == nil {
		e = &entry{pending: -1}
		m.topics[name] = e
	}
	e.pending = e.rev + 1
	_, v, err := t.Topics.Put(mq.TopicConfig{Name: name, ReadQueues: e.pending, WriteQueues: e.pending, Perm: mq.PermRead | mq.PermWrite})
	return m.answered(e, v, err, alive)
}

func (m *metaModel) deleteTopic(t *meta.Tables, name string, alive func() bool) error {
	e := m.topics[name]
	if e == nil || e.rev == 0 {
		return nil
	}
	e.pending = 0
	_, v, err := t.Topics.Delete(name)
	return m.answered(e, v, err, alive)
}

func (m *metaModel) answered(e *entry, v mq.DataVersion, err error, alive func() bool) error {
	if !alive() {
		return nil
	}
	if err != nil {
		return err
	}
	e.rev, e.pending = e.pending, -1
	m.version = v.Counter
	return nil
}

func (m *metaModel) ensureGroup(t *meta.Tables, name string, alive func() bool) error {
	m.maybe[name] = true
	_, _, _, err := t.Groups.Ensure(name)
	if !alive() {
		return nil
	}
	if err != nil {
		return err
	}
	m.groups[name] = true
	return nil
}
