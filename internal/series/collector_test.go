package series_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/series"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// sourceFunc is a Source.
type sourceFunc func(ctx context.Context, b *series.Batch) error

func (f sourceFunc) Sample(ctx context.Context, b *series.Batch) error { return f(ctx, b) }

func TestCollectorSamplesOnTheGridAndWritesEachMinute(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "series.db")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3*time.Second + 700*time.Millisecond) // not on the grid
		s := series.Open(series.Options{Path: path})
		ctx, cancel := context.WithCancel(t.Context())
		calls := atomic.Int64{}
		quick := sourceFunc(func(_ context.Context, b *series.Batch) error {
			n := float64(calls.Add(1))
			b.Gauge("group.clients", n, "g")
			b.Total("topic.in.tps", "one", 100*n, "t")
			b.Total("topic.in.tps", "two", 50*n, "t")
			return nil
		})
		slow := sourceFunc(func(ctx context.Context, b *series.Batch) error { // answers late, or not at all
			b.Gauge("group.clients", 5, "slow")
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour):
				return nil
			}
		})
		done := make(chan error)
		c := series.Collector{Store: s, Targets: []series.Target{{Cluster: "quick", Source: quick}, {Cluster: "slow", Source: slow}}}
		go func() { done <- c.Run(ctx) }()
		from := time.Now().Truncate(10 * time.Second).Add(10 * time.Second)
		time.Sleep(3 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		to := from.Add(3 * time.Minute)
		a := ask(t, s, series.Query{Name: "group.clients", From: from.UnixMilli(), To: to.UnixMilli(), Step: 10_000})
		if len(a.Series) != 2 || a.Series[0].Labels["cluster"] != "quick" {
			t.Fatalf("%+v", a)
		}
		for i, v := range a.Series[0].Values {
			if v != float64(i+1) {
				t.Errorf("sample %d is %v", i, v)
			}
		}
		if v := a.Series[1].Values[2]; v != 5 {
			t.Errorf("of a source that is too slow counts what it told: %v", v)
		}
		a = ask(t, s, series.Query{Name: "topic.in.tps", From: from.UnixMilli(), To: to.UnixMilli(), Step: 10_000})
		if v := a.Series[0].Values; !math.IsNaN(v[0]) || v[1] != 15 || v[17] != 15 {
			t.Errorf("rates: %v", v)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRatesOfPartsAreAddedUp(t *testing.T) {
	t.Parallel()
	b := series.NewBatch("c")
	tick := func(n int, totals map[string]float64) map[string]float64 {
		b.Begin(base.Add(time.Duration(n) * series.Interval))
		for part, v := range totals {
			b.Total("topic.in.tps", part, v, "t")
		}
		out := map[string]float64{}
		for _, s := range b.End() {
			out[s.Name] = s.Value
		}
		return out
	}
	for i, step := range []struct {
		totals map[string]float64
		want   map[string]float64
	}{
		{map[string]float64{"a": 1000, "b": 10}, map[string]float64{}},
		{map[string]float64{"a": 1100, "b": 20}, map[string]float64{"topic.in.tps": 11}},
		{map[string]float64{"b": 30}, map[string]float64{"topic.in.tps": 1}},             // a did not answer
		{map[string]float64{"a": 1300, "b": 40}, map[string]float64{"topic.in.tps": 11}}, // 200 in 20 s
		{map[string]float64{"a": 5, "b": 50}, map[string]float64{"topic.in.tps": 1}},     // a was started again
		{map[string]float64{"a": 15, "b": 50}, map[string]float64{"topic.in.tps": 1}},
	} {
		if diff := cmp.Diff(step.want, tick(i, step.totals)); diff != "" {
			t.Errorf("tick %d: %s", i, diff)
		}
	}
}

func TestProcessReadsWhatIsCountedAnyway(t *testing.T) {
	t.Parallel()
	in, calls := int64(100), telemetry.RPCLatency.New()
	p := &series.Process{Broker: "b", Resident: func() (int64, bool) { return 7, true }, Sources: func() []telemetry.Source {
		return []telemetry.Source{{Collect: func(s *telemetry.Sink) {
			s.Int(telemetry.MessagesIn, in, "t", "normal", "false")
			s.Int(telemetry.MessagesIn, 10*in, "SYS", "normal", "true")
			s.Int(telemetry.MessagesOut, in, "t", "g", "false", "false")
			s.Int(telemetry.Lag, 3, "g", "t", "false", "false")
			s.Int(telemetry.Lag, 4, "g", "%RETRY%g", "true", "false")
			s.Value(telemetry.DiskUsed, 0.25)
			s.Int(telemetry.Consumers, 2, "g", "java", "v", "remoting", "push", "false")
			s.Int(telemetry.Consumers, 1, "g", "go", "v", "remoting", "push", "false")
			s.Int(telemetry.SlaveLag, 99, "s1")
			s.Histogram(telemetry.RPCLatency, calls, "remoting", "send_message_v2", "success", "false", "success")
		}}}
	}}
	b := series.NewBatch("c")
	sample := func(n int) map[string]float64 {
		b.Begin(base.Add(time.Duration(n) * series.Interval))
		if err := p.Sample(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, s := range b.End() {
			out[s.Name+"|"+strings.Join(s.Labels, "|")] = s.Value
		}
		return out
	}
	first := sample(0)
	if _, ok := first["broker.in.tps|c|b"]; ok {
		t.Error("a rate of one sample")
	}
	in += 50
	for range 99 {
		calls.Observe(int64(2 * time.Millisecond))
	}
	calls.Observe(int64(50 * time.Millisecond))
	want := map[string]float64{
		"broker.in.tps|c|b": 5, "topic.in.tps|c|t": 5, "broker.out.tps|c|b": 5, "topic.out.tps|c|t": 5, "group.consume.tps|c|g|t": 5,
		"group.lag|c|g|t": 3, "group.retry|c|g": 4, "broker.disk.ratio|c|b": 0.25, "group.clients|c|g": 3, "broker.ha.lag|c|b|s1": 99,
		"process.rss|c|b": 7, "broker.master|c|b": 1, "broker.rpc.tps|c|b|send_message_v2": 10,
		"broker.put.avg|c|b": 2.48, "broker.rpc.avg|c|b|send_message_v2": 2.48, "broker.put.p50|c|b": 1 + 2*50.0/99,
		"broker.put.p99|c|b": 3, "broker.rpc.p99|c|b|send_message_v2": 3, "broker.put.p999|c|b": 91,
	}
	near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-9 })
	if diff := cmp.Diff(want, sample(1), near); diff != "" {
		t.Error(diff)
	}
}

// fakeCluster is a cluster of one master with a slave, and a set without a master.
type fakeCluster struct {
	mq.RemoteBroker
	sent, asked int64
}

type fakeNames struct{ mq.NameServerAdmin }

func (f *fakeCluster) NameServer(string) mq.NameServerAdmin { return fakeNames{} }
func (f *fakeCluster) Broker(string) mq.RemoteBroker        { return f }
func (f *fakeCluster) NameServers() []string                { return nil }
func (f *fakeCluster) Controller(string) mq.ControllerAdmin { return nil }
func (f *fakeCluster) Close()                               {}

func (fakeNames) ClusterInfo(context.Context) (mq.ClusterInfo, error) {
	return mq.ClusterInfo{
		Clusters: map[string][]string{"c": {"a", "b"}},
		Brokers: map[string]mq.BrokerSet{
			"a": {Cluster: "c", Name: "a", Addrs: map[int64]string{0: "a:1", 1: "a:2"}}, "b": {Cluster: "c", Name: "b", Addrs: map[int64]string{1: "b:2"}},
		},
	}, nil
}

func (fakeNames) Topics(context.Context) ([]string, error) {
	return []string{"t", "quiet", "%DLQ%g", "%RETRY%g"}, nil
}

func (f *fakeCluster) RuntimeInfo(context.Context) (map[string]string, error) {
	return map[string]string{
		"msgPutTotalTodayNow": strconv.FormatInt(f.sent, 10), "commitLogDiskRatio": "0.5", "remainHowManyDataToFlush": "1.5 KiB", "putLatency99": "4",
		"commitLogMinOffset": "10", "commitLogMaxOffset": "110", "dispatchBehindBytes": "nonsense",
	}, nil
}

func (f *fakeCluster) HAStatus(context.Context) (mq.HAStatus, error) {
	return mq.HAStatus{Slaves: []mq.SlaveStatus{{Addr: "a:2", Behind: 77}}}, nil
}

func (f *fakeCluster) GroupsStats(context.Context, bool) (mq.GroupsStats, error) {
	q := mq.Queue{Topic: "t", Broker: "a"}
	retry := mq.Queue{Topic: "%RETRY%g", Broker: "a"}
	return mq.GroupsStats{Groups: []mq.GroupStats{{Group: "g", Stats: []mq.ConsumeStats{{Queues: []mq.ConsumeProgress{
		{Queue: q, End: mq.Index(f.sent), Committed: mq.Index(f.sent - 20), LastConsume: base.UnixMilli() - 500}, {Queue: retry, End: 9, Committed: 4},
	}}}}}}, nil
}

func (f *fakeCluster) TopicStats(_ context.Context, topic string) (mq.TopicStats, error) {
	f.asked++
	switch topic {
	case "quiet":
		return mq.TopicStats{Queues: []mq.QueueStats{{Max: 3}, {Max: 4}}}, nil
	case "%DLQ%g":
		return mq.TopicStats{Queues: []mq.QueueStats{{Max: 6}}}, nil
	}
	return mq.TopicStats{}, errors.New("asked for " + topic)
}

func (f *fakeCluster) Consumers(context.Context, string) (mq.ConsumerGroup, error) {
	return mq.ConsumerGroup{}, mq.Errorf(mq.KindConsumerNotOnline, "nobody")
}

func TestRemoteAsksAFewThingsOfEachMaster(t *testing.T) {
	t.Parallel()
	f := &fakeCluster{sent: 100}
	r := &series.Remote{Cluster: f, Name: "c", Watch: func(string) []string { return []string{"g"} }}
	b := series.NewBatch("c")
	var got map[string]float64
	for i := range 2 {
		b.Begin(base.Add(time.Duration(i) * series.Interval))
		if err := r.Sample(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		got = map[string]float64{}
		for _, s := range b.End() {
			got[s.Name+"|"+strings.Join(s.Labels[1:], "|")] = s.Value
		}
		f.sent += 40
	}
	want := map[string]float64{
		"broker.master|a": 1, "broker.master|b": 0, "broker.in.tps|a": 4, "broker.disk.ratio|a": 0.5, "broker.flush.behind|a": 1536, "broker.put.p99|a": 4,
		"broker.disk.bytes|a": 100, "broker.ha.lag|a|a:2": 77, "group.lag|g|t": 20, "group.lag.time|g|t": 10_500, "group.retry|g": 5, "group.dlq|g": 6,
		"group.consume.tps|g|t": 4, "topic.offset.max|t": 140, "topic.in.tps|t": 4, "topic.offset.max|quiet": 7, "topic.in.tps|quiet": 0, "group.clients|g": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f.asked != 4 { // of topics that groups read nothing is asked
		t.Errorf("%d topics were asked for", f.asked)
	}
}

func TestPrometheusIsAskedInItsLanguage(t *testing.T) {
	t.Parallel()
	var body string
	answer := `{"status":"success","data":{"resultType":"matrix","result":[
		{"metric":{"cluster":"c","topic":"t"},"values":[[0,"1.5"],[60,"NaN"],[120,"3"],["x","4"],[180,5]]}]}}`
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer srv.Close()
	p, err := series.NewPrometheus(srv.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	p.Client = srv.Client()
	defer srv.Client().CloseIdleConnections()
	q := &series.Query{Name: "topic.in.tps", Labels: map[string]string{"cluster": `c"}or{`}, From: 0, To: 240_000, Step: 60_000, Top: 5}
	a, err := p.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	const want = "end=180&query=topk%285%2C+sum+by+%28cluster%2Ctopic%29+%28rate%28rocketmq_messages_in_total%7Bis_system%3D%22false%22%2Ccluster%3D%22c%5C%22%7Dor%7B%22%7D%5B60s%5D%29%29%29&start=0&step=60"
	if body != want {
		t.Errorf("asked %s", body)
	}
	v := a.Series[0].Values
	if a.Series[0].Labels["topic"] != "t" || v[0] != 1.5 || !math.IsNaN(v[1]) || v[2] != 3 || !math.IsNaN(v[3]) {
		t.Errorf("%+v", a)
	}
	if _, err := p.Query(t.Context(), &series.Query{Name: "broker.master", To: 1000}); !errors.Is(err, series.ErrNotStored) {
		t.Errorf("a series that is not there: %v", err)
	}
	for _, d := range series.Catalogue() {
		if _, err := p.Query(t.Context(), &series.Query{Name: d.Name, To: 1000}); err != nil && !errors.Is(err, series.ErrNotStored) {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
	for text, bad := range map[string]string{"no sense": "<html>", "400": `{"status":"error","error":"parse error"}`, "vector": `{"status":"success","data":{"resultType":"vector"}}`} {
		answer, status = bad, http.StatusOK
		if strings.Contains(bad, "error") {
			status = http.StatusBadRequest
		}
		if _, err := p.Query(t.Context(), q); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "prometheus:9090", "ftp://x", "http://"} {
		if _, err := series.NewPrometheus(bad); err == nil {
			t.Errorf("%q is taken as an address", bad)
		}
	}
}
