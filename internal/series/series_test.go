package series_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is moved by the test.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// base is a boundary of blocks of all tiers.
var base = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func open(t *testing.T, path string, c *clock, limit int) *series.Store {
	t.Helper()
	return series.Open(series.Options{Path: path, Now: c.now, Limit: limit, NoSync: true, Log: slog.New(slog.DiscardHandler)})
}

func lag(topic string, v float64) series.Sample {
	return series.Sample{Name: "group.lag", Labels: []string{"c", "g", topic}, Value: v}
}

func ask(t *testing.T, s *series.Store, q series.Query) *series.Answer {
	t.Helper()
	a, err := s.Query(t.Context(), &q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func values(a *series.Answer, i int) []float64 {
	if len(a.Series) <= i {
		return nil
	}
	return a.Series[i].Values
}

func TestSamplesAreFoundBeforeAndAfterTheyAreWritten(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	path := filepath.Join(t.TempDir(), "series.db")
	s := open(t, path, c, 0)
	for i := range 12 {
		s.Record(base.Add(time.Duration(i)*series.Interval), []series.Sample{lag("a", float64(i)), lag("b", 100)})
	}
	q := series.Query{Name: "group.lag", Labels: map[string]string{"topic": "a"}, From: base.UnixMilli(), To: base.Add(2 * time.Minute).UnixMilli(), Step: 10_000}
	want := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there before anything was written")
	}
	c.t = base.Add(2 * time.Minute)
	for range 2 {
		a := ask(t, s, q)
		if diff := cmp.Diff(want, values(a, 0)); diff != "" || len(a.Series) != 1 {
			t.Fatalf("%d series; %s", len(a.Series), diff)
		}
		if a.T0 != base.UnixMilli() || a.Step != 10_000 || a.Unit != "" {
			t.Errorf("answer begins at %d, step %d", a.T0, a.Step)
		}
		if err := s.Flush(c.t); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, c, 0)
	defer s.Close()
	if diff := cmp.Diff(want, values(ask(t, s, q), 0)); diff != "" {
		t.Error("after reopening:", diff)
	}
	q.Step, q.Of = 60_000, series.OfMaximum
	if diff := cmp.Diff([]float64{5, 11}, values(ask(t, s, q), 0)); diff != "" {
		t.Error("maxima of minutes:", diff)
	}
	q.Labels, q.By = nil, []string{"group"}
	a := ask(t, s, q)
	if diff := cmp.Diff([]float64{105, 111}, values(a, 0)); diff != "" || a.Series[0].Labels["group"] != "g" || len(a.Series[0].Labels) != 1 {
		t.Error("added up:", diff, a.Series)
	}
}

// model is what a Store must answer, kept in a plain slice of samples.
type model struct {
	at []time.Time
	v  []float64
}

// points computes the answer. The coarser tiers average averages, so the test takes samples of full steps or compares extremes only.
func (m *model) points(of series.Of, t0, step int64, n int) []float64 {
	out := make([]float64, n)
	count := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	for i, at := range m.at {
		k := (at.UnixMilli() - t0) / step
		if at.UnixMilli() < t0 || k >= int64(n) {
			continue
		}
		v := m.v[i]
		switch old := out[k]; {
		case math.IsNaN(old) || of == series.OfLast:
			out[k] = v
		case of == series.OfMinimum:
			out[k] = min(old, v)
		case of == series.OfMaximum:
			out[k] = max(old, v)
		case of == series.OfAverage:
			out[k] = old + v
		}
		count[k]++
	}
	if of == series.OfAverage {
		for k := range out {
			out[k] /= count[k]
		}
	}
	return out
}

// TestStoreAnswersAsAPlainSlice samples, flushes, closes, kills and asks at random, within what all tiers still have.
func TestStoreAnswersAsAPlainSlice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		path := filepath.Join(dir, strconv.Itoa(runs)+".db")
		defer os.Remove(path)
		c := &clock{base}
		s := open(t, path, c, 0)
		defer func() { s.Close() }()
		topics := []string{"a", "b"}
		models := map[string]*model{"a": {}, "b": {}}
		value := rapid.OneOf(rapid.Float64Range(-1e9, 1e9), rapid.Just(0.0), rapid.Float64Range(0, 10), rapid.SampledFrom([]float64{1e300, -1e-300, 7}))
		rt.Repeat(map[string]func(*rapid.T){
			"sample": func(rt *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(rt, "ticks") {
					for _, topic := range topics {
						if !rapid.Bool().Draw(rt, "there") {
							continue
						}
						v := value.Draw(rt, "v")
						s.Record(c.t, []series.Sample{lag(topic, v)})
						models[topic].at, models[topic].v = append(models[topic].at, c.t), append(models[topic].v, v)
					}
					c.t = c.t.Add(series.Interval)
					if c.t.Unix()%60 == 0 { // as the collector does
						if err := s.Flush(c.t); err != nil {
							rt.Fatal(err)
						}
					}
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = open(t, path, c, 0)
			},
			"pause": func(rt *rapid.T) {
				c.t = c.t.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "steps")) * series.Interval)
				if err := s.Flush(c.t); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				step := rapid.SampledFrom([]int64{10_000, 20_000, 30_000, 60_000, 180_000}).Draw(rt, "step")
				of := rapid.SampledFrom([]series.Of{series.OfMinimum, series.OfMaximum, series.OfLast, series.OfAverage}).Draw(rt, "of")
				if of == series.OfAverage && (step > 60_000 || step == 60_000 && c.t.Unix()%60 != 0) {
					of = series.OfMaximum // averages of averages, and of a minute of which a part was written already
				}
				if c.t.Sub(base) > 5*time.Hour {
					rt.Skip("the finest tier has begun to forget")
				}
				for _, topic := range topics {
					q := &series.Query{Name: "group.lag", Labels: map[string]string{"topic": topic}, From: base.UnixMilli(), To: c.t.UnixMilli() + 1, Step: step, Of: of}
					a, err := s.Query(context.Background(), q)
					if err != nil {
						rt.Fatal(err)
					}
					n := int((q.To - q.From + a.Step - 1) / a.Step)
					want := models[topic].points(of, a.T0, a.Step, n)
					if len(models[topic].at) == 0 {
						if len(a.Series) != 0 {
							rt.Fatalf("series of nothing")
						}
						continue
					}
					near := cmp.Comparer(func(x, y float64) bool {
						return x == y || (math.IsNaN(x) && math.IsNaN(y)) || math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1)
					})
					if diff := cmp.Diff(want, []float64(a.Series[0].Values), near); diff != "" {
						rt.Fatalf("%s, step %d, of %d: %s", topic, a.Step, of, diff)
					}
				}
			},
		})
	})
}

