package controller

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	minLease = 100 * time.Millisecond
	maxLease = 5 * time.Minute
	maxConns = 4 // connections of one broker that are remembered
)

// liveTable is who has sent heartbeats to this controller. It is in memory only: brokers send to all controllers, so a new
// leader knows them too.
type liveTable struct {
	mu     sync.Mutex // guards pulses and what they point to
	pulses map[member]*pulse
}

// link is a connection.
type link interface{ Close(reason error) }

// member names a broker.
type member struct {
	set string
	id  int64
}

// pulse is the last sign of life of a broker.
type pulse struct {
	last  time.Time // of the last heartbeat
	prior time.Time // of the one before
	begun time.Time // since when the process may run that sends them: its registration, or a new connection
	mute  bool      // no heartbeat has come since it registered: c is of the process before
	c     Candidate
	conns []link // open ones on which it came; none: the broker is not alive
	left  bool   // the last connection was closed, and not by us because of silence
}

func newLiveTable() *liveTable { return &liveTable{pulses: map[member]*pulse{}} }

// beat takes a heartbeat that came on conn. fresh reports that the broker was not known as alive.
func (t *liveTable) beat(now time.Time, m member, c Candidate, conn link) (fresh bool) {
	if c.Lease <= 0 {
		c.Lease = defaultLease
	}
	c.Lease = min(max(c.Lease, minLease), maxLease)
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pulses[m]
	if p == nil {
		p = &pulse{}
		t.pulses[m] = p
	}
	fresh = !p.alive(now)
	// Differs from Java: it keeps the longest log that a broker ever reported, also when the broker has lost some of it.
	p.last, p.prior, p.c, p.left, p.mute = now, p.last, c, false, false
	if !slices.Contains(p.conns, conn) {
		p.begun = now
		p.conns = append(p.conns, conn)
		if len(p.conns) > maxConns {
			p.conns = p.conns[1:]
		}
	}
	return fresh
}

// registers notes that a broker has started: what it said of its log was said before, and it may have lost the end since.
func (t *liveTable) registers(now time.Time, m member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pulses[m]; p != nil {
		p.begun, p.mute = now, true
	}
}

// unheard returns whose word is missing before id can be made the master of set: of itself, when it has not told this leader, who leads
// since then, how long its log is, and of those in sync that may have had more when it last began.
//
// A broker that lost its power comes back without what its disk did not have, while the last heartbeats of the others are as old as their
// interval: its log seems to be the longest although theirs are longer. All that was acknowledged before it began is in what they say
// from then on. The first heartbeat may have been under way since before; they are sent one after the other, so the second was not.
//
// Differs from Java: it elects by what the others said last.
func (t *liveTable) unheard(now time.Time, set *Set, id int64, since time.Time) (ids []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pulses[member{set.Name, id}]
	if p == nil || p.mute || p.last.Before(since) {
		return []int64{id}
	}
	for _, r := range set.Replicas {
		o := t.pulses[member{set.Name, r.ID}]
		if r.ID == id || o == nil || !o.alive(now) || set.InSync(id) && !set.InSync(r.ID) {
			continue
		}
		if o.mute || !o.prior.After(p.begun) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (p *pulse) alive(now time.Time) bool { return len(p.conns) > 0 && now.Sub(p.last) <= p.c.Lease }

// closed notes the end of a connection and returns the brokers that have no other one.
//
// Differs from Java: it remembers the first connection of a broker only, so that a broker with a newer one is taken for
// dead when the old one is closed at last, and is not when the newer one is.
func (t *liveTable) closed(conn link, of []member) (gone []member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range of {
		p := t.pulses[m]
		if p == nil {
			continue
		}
		i := slices.Index(p.conns, conn)
		if i < 0 {
			continue
		}
		p.conns = slices.Delete(p.conns, i, i+1)
		if len(p.conns) == 0 {
			p.left = true
			gone = append(gone, m)
		}
	}
	return gone
}

// expire returns the connections of brokers that have been silent for too long, and forgets those connections.
func (t *liveTable) expire(now time.Time) (gone []member, conns []link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for m, p := range t.pulses {
		if len(p.conns) == 0 || p.alive(now) {
			continue
		}
		gone = append(gone, m)
		conns = append(conns, p.conns...)
		p.conns = nil
	}
	return gone, conns
}

// next returns when the first of the live brokers will have been silent for too long, zero when there is none.
func (t *liveTable) next() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first time.Time
	for _, p := range t.pulses {
		if len(p.conns) == 0 {
			continue
		}
		if at := p.last.Add(p.c.Lease); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// keep forgets brokers that are not there any more.
func (t *liveTable) keep(s *State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for m := range t.pulses {
		if set := s.Set(m.set); set != nil {
			if _, ok := set.find(m.id); ok {
				continue
			}
		}
		delete(t.pulses, m)
	}
}

// alive reports whether a broker is alive.
func (t *liveTable) alive(now time.Time, m member) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pulses[m]
	return p != nil && p.alive(now)
}

// view is what this controller, leader since then, knows of a set.
func (t *liveTable) view(now time.Time, set *Set, since time.Time) View {
	if set == nil {
		return View{}
	}
	v := View{MasterEpoch: set.MasterEpoch}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range set.Replicas {
		if p := t.pulses[member{set.Name, r.ID}]; p != nil && p.alive(now) && !p.mute {
			v.Alive = append(v.Alive, p.c)
		}
	}
	slices.SortFunc(v.Alive, func(a, b Candidate) int { return cmp.Compare(a.ID, b.ID) })
	v.MayAct = set.Master != 0 && !now.After(t.deadlineLocked(set, since))
	return v
}

// deadline returns until when the master of a set may believe that it is one. A time in the past: it cannot any more.
func (t *liveTable) deadline(set *Set, since time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deadlineLocked(set, since)
}

// deadlineLocked: a master whose last connection was closed has gone. One that has been silent has its lease, counted from
// its last heartbeat, or from when we began to lead: another leader may have confirmed it until then.
func (t *liveTable) deadlineLocked(set *Set, since time.Time) time.Time {
	p := t.pulses[member{set.Name, set.Master}]
	if p == nil {
		return since.Add(max(set.Lease, minLease))
	}
	if p.left {
		return time.Time{}
	}
	from := p.last
	if since.After(from) {
		from = since
	}
	return from.Add(p.c.Lease)
}
