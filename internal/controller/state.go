package controller

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Bounds of what one group of controllers keeps, so that whoever can reach the port cannot fill its memory and log.
const (
	maxSets     = 10_000
	maxReplicas = 1_000
	maxText     = 1 << 10 // bytes of a name, an address or a check code
)

// firstID is the id that the first broker of a set gets. 0 stands for no broker.
const firstID = 1

// defaultLease is how long a master counts as acting after its last sign of life when it has not said so itself: Java's
// controllerHeartBeatTimeoutMills.
const defaultLease = 10 * time.Second

// State is what the controllers agree on: the sets of brokers by name. A State does not change; Apply makes a new one that
// shares with it what is the same. The zero value has no sets.
type State struct {
	sets map[string]*Set
}

// Set is one broker set. It does not change.
//
// A set that was cleaned away stays with its counters and without replicas: ids and epochs that were used once must not be
// used again, because they are in the files of brokers that may come back. For everybody who asks it does not exist.
type Set struct {
	Cluster, Name string
	NextID        int64     // never given to a broker
	Replicas      []Replica // by id

	Master      int64 // 0 when there is none
	MasterEpoch int32 // grows with each change of Master
	Lease       time.Duration

	Sync      []int64 // ids of the sync-state set, ascending
	SyncEpoch int32   // grows by one with each change of Sync
}

// Replica is one broker of a set.
type Replica struct {
	ID        int64
	Addr      string
	CheckCode string // what the broker sent when it applied for the id, address;milliseconds
}

// Set returns the set of that name, nil when there is none.
func (s *State) Set(name string) *Set {
	t := s.sets[name]
	if t == nil || len(t.Replicas) == 0 {
		return nil
	}
	return t
}

// Sets returns all sets by name.
func (s *State) Sets() []*Set {
	var all []*Set
	for _, name := range slices.Sorted(maps.Keys(s.sets)) {
		if t := s.Set(name); t != nil {
			all = append(all, t)
		}
	}
	return all
}

// NextID is the id for the next new broker of a set.
func (s *State) NextID(name string) int64 {
	if t := s.sets[name]; t != nil {
		return t.NextID
	}
	return firstID
}

// with returns s with t in place of the set of its name.
func (s *State) with(t *Set) *State {
	sets := make(map[string]*Set, len(s.sets)+1)
	maps.Copy(sets, s.sets)
	sets[t.Name] = t
	return &State{sets: sets}
}

// Replica returns the broker with that id.
func (t *Set) Replica(id int64) (Replica, bool) {
	i, ok := t.find(id)
	if !ok {
		return Replica{}, false
	}
	return t.Replicas[i], true
}

func (t *Set) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(t.Replicas, id, func(r Replica, id int64) int { return cmp.Compare(r.ID, id) })
}

func (t *Set) addr(id int64) string {
	r, _ := t.Replica(id)
	return r.Addr
}

// first reports whether the set has never had a master.
func (t *Set) first() bool { return t.Master == 0 && len(t.Sync) == 0 }

// InSync reports whether a broker is in the sync-state set.
func (t *Set) InSync(id int64) bool { return slices.Contains(t.Sync, id) }

// Addrs returns the addresses of all brokers by id.
func (t *Set) Addrs() map[int64]string {
	m := make(map[int64]string, len(t.Replicas))
	for _, r := range t.Replicas {
		m[r.ID] = r.Addr
	}
	return m
}

// unled returns t without a master: its epoch ends. The sync-state set stays, it says who may be the next one.
func (t *Set) unled() *Set {
	u := *t
	u.Master = 0
	u.MasterEpoch++
	return &u
}

// led returns t with a new master, which alone is in sync. Its epoch is above all that is known.
func (t *Set) led(id int64, lease time.Duration, known int32) *Set {
	u := *t
	u.Master, u.Lease = id, lease
	u.MasterEpoch = max(u.MasterEpoch, known) + 1
	u.Sync = []int64{id}
	u.SyncEpoch++
	return &u
}