func TestOldSamplesAreThinnedOutAndForgotten(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	s := open(t, filepath.Join(t.TempDir(), "series.db"), c, 0)
	defer s.Close()
	hours := func(n int) {
		for range n * 60 { // one sample a minute keeps the test quick
			s.Record(c.t, []series.Sample{lag("a", float64(c.t.Unix()-base.Unix()))})
			c.t = c.t.Add(time.Minute)
			if err := s.Flush(c.t); err != nil {
				t.Fatal(err)
			}
		}
	}
	hours(9)
	at := func(from, to time.Duration, step int64) *series.Answer {
		return ask(t, s, series.Query{Name: "group.lag", From: base.Add(from).UnixMilli(), To: base.Add(to).UnixMilli(), Step: step, Of: series.OfMaximum})
	}
	if a := at(0, time.Hour, 10_000); a.Step != 60_000 || len(a.Series) != 1 || a.Series[0].Values[1] != 60 {
		t.Errorf("fine steps of nine hours ago: %+v", a)
	}
	if a := at(8*time.Hour, 9*time.Hour, 10_000); a.Step != 10_000 || len(a.Series) != 1 || a.Series[0].Values[6] != 8*3600+60 {
		t.Errorf("fine steps of the last hour: step %d", a.Step)
	}
	c.t = base.Add(4 * 24 * time.Hour)
	hours(1)
	if a := at(0, time.Hour, 10_000); a.Step != 600_000 || len(a.Series) != 1 || a.Series[0].Values[0] != 540 || a.Series[0].Values[5] != 3540 {
		t.Errorf("four days later: %+v", a)
	}
	c.t = base.Add(40 * 24 * time.Hour)
	hours(1)
	if a := at(0, time.Hour, 0); len(a.Series) != 0 {
		t.Errorf("forty days later: %+v", a)
	}
}

