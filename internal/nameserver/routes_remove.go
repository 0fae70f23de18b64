package nameserver

import (
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// departure is one broker that leaves.
type departure struct {
	cluster, name, addr string
	id                  int64
}

// unregister removes a broker and, with the last address of its name, everything that the name has in the table.
func (r *routes) unregister(p policy, d departure) *notice {
	ep := endpoint{d.cluster, d.addr}
	delete(r.live, ep)
	if _, ok := r.filters[ep]; ok {
		delete(r.filters, ep)
		r.gen++
	}
	grp := r.groups[d.name]
	if grp == nil {
		return nil
	}
	wasMin := len(grp.members) > 0 && grp.members[0].id == d.id
	n := len(grp.members)
	grp.members = slices.DeleteFunc(grp.members, func(m member) bool { return m.addr == d.addr })
	if len(grp.members) != n {
		r.gen++
	}
	if len(grp.members) == 0 {
		r.removeGroup(grp)
		return nil
	}
	if grp.acting && grp.members[0].id > masterID {
		// Only slaves are left: one of them acts as the master, for reading.
		for t := range grp.topics {
			r.setPerm(t, grp, func(p int32) int32 { return p &^ permWrite })
		}
	}
	if wasMin && p.notifyMin && grp.acting {
		return grp.notice(d.addr, "")
	}
	return nil
}

func (r *routes) removeGroup(grp *group) {
	for t := range grp.topics {
		r.dropQueue(t, grp)
	}
	delete(r.groups, grp.name)
	// Differs from Java: no cluster keeps the name, even when its brokers gave different cluster names.
	for c, names := range r.clusters {
		delete(names, grp.name)
		if len(names) == 0 {
			delete(r.clusters, c)
		}
	}
	r.gen++
}

// detach removes all brokers that registered over conn.
func (r *routes) detach(p policy, conn link) (gone []departure, notices []*notice) {
	for ep, l := range r.live {
		if l.conn == conn {
			gone = append(gone, r.departureOf(ep, l))
		}
	}
	return gone, r.leave(p, gone)
}

// expire removes the brokers that were silent for too long and returns their connections.
func (r *routes) expire(now time.Time, p policy) (gone []departure, conns []link, notices []*notice) {
	for ep, l := range r.live {
		if now.Sub(l.seen) > l.timeout {
			gone = append(gone, r.departureOf(ep, l))
			conns = append(conns, l.conn)
		}
	}
	return gone, conns, r.leave(p, gone)
}

func (r *routes) leave(p policy, gone []departure) []*notice {
	var notices []*notice
	for _, d := range gone {
		if n := r.unregister(p, d); n != nil {
			notices = append(notices, n)
		}
	}
	return notices
}

// departureOf names the broker behind an endpoint by the id that the address has now. An address that lost its place
// to another broker leaves alone: unregister will not find it in its group.
func (r *routes) departureOf(ep endpoint, l *live) departure {
	d := departure{cluster: ep.cluster, addr: ep.addr, name: l.name, id: l.id}
	if grp := r.groups[l.name]; grp != nil {
		for _, m := range grp.members {
			if m.addr == ep.addr {
				d.id = m.id
			}
		}
	}
	return d
}

// heartbeat notes that a broker is alive.
func (r *routes) heartbeat(now time.Time, cluster, addr string) {
	if l := r.live[endpoint{cluster, addr}]; l != nil {
		l.seen = now
	}
}

// version returns the data version that a broker registered with.
func (r *routes) version(cluster, addr string) (protocol.DataVersion, bool) {
	if l := r.live[endpoint{cluster, addr}]; l != nil {
		return l.version, true
	}
	return protocol.DataVersion{}, false
}

// registerTopic adds one topic. When a broker is not known nothing happens.
func (r *routes) registerTopic(name string, queues []brokerQueue) bool {
	for _, q := range queues {
		if r.groups[q.broker] == nil {
			return false
		}
	}
	for _, q := range queues {
		q.queue.group = r.groups[q.broker]
		r.setQueue(name, q.queue)
	}
	return true
}

// brokerQueue is a queue entry whose broker is still only a name.
type brokerQueue struct {
	broker string
	queue  queue
}

// deleteTopic removes a topic from all brokers, or from those of one cluster.
func (r *routes) deleteTopic(name, cluster string) {
	t := r.topics[name]
	if t == nil {
		return
	}
	for _, q := range slices.Clone(t.queues) {
		if cluster != "" {
			if _, ok := r.clusters[cluster][q.group.name]; !ok {
				continue
			}
		}
		r.dropQueue(t, q.group)
	}
}

// wipeWrite takes the write bit from all topics of a broker; addWrite sets read and write. Both return the number
// of topics. A registration with a new data version undoes them.
func (r *routes) wipeWrite(broker string) int {
	return r.setPerms(broker, func(p int32) int32 { return p &^ permWrite })
}

func (r *routes) addWrite(broker string) int {
	return r.setPerms(broker, func(int32) int32 { return permRead | permWrite })
}

func (r *routes) setPerms(broker string, f func(int32) int32) int {
	grp := r.groups[broker]
	if grp == nil {
		return 0
	}
	for t := range grp.topics {
		r.setPerm(t, grp, f)
	}
	return len(grp.topics)
}

func (r *routes) setPerm(t *topic, grp *group, f func(int32) int32) {
	i, ok := t.find(grp.name)
	if !ok {
		return
	}
	if p := f(t.queues[i].perm); p != t.queues[i].perm {
		t.queues[i].perm = p
		t.touch()
	}
}
