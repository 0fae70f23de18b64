package nameserver

import (
	"maps"
	"slices"
)

// Unit flags of a topic (Java TopicSysFlag).
const (
	flagUnit    = 1
	flagUnitSub = 2
)

// topicNames returns the names of the topics that ok accepts, sorted.
func (r *routes) topicNames(ok func(*topic) bool) []string {
	names := make([]string, 0, len(r.topics))
	for name, t := range r.topics {
		if ok == nil || ok(t) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func unitTopic(t *topic) bool      { return t.queues[0].sysFlag&flagUnit != 0 }
func unitSubTopic(t *topic) bool   { return t.queues[0].sysFlag&flagUnitSub != 0 }
func unitSubNotUnit(t *topic) bool { return unitSubTopic(t) && !unitTopic(t) }

// clusterTopics returns the topics of all brokers of a cluster, sorted.
func (r *routes) clusterTopics(cluster string) []string {
	set := make(map[string]struct{})
	for name := range r.clusters[cluster] {
		if grp := r.groups[name]; grp != nil {
			for t := range grp.topics {
				set[t.name] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// systemTopics returns the names of clusters and brokers, which are topics too, and the address of some broker that
// can be asked for the rest.
func (r *routes) systemTopics() (names []string, addr string) {
	set := make(map[string]struct{})
	for cluster, brokers := range r.clusters {
		set[cluster] = struct{}{}
		for b := range brokers {
			set[b] = struct{}{}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.groups)) {
		if g := r.groups[name]; len(g.members) > 0 {
			addr = g.members[0].addr
			break
		}
	}
	return slices.Sorted(maps.Keys(set)), addr
}

// Counts returns how many topics have a route and how many brokers are registered.
func (s *Server) Counts() (topics, brokers int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.routes.topics), len(s.routes.live)
}
