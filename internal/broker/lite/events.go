package lite

import (
	"math/rand/v2"
	"strings"
	"time"
)

// Times of Java's LiteEventDispatcher.
const (
	idleWithEvents = 10 * time.Second // a client that leaves events alone for so long loses them to others
	idle           = 35 * time.Second // likewise, and without events it is forgotten
	activeWithin   = 5 * time.Second  // a client that asked within this time is consuming
	avoidFor       = 10 * time.Second // a client that lost its events is not preferred for so long

	spreadRefill      = 15 * time.Second // refills of clients that seem to stand still are spread over that
	spreadRefillWater = 10 * time.Second

	wakeEach = 10 // a refill wakes its client for the first of so many
)

// events are the light queues in which a client has news, in the order in which they came, each once.
type events struct {
	group    string
	wildcard bool
	most     int
	list     []string // from head on
	head     int
	set      map[string]struct{}
	accessed time.Time
}

func (e *events) len() int { return len(e.list) - e.head }

// offer adds an event; false: there are too many.
func (e *events) offer(queue string) bool {
	if e.len() >= e.most {
		return false
	}
	if _, has := e.set[queue]; !has {
		e.set[queue] = struct{}{}
		e.list = append(e.list, queue)
	}
	return true
}

func (e *events) take() (queue string, ok bool) {
	if e.len() == 0 {
		e.list, e.head = e.list[:0], 0
		return "", false
	}
	queue = e.list[e.head]
	e.list[e.head] = ""
	e.head++
	delete(e.set, queue)
	if e.head == len(e.list) {
		e.list, e.head = e.list[:0], 0
	}
	return queue, true
}

func (e *events) stuck(now time.Time) bool {
	since := now.Sub(e.accessed)
	return since > idle || (e.len() > 0 && since > idleWithEvents)
}

func (e *events) low() bool { return e.len()*5 < e.most }

// refill is a full dispatch that is due.
type refill struct {
	group string
	at    time.Time
}

func wildcardKey(group string) string { return "$" + group + "$" }

// laterLocked makes a full dispatch due, unless one is already.
func (t *Table) laterLocked(key, group string, after time.Duration) {
	if _, has := t.due[key]; !has {
		t.due[strings.Clone(key)] = refill{group, t.o.Now().Add(after)}
	}
}

func spread(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d))) }

func (t *Table) eventsLocked(c *client) *events {
	e := t.events[c.id]
	if e == nil {
		now := t.o.Now()
		e = &events{
			group: c.group.Name, wildcard: c.group.Wildcard, most: max(1, c.group.MaxEvents), set: map[string]struct{}{}, accessed: now,
		}
		t.events[c.id] = e
	}
	return e
}

// Arrived gives an event to one client of each group that has subscribed to a light queue. It is quick when nobody has.
func (t *Table) Arrived(queue string) Effects {
	if t.active.Load() == 0 || !IsQueue(queue) {
		return Effects{}
	}
	return t.Dispatch(queue, "")
}

// Dispatch is Arrived for one group, "" for all.
func (t *Table) Dispatch(queue, group string) Effects {
	var fx Effects
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dispatchLocked(queue, group, "", &fx)
	return fx
}

// dispatchLocked prefers others to the client called exclude.
func (t *Table) dispatchLocked(queue, group, exclude string, fx *Effects) {
	groups := map[string][]*client{}
	for c := range t.queues[queue] {
		if name := c.group.Name; group == "" || group == name {
			groups[name] = append(groups[name], c)
		}
	}
	parent, _, _ := Split(queue)
	for name, set := range t.wild[parent] {
		if group != "" && group != name {
			continue
		}
		for c := range set {
			groups[name] = append(groups[name], c)
		}
	}
	for name, list := range groups {
		t.selectLocked(queue, name, list, exclude, fx)
	}
}

// selectLocked gives an event to one of the clients of a group; false: none could take it.
func (t *Table) selectLocked(queue, group string, list []*client, exclude string, fx *Effects) bool {
	var wildcard bool
	var last []*client
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	now := t.o.Now()
	for _, c := range list {
		wildcard = c.group.Wildcard
		if c.id == exclude {
			last = append(last, c)
			continue
		}
		if until, avoid := t.inactive[c.id]; avoid && now.Before(until) {
			if !wildcard {
				last = append(last, c)
			}
			continue
		}
		if t.offerLocked(c, queue, fx) {
			return true
		}
	}
	for _, c := range last {
		if t.offerLocked(c, queue, fx) {
			return true
		}
	}
	if wildcard {
		t.laterLocked(wildcardKey(group), group, t.o.WildcardRefillDelay)
	}
	return false
}

func (t *Table) offerLocked(c *client, queue string, fx *Effects) bool {
	if t.eventsLocked(c).offer(queue) {
		fx.Wake = append(fx.Wake, Client{c.id, c.group.Name})
		return true
	}
	if !c.group.Wildcard {
		after := t.o.RefillDelay
		if _, avoid := t.inactive[c.id]; avoid {
			after += spread(spreadRefill)
		}
		t.laterLocked(c.id, c.group.Name, after)
	}
	return false
}

