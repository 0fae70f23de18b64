package logicqueue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Limits of what is believed.
const (
	maxQueues = 65536 // logical or physical queues of a topic
	maxItems  = 4096  // items of one logical queue
)

// Check reports what is wrong with the lists of m, with Java's texts where it has one (checkLogicQueueMappingItemOffset).
func (m *Mapping) Check() error {
	if m.Topic == "" || m.Broker == "" {
		return errors.New("a mapping needs a topic and a broker")
	}
	if m.Total < 0 || m.Total > maxQueues {
		return fmt.Errorf("totalQueues %d must be 0 to %d", m.Total, maxQueues)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Queues)) {
		if id < 0 || id >= maxQueues || len(m.Queues[id]) > maxItems {
			return fmt.Errorf("logical queue %d with %d items is out of range", id, len(m.Queues[id]))
		}
		if err := m.Queues[id].check(); err != nil {
			return fmt.Errorf("logical queue %d: %w", id, err)
		}
	}
	return nil
}

func (l Items) check() error {
	lastGen, lastLogic := int32(-1), Index(-1)
	for k := len(l) - 1; k >= 0; k-- {
		i := &l[k]
		switch {
		case i.Start < 0 || i.Gen < 0 || i.Queue < 0 || i.Queue >= maxQueues:
			return errors.New("The field is illegal, should not be negative") //nolint:staticcheck // Java's text
		case k < len(l)-1 && i.Logic < 0:
			return errors.New("The non-latest item has negative logic offset") //nolint:staticcheck // Java's text
		case lastGen != -1 && i.Gen >= lastGen:
			return errors.New("The gen dose not increase monotonically") //nolint:staticcheck // Java's text
		case i.End != -1 && i.End < i.Start:
			return errors.New("The endOffset is smaller than the start offset") //nolint:staticcheck // Java's text
		}
		if lastLogic != -1 && i.Logic != -1 {
			if i.Logic >= lastLogic {
				return errors.New("The base logic offset dose not increase monotonically") //nolint:staticcheck // Java's text
			}
			if i.Floor() >= lastLogic {
				return errors.New("The max logic offset dose not increase monotonically") //nolint:staticcheck // Java's text
			}
		}
		lastGen, lastLogic = i.Gen, i.Logic
	}
	return nil
}

// Accept returns what becomes of the mapping old, nil if there is none, when a tool wants it to be next: next, with the lists of old
// that it does not name. With force nothing of old is compared. The error is Java's text.
func Accept(old, next *Mapping, force bool) (*Mapping, error) {
	if err := next.Check(); err != nil {
		return nil, err
	}
	next = next.Clone()
	if old == nil {
		return next, nil
	}
	if !force {
		if next.Epoch < old.Epoch {
			return nil, fmt.Errorf("Can't accept data with small epoch %d < %d", next.Epoch, old.Epoch) //nolint:staticcheck // Java's text
		}
		if next.Scope != old.Scope {
			return nil, fmt.Errorf("Can't accept data with unmatched scope %s != %s", next.Scope, old.Scope) //nolint:staticcheck // Java's text
		}
	}
	same := next.Epoch == old.Epoch
	for _, id := range slices.Sorted(maps.Keys(old.Queues)) {
		had, have := old.Queues[id], next.Queues[id]
		if _, named := next.Queues[id]; !named {
			if same && !force {
				return nil, errors.New("Cannot accept equal epoch with null data") //nolint:staticcheck // Java's text
			}
			next.Queues[id] = slices.Clone(had)
			continue
		}
		if !force {
			if err := immutable(had, have, same); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}

// immutable checks that what was said of an item stays true. Java only asserts it, which brokers do without.
func immutable(had, have Items, sameEpoch bool) error {
	if len(had) == 0 {
		return nil
	}
	if len(have) == 0 {
		return errors.New("The new item list is null or empty") //nolint:staticcheck // Java's text
	}
	for a, b := 0, 0; a < len(had) && b < len(have); {
		o, n := &had[a], &have[b]
		switch {
		case n.Gen < o.Gen:
			b++ // the earliest item may be gone
		case o.Gen < n.Gen:
			a++ // the queue came back to a broker that has had it, or the earliest item was empty
		case o.Broker != n.Broker || o.Queue != n.Queue || o.Start != n.Start || (o.Logic != -1 && o.Logic != n.Logic):
			return fmt.Errorf("item %d of a logical queue cannot change: it is %s-%d from %d at %d, not %s-%d from %d at %d",
				o.Gen, o.Broker, o.Queue, o.Start, o.Logic, n.Broker, n.Queue, n.Start, n.Logic)
		default:
			a, b = a+1, b+1
		}
	}
	o, n := &had[len(had)-1], &have[len(have)-1]
	if sameEpoch && (n.Gen != o.Gen || n.Broker != o.Broker || n.Queue != o.Queue || n.Start != o.Start) {
		return errors.New("The new leader is different but epoch equal") //nolint:staticcheck // Java's text
	}
	return nil
}
