package logicqueue

import (
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
)

// Index is a position in a queue, counted in messages.
type Index = record.Index

// ScopeGlobal is the only scope that Java's tools make.
const ScopeGlobal = "__global__"

// mockPrefix begins the name of the broker that clients see (MixAll.LOGICAL_QUEUE_MOCK_BROKER_PREFIX).
const mockPrefix = "__syslo__"

// MockBroker is the name of the broker that has, for clients, all logical queues of a scope.
func MockBroker(scope string) string {
	if scope == ScopeGlobal {
		return mockPrefix + scope[2:]
	}
	return mockPrefix + scope
}

// Item is one physical queue in the list of a logical one (Java's LogicQueueMappingItem).
type Item struct {
	Gen    int32  // counts the moves of the logical queue
	Queue  int32  // id of the physical queue
	Broker string // that has it
	Logic  Index  // logical position of Start; -1: not decided yet
	Start  Index  // physical position at which the item begins; Java's tools only know 0
	End    Index  // physical position behind its last message; -1: open. Java's tools leave it open
	// TimeOfStart and TimeOfEnd are kept for Java, which does not use them either.
	TimeOfStart, TimeOfEnd int64
}

// Decided reports whether the item has logical positions.
func (i *Item) Decided() bool { return i.Logic >= 0 }

// Ended reports whether the item has a last message.
func (i *Item) Ended() bool { return i.End > i.Start }

// ToLogic returns the logical position of a physical one, that of the item's begin for one before it.
func (i *Item) ToLogic(at Index) Index { return i.Logic + max(at-i.Start, 0) }

// Loosely is ToLogic for an item that may not be decided, then it is -1, and with nothing behind the item's end.
func (i *Item) Loosely(at Index) Index {
	if i.Logic < 0 {
		return -1
	}
	if i.End >= i.Start {
		at = min(at, i.End)
	}
	return i.ToLogic(at)
}

// ToPhysical returns the physical position of a logical one.
func (i *Item) ToPhysical(at Index) Index { return at - i.Logic + i.Start }

// Floor is the least logical position behind what the item is known to hold.
func (i *Item) Floor() Index {
	if i.End >= i.Start {
		return i.Logic + i.End - i.Start
	}
	return i.Logic
}

// Items are the physical queues of one logical queue, oldest first.
type Items []Item

// Find returns the index of the item that holds a logical position: of the last decided one that begins at it or before it, else of
// the first decided one, -1 if there is none.
func (l Items) Find(at Index) int {
	first := -1
	for k := len(l) - 1; k >= 0; k-- {
		switch {
		case !l[k].Decided():
		case at >= l[k].Logic:
			return k
		default:
			first = k
		}
	}
	return first
}

// Next returns the item behind l[k], if it is decided.
func (l Items) Next(k int) (*Item, bool) {
	if k+1 < len(l) && l[k+1].Decided() {
		return &l[k+1], true
	}
	return nil, false
}

// Mapping is what a broker knows of a static topic (Java's TopicQueueMappingDetail).
type Mapping struct {
	Topic  string
	Scope  string
	Total  int32 // logical queues in the cluster
	Broker string
	Epoch  int64 // of two mappings the newer one has the larger
	Dirty  bool
	Queues map[int32]Items // by id of the logical queue
}

// Leader returns the list of a logical queue if this broker leads it. The last item is the one to write to.
func (m *Mapping) Leader(id int32) (Items, bool) {
	l := m.Queues[id]
	return l, len(l) > 0 && l[len(l)-1].Broker == m.Broker
}

// Led returns the ids of the logical queues that this broker leads, sorted.
func (m *Mapping) Led() []int32 {
	var ids []int32
	for id := range m.Queues {
		if _, ok := m.Leader(id); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Current returns the physical queue of each logical queue that this broker leads: what it registers with name servers.
func (m *Mapping) Current() map[int64]int64 {
	ids := make(map[int64]int64, len(m.Queues))
	for id := range m.Queues {
		if l, ok := m.Leader(id); ok {
			ids[int64(id)] = int64(l[len(l)-1].Queue)
		}
	}
	return ids
}

// Clone returns a copy that shares no memory with m.
func (m *Mapping) Clone() *Mapping {
	c := *m
	c.Topic, c.Scope, c.Broker = strings.Clone(m.Topic), strings.Clone(m.Scope), strings.Clone(m.Broker)
	c.Queues = make(map[int32]Items, len(m.Queues))
	for id, l := range m.Queues {
		l = slices.Clone(l)
		for k := range l {
			l[k].Broker = strings.Clone(l[k].Broker)
		}
		c.Queues[id] = l
	}
	return &c
}

// Equal reports whether m and o say the same.
func (m *Mapping) Equal(o *Mapping) bool {
	if m.Topic != o.Topic || m.Scope != o.Scope || m.Total != o.Total || m.Broker != o.Broker || m.Epoch != o.Epoch ||
		m.Dirty != o.Dirty || len(m.Queues) != len(o.Queues) {
		return false
	}
	for id, l := range m.Queues {
		if other, ok := o.Queues[id]; !ok || !slices.Equal(l, other) {
			return false
		}
	}
	return true
}
