package alerts_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cometmq/cometmq/internal/alerts"
	"github.com/cometmq/cometmq/internal/series"
)

func TestFiguresComeFromTheSeries(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	s := series.Open(series.Options{Path: filepath.Join(t.TempDir(), "s.db"), Now: clock, NoSync: true})
	defer s.Close()
	f := &alerts.Figures{
		Store: s, Now: clock, Inside: func(c string) bool { return c == "in" },
		Certificates: func() []alerts.Validity { return []alerts.Validity{{"in", "server", now.Add(36 * time.Hour)}} },
	}
	read := func(k alerts.Kind) []alerts.Reading {
		t.Helper()
		r, err := f.Readings(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	expect := func(k alerts.Kind, want ...alerts.Reading) {
		t.Helper()
		less := cmpopts.SortSlices(func(a, b alerts.Reading) bool { return a.Cluster+a.Target < b.Cluster+b.Target })
		if diff := cmp.Diff(want, read(k), less); diff != "" {
			t.Errorf("%s: %s", k, diff)
		}
	}
	sample := func(name string, v float64, labels ...string) series.Sample {
		return series.Sample{Name: name, Value: v, Labels: labels}
	}
	for i := range 60 {
		list := []series.Sample{sample("broker.master", 1, "in", "b"), sample("group.dlq", 7, "in", "old"), sample("group.dlq", 100+float64(i), "in", "grows")}
		if i > 30 {
			list = append(list, sample("group.dlq", 2, "in", "new"))
		}
		if i > 50 {
			list[2].Value = 3 // the broker was started again
		}
		s.Record(now, list)
		now = now.Add(series.Interval)
		if now.Unix()%60 == 0 {
			if err := s.Flush(now); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Record(now, []series.Sample{
		sample("group.lag", 5, "in", "g", "a"), sample("group.lag", 6, "in", "g", "b"), sample("group.lag", 1, "out", "g", "a"), sample("group.lag", 1, "in", "alone", "a"),
		sample("group.lag.time", 70, "in", "g", "a"), sample("group.lag.time", 60, "in", "g", "b"), sample("broker.ha.lag", 9, "in", "b", "s"),
		sample("broker.disk.ratio", 0.5, "in", "b"), sample("group.clients", 2, "in", "g"), sample("broker.master", 0, "in", "b"),
	})
	expect(alerts.DeadLetters, alerts.Reading{Cluster: "in", Name: "old", Target: "old"}, alerts.Reading{Cluster: "in", Name: "grows", Target: "grows", Value: 3},
		alerts.Reading{Cluster: "in", Name: "new", Target: "new", Value: 2})
	expect(alerts.Lag, alerts.Reading{Cluster: "in", Name: "g", Target: "g", Value: 11}, alerts.Reading{Cluster: "out", Name: "g", Target: "g", Value: 1},
		alerts.Reading{Cluster: "in", Name: "alone", Target: "alone", Value: 1})
	expect(alerts.LagTime, alerts.Reading{Cluster: "in", Name: "g", Target: "g", Value: 70})
	expect(alerts.ReplicaBehind, alerts.Reading{Cluster: "in", Name: "b", Target: "b → s", Value: 9})
	expect(alerts.Disk, alerts.Reading{Cluster: "in", Name: "b", Target: "b", Value: 0.5})
	expect(alerts.NoMaster, alerts.Reading{Cluster: "in", Name: "b", Target: "b"})
	expect(alerts.Clients, alerts.Reading{Cluster: "in", Name: "g", Target: "g", Value: 2}, alerts.Reading{Cluster: "in", Name: "alone", Target: "alone"})
	expect(alerts.Certificate, alerts.Reading{Cluster: "in", Name: "server", Target: "server", Value: 1.5})
	if diff := cmp.Diff([]string{"alone", "g"}, f.Groups("in")); diff != "" {
		t.Error(diff)
	}
	now = now.Add(2 * time.Minute)
	if r := read(alerts.Lag); len(r) != 0 {
		t.Errorf("old figures: %v", r)
	}
}
