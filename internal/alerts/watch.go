package alerts

import (
	"context"
	"time"
)

// Reading is a figure at a moment.
type Reading struct {
	Cluster string
	Target  string // group, broker, broker and slave, certificate
	Name    string // what Rule.Target is compared with: the group or broker
	Value   float64
}

// Source tells figures.
type Source interface {
	// Readings returns the figures of a kind. An error means that nothing is known of any of them.
	Readings(ctx context.Context, k Kind) ([]Reading, error)
}

// State of an alert.
type State string

// States.
const (
	Pending  State = "pending"
	Firing   State = "firing"
	Resolved State = "resolved"
)

// Alert is one thing for which a rule holds. Times are ms.
type Alert struct {
	ID        string   `json:"id"`
	Rule      string   `json:"rule"`
	RuleName  string   `json:"ruleName"`
	Kind      Kind     `json:"kind"`
	Severity  Severity `json:"severity"`
	State     State    `json:"state"`
	Cluster   string   `json:"cluster"`
	Target    string   `json:"target"`
	Value     float64  `json:"value"`
	Threshold float64  `json:"threshold"`
	Since     int64    `json:"since"`              // when it began to hold
	Fired     int64    `json:"fired,omitempty"`    // when it began to fire
	Ended     int64    `json:"resolved,omitempty"` // when it was resolved
	Seen      int64    `json:"seen"`               // when its figure was read last
	By        string   `json:"acknowledgedBy,omitempty"`
	NoData    bool     `json:"noData,omitempty"` // it was resolved because its figure has gone
}

// Spans of time.
const (
	// Every is how often rules are evaluated.
	Every = 10 * time.Second
	// Missing is for how long the figure of an alert that fires may be missing before it counts as gone.
	Missing = 10 * time.Minute
	// keepResolved is how long an alert is shown after it was resolved.
	keepResolved = 24 * time.Hour
	// maxAlerts bounds the alerts that are kept: a rule that holds for each of 5,000 groups says nothing by the 5,000th.
	maxAlerts = 2_000
)

// change is what an evaluation does to the alert of a rule and target.
type change struct {
	alert *Alert // as it is now; nil: forgotten
	id    string
	tell  bool // the webhook is to be told
}

// evaluate decides what becomes of the alerts of a rule. It changes nothing. known says whether readings could be had.
func evaluate(r *Rule, old map[string]*Alert, readings []Reading, known bool, now time.Time) []change {
	var out []change
	held := map[string]bool{}
	if known && r.Enabled {
		match, err := r.match()
		if err != nil {
			return nil // it was checked when it was stored
		}
		for i := range readings {
			p := &readings[i]
			if r.Cluster != "" && r.Cluster != p.Cluster || !match.MatchString(p.Name) {
				continue
			}
			id := r.ID + "|" + p.Cluster + "|" + p.Target
			held[id] = true
			if c, ok := step(r, id, old[id], p, now); ok {
				out = append(out, c)
			}
		}
	}
	for id, a := range old {
		if held[id] || a.Rule != r.ID {
			continue
		}
		if c, ok := unseen(r, a, now); ok {
			c.id = id
			out = append(out, c)
		}
	}
	return out
}

// holds reports whether a value is what the rule warns of.
func (r *Rule) holds(v float64) bool {
	switch {
	case r.Kind == NoMaster:
		return v < 1
	case r.Kind.below():
		return v < r.Threshold
	}
	return v > r.Threshold
}

// step is one reading.
func step(r *Rule, id string, old *Alert, p *Reading, now time.Time) (change, bool) {
	ms := now.UnixMilli()
	if !r.holds(p.Value) {
		switch {
		case old == nil:
			return change{}, false
		case old.State == Pending:
			return change{id: id}, true
		case old.State == Firing:
			return resolve(old, now, p.Value, false), true
		}
		return aged(old, now)
	}
	next := Alert{
		ID: id, Rule: r.ID, RuleName: r.Name, Kind: r.Kind, Severity: r.Severity, State: Pending, Cluster: p.Cluster, Target: p.Target, Value: p.Value,
		Threshold: r.Threshold, Since: ms, Seen: ms,
	}
	if old != nil && old.State != Resolved {
		next.State, next.Since, next.Fired, next.By = old.State, old.Since, old.Fired, old.By
	}
	c := change{id: id, alert: &next}
	if next.State == Pending && ms-next.Since >= r.For.Milliseconds() {
		next.State, next.Fired = Firing, ms
		c.tell = true
	}
	return c, true
}

// unseen is an alert without a reading.
func unseen(r *Rule, a *Alert, now time.Time) (change, bool) {
	gap := now.UnixMilli() - a.Seen
	switch {
	case a.State == Resolved:
		return aged(a, now)
	case a.State == Pending && (!r.Enabled || gap > 2*Every.Milliseconds()):
		return change{}, true
	case a.State == Firing && (!r.Enabled || gap > Missing.Milliseconds()):
		return resolve(a, now, a.Value, true), true
	}
	return change{}, false
}

func resolve(a *Alert, now time.Time, v float64, noData bool) change {
	next := *a
	next.State, next.Ended, next.Value, next.NoData = Resolved, now.UnixMilli(), v, noData
	if !noData {
		next.Seen = next.Ended
	}
	return change{id: a.ID, alert: &next, tell: true}
}

func aged(a *Alert, now time.Time) (change, bool) {
	return change{id: a.ID}, now.UnixMilli()-a.Ended > keepResolved.Milliseconds()
}