func TestRatesAreAddedUp(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	s := open(t, filepath.Join(t.TempDir(), "series.db"), c, 0)
	defer s.Close()
	rate := func(at time.Duration, topic string, v float64) {
		c.t = base.Add(at)
		s.Record(c.t, []series.Sample{{Name: "topic.in.tps", Labels: []string{"c", topic}, Value: v}, {Name: "topic.in.tps", Labels: []string{"d", topic}, Value: 1e6}})
	}
	rate(0, "a", 100)       // before what is asked for
	rate(time.Hour, "a", 1) // so old that it counts for its minute
	if err := s.Flush(c.t.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	rate(8*time.Hour, "a", 2)                    // for ten seconds
	rate(8*time.Hour+10*time.Second, "a", 3)     // and another ten
	rate(8*time.Hour+20*time.Second, "b", 0.5)   // another topic
	c.t = base.Add(8*time.Hour + 30*time.Second) // and now
	got, err := s.Grown("topic.in.tps", map[string]string{"cluster": "c"}, "topic", base.Add(time.Minute).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{"a": 60 + 20 + 30, "b": 5}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Grown("topic.in.tps", nil, "group", 0); err == nil {
		t.Error("a label that it does not have")
	}
}

func TestTheLeastRecentlyWrittenSeriesGoFirst(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	path := filepath.Join(t.TempDir(), "series.db")
	s := open(t, path, c, 10)
	topic := func(i int) string { return "t" + strconv.Itoa(i) }
	for i := range 12 { // the last two find no place: all others were written this minute
		s.Record(c.t, []series.Sample{lag(topic(i), 1)})
	}
	if st := s.Stats(); st.Series != 10 || st.Refused != 2 || st.Evicted != 0 {
		t.Fatalf("%+v", st)
	}
	c.t = c.t.Add(2 * time.Minute)
	for i := 1; i < 10; i++ {
		s.Record(c.t, []series.Sample{lag(topic(i), 1)})
	}
	s.Record(c.t, []series.Sample{lag(topic(11), 1)})
	if st := s.Stats(); st.Series != 10 || st.Evicted != 1 {
		t.Fatalf("%+v", st)
	}
	a := ask(t, s, series.Query{Name: "group.lag", From: base.UnixMilli(), To: c.t.UnixMilli() + 1, Step: 10_000})
	var names []string
	for _, l := range a.Series {
		names = append(names, l.Labels["topic"])
	}
	if slices.Contains(names, "t0") || !slices.Contains(names, "t11") {
		t.Errorf("there are %v", names)
	}
	s.Record(c.t, []series.Sample{
		{Name: "no.such", Labels: []string{"c"}, Value: 1},
		{Name: "group.lag", Labels: []string{"c"}, Value: 1},
		lag(strings.Repeat("x", 5000), 1), lag(topic(1), math.NaN()), lag(topic(1), math.Inf(1)),
	})
	if st := s.Stats(); st.Refused != 5 || st.Series != 10 {
		t.Errorf("nonsense: %+v", st)
	}
	s.Close()
}

// TestAKilledProcessLosesAMinute leaves the store without closing it, as a kill does: bbolt's file is that of the last transaction.
func TestAKilledProcessLosesAMinute(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	dir := t.TempDir()
	path := filepath.Join(dir, "series.db")
	s := open(t, path, c, 0)
	for range 6 * 21 {
		s.Record(c.t, []series.Sample{lag("a", 7)})
		c.t = c.t.Add(series.Interval)
		if c.t.Unix()%60 == 10 {
			if err := s.Flush(c.t); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := os.ReadFile(path) // what a killed process leaves
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	path = filepath.Join(dir, "killed.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, c, 0)
	defer s.Close()
	a := ask(t, s, series.Query{Name: "group.lag", From: base.UnixMilli(), To: c.t.UnixMilli(), Step: 10_000})
	got := 0
	for _, v := range values(a, 0) {
		if v == 7 {
			got++
		}
	}
	if got < 6*20 {
		t.Errorf("%d samples of 126 are there, want all but those of the last minute", got)
	}
}

func TestDamagedFileCostsThePastOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "series.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &clock{base}
	s := open(t, path, c, 0)
	defer s.Close()
	s.Record(c.t, []series.Sample{lag("a", 7)})
	c.t = c.t.Add(time.Minute)
	if err := s.Flush(c.t); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, s, series.Query{Name: "group.lag", From: base.UnixMilli(), To: c.t.UnixMilli()}); len(a.Series) != 1 {
		t.Errorf("%+v", a)
	}
	if moved, _ := filepath.Glob(path + ".damaged-*"); len(moved) != 1 {
		t.Errorf("moved aside: %v", moved)
	}
}

func TestQueriesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "series.db"), &clock{base}, 0)
	defer s.Close()
	for field, q := range map[string]series.Query{
		"name":   {Name: "topic.in", To: 1},
		"to":     {Name: "topic.in.tps", From: 5, To: 5},
		"step":   {Name: "topic.in.tps", To: 5, Step: -1},
		"labels": {Name: "topic.in.tps", To: 5, Labels: map[string]string{"group": "g"}},
		"by":     {Name: "topic.in.tps", To: 5, By: []string{"group"}},
		"top":    {Name: "topic.in.tps", To: 5, Top: -1},
	} {
		_, err := s.Query(t.Context(), &q)
		var bad *series.QueryError
		if e, ok := err.(*series.QueryError); !ok || e.Field != field { //nolint:errorlint // it is returned as it is
			t.Errorf("%s: %v %v", field, err, bad)
		}
	}
	if a := ask(t, s, series.Query{Name: "topic.in.tps", To: base.UnixMilli(), Step: 1}); len(a.Series) != 0 || a.Step < 1000*60*60 {
		t.Errorf("fifty years in seconds: step %d", a.Step)
	}
}

