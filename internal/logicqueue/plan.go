package logicqueue

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Share is what one broker has of a static topic.
type Share struct {
	Read, Write int32 // physical queues
	Mapping     *Mapping
}

// Plan is a static topic in the whole cluster, by broker name: what the brokers have, or what a tool is going to tell them. Its methods
// are what Java's tool computes (TopicQueueMappingUtils), with its texts.
type Plan map[string]*Share

// Check reports the epoch and the number of logical queues on which all brokers agree.
func (p Plan) Check(topic string) (epoch int64, total int32, err error) {
	epoch, total = -1, -1
	scope := ""
	for _, broker := range slices.Sorted(maps.Keys(p)) {
		m := p[broker].Mapping
		switch {
		case m == nil:
			err = fmt.Errorf("Mapping info should not be null in broker %s", broker)
		case m.Broker != broker:
			err = fmt.Errorf("The broker name is not equal %s != %s", broker, m.Broker) //nolint:staticcheck // Java's text
		case m.Dirty:
			err = fmt.Errorf("The mapping info is dirty in broker %s", broker) //nolint:staticcheck // Java's text
		case m.Topic != topic:
			err = fmt.Errorf("The topic name is not match for broker %s", broker) //nolint:staticcheck // Java's text
		case scope != "" && m.Scope != scope:
			err = fmt.Errorf("scope does not match %s != %s in %s", m.Scope, scope, broker)
		case epoch != -1 && m.Epoch != epoch:
			err = fmt.Errorf("epoch does not match %d != %d in %s", epoch, m.Epoch, broker)
		case total != -1 && m.Total != total:
			err = fmt.Errorf("total queue number does not match %d != %d in %s", total, m.Total, broker)
		default:
			err = m.Check()
		}
		if err != nil {
			return 0, 0, err
		}
		scope, epoch, total = m.Scope, m.Epoch, m.Total
	}
	return epoch, total, nil
}

// Leaders returns the list of each logical queue as its leader has it. There must be one of each, with a physical queue of its own.
func (p Plan) Leaders() (map[int32]Items, error) {
	lists := map[int32]Items{}
	total := int32(0)
	for _, broker := range slices.Sorted(maps.Keys(p)) {
		m := p[broker].Mapping
		total = max(total, m.Total)
		for _, id := range m.Led() {
			if _, twice := lists[id]; twice {
				return nil, fmt.Errorf("The queue id is duplicated in broker %s %s", broker, m.Broker) //nolint:staticcheck // Java's text
			}
			lists[id] = m.Queues[id]
		}
	}
	if int(total) != len(lists) {
		return nil, fmt.Errorf("The total queue number in config does not match the real hosted queues %d != %d", total, len(lists)) //nolint:staticcheck // Java's text
	}
	type physical struct {
		broker string
		queue  int32
	}
	used := map[physical]int32{}
	for id := range total {
		list, ok := lists[id]
		if !ok {
			return nil, fmt.Errorf("The queue number %d is not in globalIdMap", id) //nolint:staticcheck // Java's text
		}
		for k := range list {
			at := physical{list[k].Broker, list[k].Queue}
			if other, twice := used[at]; twice && other != id {
				return nil, fmt.Errorf("global queue id %d and %d shared the same physical queue %s-%d", other, id, at.broker, at.queue)
			}
			used[at] = id
		}
	}
	return lists, nil
}

