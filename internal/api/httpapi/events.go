package httpapi

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/alerts"
	"github.com/cometmq/cometmq/internal/jobs"
)

const (
	overviewEvery = 2 * time.Second
	clientsEvery  = 10 * time.Second
)

// overview is how a cluster is at a moment.
type overview struct {
	Time    int64          `json:"time"`
	InTPS   float64        `json:"inTps"`
	OutTPS  float64        `json:"outTps"`
	Brokers []brokerMoment `json:"brokers"`
	Firing  int            `json:"alertsFiring"`
	partial
}

type brokerMoment struct {
	Name   string  `json:"name"`
	ID     int64   `json:"id"`
	InTPS  float64 `json:"inTps"`
	OutTPS float64 `json:"outTps"`
	Disk   float64 `json:"diskRatio"`
}

// streamEvents multiplexes what a page wants to know at once.
func streamEvents(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	topics := names(c.query("topics"))
	if len(topics) == 0 {
		topics = []string{"overview", "alerts", "jobs"}
	}
	for _, t := range topics {
		if !slices.Contains([]string{"overview", "alerts", "jobs", "clients"}, t) {
			return nil, badField("topics", "unknownTopic", "%q: want overview, alerts, jobs or clients", t)
		}
	}
	return c.stream(func(ctx context.Context, s *stream) {
		e := &events{c: c, s: s, k: k, jobs: map[string]jobs.Job{}}
		e.run(ctx, func(t string) bool { return slices.Contains(topics, t) })
	})
}

// events is one multiplexed stream.
type events struct {
	c       *call
	s       *stream
	k       *cluster
	jobs    map[string]jobs.Job // as they were told
	clients int64
}

// run tells what changes until ctx ends.
func (e *events) run(ctx context.Context, wants func(topic string) bool) {
	every := func(topic string, d time.Duration) (<-chan time.Time, func()) {
		if !wants(topic) {
			return nil, func() {}
		}
		t := time.NewTicker(d)
		return t.C, t.Stop
	}
	tick, stop := every("overview", overviewEvery)
	defer stop()
	clients, stop2 := every("clients", clientsEvery)
	defer stop2()
	e.clients = -1
	if wants("overview") {
		e.overview(ctx)
	}
	if wants("clients") {
		e.countClients(ctx)
	}
	for {
		var changed, worked <-chan struct{} // asked for before looking, so that nothing is missed in between
		if w := e.c.a.o.Alerts; w != nil && wants("alerts") {
			changed = w.Changed()
		}
		if wants("jobs") {
			worked = e.c.a.jobs.Changed()
			e.changedJobs()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
			e.overview(ctx)
		case <-clients:
			e.countClients(ctx)
		case <-changed:
			e.alerts()
		case <-worked:
			if !pause(ctx, jobPause) {
				return
			}
		}
	}
}

func (e *events) overview(ctx context.Context) {
	out := overview{Time: e.c.a.now().UnixMilli(), Brokers: []brokerMoment{}}
	answers, errs := ask(ctx, e.k.readers(), func(ctx context.Context, n *node) (map[string]string, error) { return n.RuntimeInfo(ctx) })
	for _, a := range answers {
		b := brokerMoment{Name: a.node.set.Name, ID: a.node.id, InTPS: firstOf(a.v["putTps"]), OutTPS: firstOf(a.v["getTransferredTps"]), Disk: firstOf(a.v["commitLogDiskRatio"])}
		out.InTPS, out.OutTPS = out.InTPS+b.InTPS, out.OutTPS+b.OutTPS
		out.Brokers = append(out.Brokers, b)
	}
	out.partial = partialOf(errs)
	if w := e.c.a.o.Alerts; w != nil {
		for _, a := range e.c.visibleAlerts(w) {
			if a.State == alerts.Firing && a.Cluster == e.k.name {
				out.Firing++
			}
		}
	}
	e.s.offer("overview", "", &out)
}

// firstOf is the first of numbers with spaces, as Java writes rates of ten seconds, a minute and ten.
func firstOf(s string) float64 {
	first, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return v
}

// alerts tells all that fire: a page that has missed one event has all again with the next.
func (e *events) alerts() {
	list := []alertAnswer{}
	for _, a := range e.c.visibleAlerts(e.c.a.o.Alerts) {
		if a.State == alerts.Firing && (a.Cluster == "" || a.Cluster == e.k.name) {
			list = append(list, alertOf(&a))
		}
	}
	e.s.offer("alert", "", map[string]any{"firing": list})
}

// changedJobs tells those that are not as they were.
func (e *events) changedJobs() {
	seen := map[string]bool{}
	for _, j := range e.c.a.jobs.List() {
		if !e.c.mayJob(&j) {
			continue
		}
		seen[j.ID] = true
		j.Failures = nil
		if old, ok := e.jobs[j.ID]; ok && old.State == j.State && old.Done == j.Done && old.Total == j.Total && old.Detail == j.Detail {
			continue
		}
		e.jobs[j.ID] = j
		e.s.offer("job", "", jobOf(&j, false))
	}
	for id := range e.jobs {
		if !seen[id] {
			delete(e.jobs, id)
		}
	}
}

// countClients tells how many there are when that has changed.
func (e *events) countClients(ctx context.Context) {
	answers, _ := ask(ctx, e.k.readers(), func(ctx context.Context, n *node) (map[string]string, error) { return n.RuntimeInfo(ctx) })
	n := int64(0)
	for _, a := range answers {
		n += int64(firstOf(a.v["clientConnections"]))
	}
	if n != e.clients {
		e.clients = n
		e.s.offer("clientChange", "", map[string]int64{"connections": n})
	}
}
