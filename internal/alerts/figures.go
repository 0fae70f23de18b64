package alerts

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/series"
)

// Figures reads what the dashboard's collector samples anyway.
type Figures struct {
	Store *series.Store
	// Inside tells whether a cluster's figures come from the broker in this process, which sees all consumers. Of others only groups that
	// are watched (series.Remote.Watch) have a number of consumers. nil: none is.
	Inside func(cluster string) bool
	// Certificates returns those that are in use beside the ones of the broker's roles. nil: there are none.
	Certificates func() []Validity
	Now          func() time.Time // time.Now
}

// Validity is until when a certificate is good.
type Validity struct {
	Cluster, Name string
	Until         time.Time
}

const (
	// fresh is how old a figure may be.
	fresh = time.Minute
	// DeadSpan is the time in which dead letters are counted.
	DeadSpan = 10 * time.Minute
)

func (f *Figures) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

// Readings implements Source.
func (f *Figures) Readings(ctx context.Context, k Kind) ([]Reading, error) {
	add := func(a, b float64) float64 { return a + b }
	switch k {
	case Lag:
		return f.latest("group.lag", "group", "", add), nil
	case LagTime:
		return f.latest("group.lag.time", "group", "", math.Max), nil
	case Disk:
		return f.latest("broker.disk.ratio", "broker", "", math.Max), nil
	case ReplicaBehind:
		return f.latest("broker.ha.lag", "broker", "slave", math.Max), nil
	case NoMaster:
		return f.latest("broker.master", "broker", "", math.Max), nil
	case Clients:
		return f.clients(), nil
	case DeadLetters:
		return f.dead(ctx)
	case Certificate:
		return f.certificates(), nil
	}
	return nil, nil
}

// latest returns the last values of a series by cluster and label, merged over its other labels.
func (f *Figures) latest(name, label, second string, merge func(a, b float64) float64) []Reading {
	type key struct{ cluster, target string }
	at := map[key]int{}
	var out []Reading
	for _, p := range f.Store.Latest(name, f.now().Add(-fresh).UnixMilli()) {
		r := Reading{Cluster: p.Labels["cluster"], Name: p.Labels[label], Target: p.Labels[label], Value: p.Value}
		if second != "" {
			r.Target += " → " + p.Labels[second]
		}
		k := key{r.Cluster, r.Target}
		if i, ok := at[k]; ok {
			out[i].Value = merge(out[i].Value, r.Value)
			continue
		}
		at[k] = len(out)
		out = append(out, r)
	}
	return out
}

// clients counts consumers. A group that nobody consumes for has no such figure in this process, but it has a lag.
func (f *Figures) clients() []Reading {
	out := f.latest("group.clients", "group", "", math.Max)
	if f.Inside == nil {
		return out
	}
	seen := map[[2]string]bool{}
	for _, r := range out {
		seen[[2]string{r.Cluster, r.Name}] = true
	}
	for _, r := range f.latest("group.lag", "group", "", math.Max) {
		if f.Inside(r.Cluster) && !seen[[2]string{r.Cluster, r.Name}] {
			out = append(out, Reading{Cluster: r.Cluster, Name: r.Name, Target: r.Target})
		}
	}
	return out
}

// Groups returns the groups of a cluster whose lag is known: those that Watcher.Watched chooses from.
func (f *Figures) Groups(cluster string) []string {
	var out []string
	for _, r := range f.latest("group.lag", "group", "", math.Max) {
		if r.Cluster == cluster {
			out = append(out, r.Name)
		}
	}
	slices.Sort(out)
	return out
}

// dead counts the dead letters of the last DeadSpan. A group whose first dead letter came in it had none before, if the collector ran then.
func (f *Figures) dead(ctx context.Context) ([]Reading, error) {
	now := f.now()
	ask := func(name string) (*series.Answer, error) {
		return f.Store.Query(ctx, &series.Query{
			Name: name, From: now.Add(-DeadSpan).UnixMilli(), To: now.UnixMilli() + 1, Step: series.Interval.Milliseconds(), Of: series.OfLast,
		})
	}
	all, err := ask("group.dlq")
	if err != nil || len(all.Series) == 0 {
		return nil, err
	}
	masters, err := ask("broker.master")
	if err != nil {
		return nil, err
	}
	began := map[string]int{} // when the collector was running, by cluster
	for _, l := range masters.Series {
		first, _ := ends(l.Values)
		if at, ok := began[l.Labels["cluster"]]; first >= 0 && (!ok || first < at) {
			began[l.Labels["cluster"]] = first
		}
	}
	out := make([]Reading, 0, len(all.Series))
	for _, l := range all.Series {
		first, last := ends(l.Values)
		if first < 0 {
			continue
		}
		grown := l.Values[last] - l.Values[first]
		if at, ok := began[l.Labels["cluster"]]; ok && first > at+int(fresh/series.Interval) || grown < 0 { // < 0: the broker was started again
			grown = l.Values[last]
		}
		group := l.Labels["group"]
		out = append(out, Reading{Cluster: l.Labels["cluster"], Name: group, Target: group, Value: grown})
	}
	return out, nil
}

// ends returns the first and the last index of a value, -1 when there is none.
func ends(v series.Values) (first, last int) {
	first, last = -1, -1
	for i, x := range v {
		if !math.IsNaN(x) {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	return first, last
}

func (f *Figures) certificates() []Reading {
	out := f.latest("certificate.days", "role", "side", math.Min)
	if f.Certificates == nil {
		return out
	}
	for _, c := range f.Certificates() {
		out = append(out, Reading{Cluster: c.Cluster, Name: c.Name, Target: c.Name, Value: c.Until.Sub(f.now()).Hours() / 24})
	}
	return out
}