// whole checks everything: that the brokers agree, that each logical queue has one leader and that its physical queues are there.
func (p Plan) whole(topic string) (epoch int64, total int32, lists map[int32]Items, err error) {
	if epoch, total, err = p.Check(topic); err != nil {
		return 0, 0, nil, err
	}
	if lists, err = p.Leaders(); err != nil {
		return 0, 0, nil, err
	}
	for _, s := range p {
		if s.Read < s.Write {
			return 0, 0, nil, errors.New("Read queues is smaller than write queues") //nolint:staticcheck // Java's text
		}
		for _, list := range s.Mapping.Queues {
			for k := range list {
				at := p[list[k].Broker]
				switch {
				case list[k].Start != 0:
					err = errors.New("The start offset does not begin from 0") //nolint:staticcheck // Java's text
				case at == nil:
					err = errors.New("The broker of item does not exist") //nolint:staticcheck // Java's text
				case list[k].Queue >= at.Write:
					err = errors.New("The physical queue id is overflow the write queues") //nolint:staticcheck // Java's text
				}
				if err != nil {
					return 0, 0, nil, err
				}
			}
		}
	}
	return epoch, total, lists, nil
}

// Valid checks that p may be told to brokers.
func (p Plan) Valid(topic string) error {
	_, _, _, err := p.whole(topic)
	return err
}

// clone is a plan that may be changed.
func (p Plan) clone() Plan {
	out := make(Plan, len(p))
	for broker, s := range p {
		c := *s
		if c.Mapping != nil {
			c.Mapping = c.Mapping.Clone()
		}
		out[broker] = &c
	}
	return out
}

// share returns what a broker has, making it if it has nothing.
func (p Plan) share(topic, broker string) *Share {
	s := p[broker]
	if s == nil {
		s = &Share{Mapping: &Mapping{Topic: topic, Scope: ScopeGlobal, Broker: broker, Queues: map[int32]Items{}}}
		p[broker] = s
	}
	return s
}

// addQueue gives a broker one more physical queue and returns its id.
func (s *Share) addQueue() int32 {
	s.Read, s.Write = s.Read+1, s.Write+1
	return s.Write - 1
}

// date sets what all brokers agree on. now is in ms.
func (p Plan) date(old, now int64, total int32) {
	epoch := max(old+1000, now)
	for _, s := range p {
		s.Mapping.Epoch, s.Mapping.Total = epoch, total
	}
}

// Grow returns the plan of a topic with more logical queues than it has, spread over the brokers of p and targets: the new ones go to those
// that have least. now is in ms. p may be empty.
func (p Plan) Grow(topic string, total int32, targets []string, now int64) (Plan, error) {
	var epoch int64
	var lists map[int32]Items
	var err error
	if len(p) > 0 {
		if epoch, _, lists, err = p.whole(topic); err != nil {
			return nil, err
		}
	}
	switch had := int32(len(lists)); {
	case total < had:
		return nil, fmt.Errorf("Cannot decrease the queue num for static topic %d < %d", total, had) //nolint:staticcheck // Java's text
	case total == had:
		return nil, errors.New("The topic queue num is equal the existed queue num, do nothing") //nolint:staticcheck // Java's text
	case total > maxQueues:
		return nil, fmt.Errorf("%d queues: at most %d", total, maxQueues)
	}
	next := p.clone()
	leads := map[string]int{}
	for _, t := range targets {
		leads[t] = 0
	}
	for broker, s := range p {
		leads[broker] = len(s.Mapping.Led())
	}
	if len(leads) == 0 {
		return nil, errors.New("Find none brokers, do nothing")
	}
	for id := int32(len(lists)); id < total; id++ {
		broker := least(leads)
		leads[broker]++
		s := next.share(topic, broker)
		s.Mapping.Queues[id] = Items{{Queue: s.addQueue(), Broker: broker, End: -1, TimeOfStart: -1, TimeOfEnd: -1}}
	}
	next.date(epoch, now, total)
	return next, next.Valid(topic)
}

// least is the name with the smallest number, the first of them by name.
func least(n map[string]int) string {
	return slices.MinFunc(slices.Collect(maps.Keys(n)), func(a, b string) int {
		return cmp.Or(cmp.Compare(n[a], n[b]), strings.Compare(a, b))
	})
}