func TestTopKeepsTheLargest(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	s := open(t, filepath.Join(t.TempDir(), "series.db"), c, 0)
	defer s.Close()
	for i := range 50 {
		s.Record(c.t, []series.Sample{lag("t"+strconv.Itoa(i), float64(i))})
	}
	a := ask(t, s, series.Query{Name: "group.lag", From: base.UnixMilli(), To: base.UnixMilli() + 10_000, Step: 10_000, Top: 3})
	if len(a.Series) != 3 || a.Total != 50 || a.Series[0].Values[0] != 49 || a.Series[2].Values[0] != 47 {
		t.Errorf("%d of %d: %+v", len(a.Series), a.Total, a.Series)
	}
	p := s.Latest("group.lag", base.UnixMilli())
	if len(p) != 50 || p[0].At != base.UnixMilli() || p[0].Labels["cluster"] != "c" {
		t.Errorf("latest: %d", len(p))
	}
}

func TestNoSeriesIsAnEmptyList(t *testing.T) {
	t.Parallel()
	c := &clock{base}
	s := open(t, filepath.Join(t.TempDir(), "series.db"), c, 0)
	defer s.Close()
	s.Record(c.t, []series.Sample{lag("t", 1)}) // after what is asked for
	for _, by := range [][]string{nil, {"topic"}} {
		a := ask(t, s, series.Query{Name: "group.lag", From: base.UnixMilli() - 60_000, To: base.UnixMilli() - 30_000, Step: 10_000, By: by})
		if a.Series == nil || len(a.Series) != 0 {
			t.Errorf("by %v: %v", by, a.Series)
		}
	}
}

func TestAnswersAreJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(&series.Answer{Name: "x", Series: []series.Line{{
		Labels: map[string]string{"topic": "t"}, Values: series.Values{1, math.NaN(), 1.5, math.Inf(1), 1e18, 0.1234567},
	}}})
	if err != nil || !json.Valid(b) || !strings.Contains(string(b), `[1,null,1.5,null,1e+18,0.123457]`) {
		t.Errorf("%s, %v", b, err)
	}
}
