package controller

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// figures counts what Java's ControllerMetricsManager counts. Requests are few: brokers' heartbeats are not among them.
type figures struct {
	mu        sync.Mutex // guards the maps
	requests  map[requestKey]int64
	latency   map[int32]*telemetry.Histogram // by request code, ns
	elections map[electionKey]int64
}

type requestKey struct {
	code   int32
	status string
}

type electionKey struct{ cluster, set, result string }

// request counts one that took d.
func (f *figures) request(code int32, d time.Duration, err error) {
	status := "success"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		status = "timeout"
	case err != nil:
		status = "failed"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.requests == nil {
		f.requests, f.latency = map[requestKey]int64{}, map[int32]*telemetry.Histogram{}
	}
	f.requests[requestKey{code, status}]++
	h := f.latency[code]
	if h == nil {
		h = telemetry.RequestLatency.New()
		f.latency[code] = h
	}
	h.Observe(int64(d))
}

// election counts what came of an attempt to elect a master of set, which is nil when there is no such set.
func (f *figures) election(set *Set, elected bool) {
	if set == nil {
		return
	}
	k := electionKey{set.Cluster, set.Name, "keep_current_master"}
	switch {
	case elected:
		k.result = "new_master_elected"
	case set.Master == 0:
		k.result = "no_master_elected"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.elections == nil {
		f.elections = map[electionKey]int64{}
	}
	f.elections[k]++
}

// Roles of Java's controllers.
const (
	roleUnknown  = 0
	roleFollower = 2
	roleLeader   = 3
)

// Collect tells s what this controller knows.
func (c *Controller) Collect(s *telemetry.Sink) {
	l := c.Leader()
	role := int64(roleFollower)
	switch {
	case l.Self:
		role = roleLeader
	case l.ID == "":
		role = roleUnknown
	}
	s.Int(telemetry.Role, role)
	if l.ID != "" {
		s.Int(telemetry.ControllerLeader, 1, l.ID)
	}
	if t, ok := c.raft.(interface{ Term() uint64 }); ok {
		s.Int(telemetry.ControllerTerm, int64(t.Term()))
	}
	sets := c.State().sets
	s.Int(telemetry.ControllerSets, int64(len(sets)))
	for name, n := range c.live.count() {
		if set := sets[name]; set != nil {
			s.Int(telemetry.ActiveBrokers, n, set.Cluster, name)
		}
	}
	f := &c.figures
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, n := range f.requests {
		s.Int(telemetry.RequestTotal, n, strings.ToLower(protocol.RequestName(k.code)), k.status)
	}
	for code, h := range f.latency {
		s.Histogram(telemetry.RequestLatency, h, strings.ToLower(protocol.RequestName(code)))
	}
	for k, n := range f.elections {
		s.Int(telemetry.ElectionTotal, n, k.cluster, k.set, k.result)
	}
}

// count returns how many brokers of each set are alive.
func (t *liveTable) count() map[string]int64 {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]int64{}
	for m, p := range t.pulses {
		if p.alive(now) {
			out[m.set]++
		}
	}
	return out
}