// Move returns the plan that spreads the logical queues over targets only, with as few moves as possible, and the brokers that get queues
// and that lose them. The new leaders have no logical position yet: Decide gives it. now is in ms.
func (p Plan) Move(topic string, targets []string, now int64) (next Plan, in, out []string, err error) {
	epoch, total, lists, err := p.whole(topic)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(targets) == 0 {
		return nil, nil, nil, errors.New("Find none brokers, do nothing")
	}
	room := p.quota(targets, int(total))
	var wait []int32
	for id := range total {
		leader := lists[id][len(lists[id])-1].Broker
		if room[leader] > 0 {
			room[leader]--
		} else {
			wait = append(wait, id)
		}
	}
	next = p.clone()
	gets, loses := map[string]bool{}, map[string]bool{}
	for _, broker := range slices.Sorted(maps.Keys(room)) {
		for ; room[broker] > 0; room[broker]-- {
			id := wait[0]
			wait = wait[1:]
			last := lists[id][len(lists[id])-1]
			to := next.share(topic, broker)
			list := append(slices.Clone(lists[id]), Item{
				Gen: last.Gen + 1, Queue: to.addQueue(), Broker: broker, Logic: -1, End: -1, TimeOfStart: -1, TimeOfEnd: -1,
			})
			to.Mapping.Queues[id] = list
			next[last.Broker].Mapping.Queues[id] = slices.Clone(list)
			gets[broker], loses[last.Broker] = true, true
		}
	}
	next.date(epoch, now, total)
	return next, slices.Sorted(maps.Keys(gets)), slices.Sorted(maps.Keys(loses)), next.Valid(topic)
}

// quota is how many of total queues each target gets. The odd ones go to those that have most now.
func (p Plan) quota(targets []string, total int) map[string]int {
	room := map[string]int{}
	for _, t := range targets {
		room[t] = 0
	}
	order := slices.SortedFunc(maps.Keys(room), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.led(b), p.led(a)), strings.Compare(a, b))
	})
	for i, t := range order {
		room[t] = total / len(order)
		if i < total%len(order) {
			room[t]++
		}
	}
	return room
}

func (p Plan) led(broker string) int {
	if s := p[broker]; s != nil {
		return len(s.Mapping.Led())
	}
	return 0
}

// Complete adds the brokers of the cluster that have no part in the topic: they are told, too.
func (p Plan) Complete(topic string, brokers []string) {
	var any *Mapping
	for _, s := range p {
		any = s.Mapping
	}
	for _, broker := range brokers {
		if p[broker] == nil && any != nil {
			m := p.share(topic, broker).Mapping
			m.Epoch, m.Total, m.Scope = any.Epoch, any.Total, any.Scope
		}
	}
}

// block is what logical positions of a new leader are rounded up to, so that it can begin before all is known of the old one.
const block = 10_000

// roundUp leaves at least half a block of room.
func roundUp(at Index) Index {
	n, left := at/block, at%block
	if left < block/2 {
		return (n + 1) * block
	}
	return (n + 2) * block
}

// Decide gives the queues that broker out has lost the logical position at which their new leaders begin. end returns where a physical
// queue of out ends, now that nobody writes to it.
func (p Plan) Decide(out string, end func(queue int32) (Index, bool)) error {
	for id, list := range p[out].Mapping.Queues {
		if len(list) < 2 || list[len(list)-1].Logic > 0 {
			continue
		}
		old, leader := list[len(list)-2], &list[len(list)-1]
		if old.Broker != out {
			continue
		}
		at, ok := end(old.Queue)
		if !ok {
			return fmt.Errorf("Cannot get the max offset for old leader %s-%d", old.Broker, old.Queue) //nolint:staticcheck // Java's text
		}
		if at < old.Start {
			return fmt.Errorf("The max offset is smaller then the start offset %s-%d %d", old.Broker, old.Queue, at) //nolint:staticcheck // Java's text
		}
		leader.Logic = roundUp(old.ToLogic(at))
		p[leader.Broker].Mapping.Queues[id] = slices.Clone(list)
	}
	return nil
}