// Take returns the next light queue in which a client has news.
//
// Differs from Java: events of lite topics that the client has lost or left meanwhile are dropped. There it still pops them.
func (t *Table) Take(id string) (queue string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.events[id]
	if e == nil {
		return "", false
	}
	e.accessed = t.o.Now()
	c := t.clients[id]
	for queue, ok = e.take(); ok; queue, ok = e.take() {
		if c == nil {
			continue
		}
		if _, has := c.queues[queue]; has || c.wild {
			break
		}
	}
	return queue, ok
}

// Has reports whether a client has events.
func (t *Table) Has(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.events[id]
	return e != nil && e.len() > 0
}

// Accessed is when a client asked for its events last; false: it has never had any.
func (t *Table) Accessed(id string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.events[id]; e != nil {
		return e.accessed, true
	}
	return time.Time{}, false
}

// moveEventsLocked gives the events of a client to others.
func (t *Table) moveEventsLocked(id string, fx *Effects) {
	e := t.events[id]
	if e == nil {
		return
	}
	delete(t.events, id)
	for queue, ok := e.take(); ok; queue, ok = e.take() {
		t.dispatchLocked(queue, e.group, id, fx)
	}
}

// Tick gives the events of clients that do not ask to others, and does the full dispatches that are due. It calls done with what is
// to be done after each.
func (t *Table) Tick(done func(Effects)) {
	var fx Effects
	t.mu.Lock()
	now := t.o.Now()
	for id, until := range t.inactive {
		if !now.Before(until) {
			delete(t.inactive, id)
		}
	}
	for id, e := range t.events {
		if e.stuck(now) {
			t.inactive[id] = now.Add(avoidFor)
			t.moveEventsLocked(id, &fx)
		}
	}
	due := map[string]string{}
	for key, r := range t.due {
		if !now.Before(r.at) {
			delete(t.due, key)
			due[key] = r.group
		}
	}
	t.mu.Unlock()
	done(fx)
	for key, group := range due {
		if key == wildcardKey(group) {
			done(t.refillWildcard(group))
		} else {
			done(t.Refill(key))
		}
	}
}

// RefillGroup is Refill for all clients of a group.
func (t *Table) RefillGroup(group string, wildcard bool) Effects {
	if wildcard {
		return t.refillWildcard(group)
	}
	var ids []string
	t.mu.Lock()
	for id, c := range t.clients {
		if c.group.Name == group {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	var fx Effects
	for _, id := range ids {
		fx.Wake = append(fx.Wake, t.Refill(id).Wake...)
	}
	return fx
}

// Refill is a full dispatch: it gives a client events of all that it has subscribed to and not consumed, as far as there is room.
func (t *Table) Refill(id string) Effects {
	var fx Effects
	queues, group := t.refillable(id)
	n := 0
	for _, queue := range queues {
		if !t.o.Behind(group, queue) {
			continue
		}
		t.mu.Lock()
		c := t.clients[id]
		full := false
		if c != nil {
			e := t.eventsLocked(c)
			if full = !e.offer(queue); full {
				after := t.o.RefillDelay
				if t.o.Now().Sub(e.accessed) >= activeWithin {
					after += spread(spreadRefill)
				}
				t.laterLocked(id, group, after)
			}
		}
		t.mu.Unlock()
		if c == nil || full {
			break
		}
		if n++; n%wakeEach == 1 {
			fx.Wake = append(fx.Wake, Client{id, group})
		}
	}
	if len(queues) > 0 && n%wakeEach != 1 {
		fx.Wake = append(fx.Wake, Client{id, group})
	}
	return fx
}

// refillable returns the light queues of a client, or makes its full dispatch due later if it seems not to consume what it has.
func (t *Table) refillable(id string) (queues []string, group string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clients[id]
	if c == nil || len(c.queues) == 0 {
		return nil, ""
	}
	e, now := t.eventsLocked(c), t.o.Now()
	group = c.group.Name
	switch {
	case e.stuck(now):
		t.laterLocked(id, group, t.o.RefillDelay+spread(spreadRefill))
		return nil, group
	case !e.low():
		after := t.o.RefillDelay
		if now.Sub(e.accessed) >= activeWithin {
			after += spread(spreadRefillWater)
		}
		t.laterLocked(id, group, after)
		return nil, group
	}
	queues = make([]string, 0, len(c.queues))
	for q := range c.queues {
		queues = append(queues, q)
	}
	return queues, group
}

// refillWildcard gives the clients of a group that wants all lite topics events of those that it has not consumed.
func (t *Table) refillWildcard(group string) Effects {
	var fx Effects
	parent := ""
	t.mu.Lock()
	for p, groups := range t.wild {
		if len(groups[group]) > 0 {
			parent = p
		}
	}
	t.mu.Unlock()
	if parent == "" {
		return fx
	}
	t.o.Queues(parent, func(queue string) bool {
		if !t.o.Behind(group, queue) {
			return true
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		var list []*client
		for c := range t.wild[parent][group] {
			list = append(list, c)
		}
		return len(list) > 0 && t.selectLocked(queue, group, list, "", &fx)
	})
	return fx
}
