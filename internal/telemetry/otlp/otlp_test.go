package otlp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/cometmq/cometmq/internal/telemetry"
	"github.com/cometmq/cometmq/internal/telemetry/otlp"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const at = "127.0.0.1:4317"

// collector is an OpenTelemetry collector that keeps what it gets.
type collector struct {
	server *grpc.Server

	mu     sync.Mutex // guards what follows
	got    []*collectorpb.ExportMetricsServiceRequest
	header []metadata.MD
	answer *collectorpb.ExportMetricsServiceResponse
}

// exporting is the collector's service, which the messages' package leaves out.
type exporting interface {
	export(ctx context.Context, r *collectorpb.ExportMetricsServiceRequest) *collectorpb.ExportMetricsServiceResponse
}

var service = grpc.ServiceDesc{
	ServiceName: "opentelemetry.proto.collector.metrics.v1.MetricsService", HandlerType: (*exporting)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(s any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var r collectorpb.ExportMetricsServiceRequest
		if err := decode(&r); err != nil {
			return nil, err
		}
		return s.(exporting).export(ctx, &r), nil
	}}},
}

func (c *collector) export(ctx context.Context, r *collectorpb.ExportMetricsServiceRequest) *collectorpb.ExportMetricsServiceResponse {
	h, _ := metadata.FromIncomingContext(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got, c.header = append(c.got, r), append(c.header, h)
	if c.answer != nil {
		return c.answer
	}
	return &collectorpb.ExportMetricsServiceResponse{}
}

// serve opens the collector's port, until the test or stop ends.
func (c *collector) serve(t *testing.T, n *memnet.Network) {
	t.Helper()
	l, err := n.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	c.server = grpc.NewServer()
	c.server.RegisterService(&service, c)
	go func() { _ = c.server.Serve(l) }()
}

// take returns what came since the last call.
func (c *collector) take() []*collectorpb.ExportMetricsServiceRequest {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// figures are what the source of the tests tells.
type figures struct {
	mu    sync.Mutex // guards the values
	in    map[string]int64
	depth int64
	hist  *telemetry.Histogram
}

func (f *figures) set(topic string, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in[topic] = n
}

func (f *figures) sources() []telemetry.Source {
	labels := []telemetry.Label{{Name: "cluster", Value: "C"}, {Name: "node_type", Value: "broker"}, {Name: "node_id", Value: "b"}, {Name: "zone", Value: "z1"}}
	return []telemetry.Source{{
		Common: map[telemetry.Scope][]telemetry.Label{telemetry.ScopeBroker: labels},
		Collect: func(s *telemetry.Sink) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, topic := range slices.Sorted(maps.Keys(f.in)) {
				s.Int(telemetry.MessagesIn, f.in[topic], topic, "normal", "false")
			}
			s.Int(telemetry.TopicNumber, f.depth)
			s.Int(telemetry.LagLatency, 5, "g\xff", "T", "false", "false")
			s.Histogram(telemetry.FinishTime, f.hist, "T")
			s.Value(telemetry.Uptime, 1.5)
		},
	}}
}

// bench is an exporter with its source and its collector, in virtual time.
type bench struct {
	*figures
	*collector
	net  *memnet.Network
	log  bytes.Buffer
	quit chan struct{}
	end  func()
}

func start(t *testing.T, o otlp.Options) *bench {
	t.Helper()
	b := &bench{
		figures: &figures{in: map[string]int64{"T": 3}, hist: telemetry.FinishTime.New()}, collector: &collector{}, net: memnet.New(), quit: make(chan struct{}),
	}
	o.Sources, o.Interval, o.Version, o.Log = b.sources, 10*time.Second, "v1", slog.New(slog.NewTextHandler(&b.log, nil))
	target, err := otlp.ParseTarget("http://" + at)
	if err != nil {
		t.Fatal(err)
	}
	target.Header = [][2]string{{"authorization", "Basic x"}, {"tenant", "a"}}
	e, err := otlp.Push(o, target, b.net.Dial)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(t.Context(), b.quit); err != nil {
			t.Error(err)
		}
	})
	b.end = func() {
		close(b.quit)
		wg.Wait()
		if b.server != nil {
			b.server.Stop()
		}
		synctest.Wait()
	}
	return b
}

// find returns the metric of that name in what one collection told.
func find(t *testing.T, got []*collectorpb.ExportMetricsServiceRequest, scope, name string) *metricspb.Metric {
	t.Helper()
	for _, r := range got {
		for _, rm := range r.GetResourceMetrics() {
			for _, s := range rm.GetScopeMetrics() {
				for _, m := range s.GetMetrics() {
					if s.GetScope().GetName() == scope && m.GetName() == name {
						return m
					}
				}
			}
		}
	}
	t.Fatalf("no %s of %s in %v", name, scope, got)
	return nil
}

func labels(list []*commonpb.KeyValue) string {
	var out []string
	for _, kv := range list {
		out = append(out, kv.GetKey()+"="+kv.GetValue().GetStringValue())
	}
	return strings.Join(out, " ")
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCollectorGetsNamesUnitsLabelsAndHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, otlp.Options{})
		b.serve(t, b.net)
		began := time.Now()
		for _, v := range []int64{5, 6, 1 << 40} {
			b.hist.Observe(v)
		}
		time.Sleep(10 * time.Second)
		got := b.take()
		equal(t, "messages", len(got), 1)

		in := find(t, got, "broker-meter", "rocketmq_messages_in_total").GetSum()
		equal(t, "monotonic", in.GetIsMonotonic(), true)
		equal(t, "temporality", in.GetAggregationTemporality(), metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE)
		p := in.GetDataPoints()[0]
		equal(t, "value", p.GetAsInt(), 3)
		equal(t, "labels", labels(p.GetAttributes()), "cluster=C node_type=broker node_id=b zone=z1 topic=T message_type=normal is_system=false")
		equal(t, "start", p.GetStartTimeUnixNano(), began.UnixNano())
		equal(t, "time", p.GetTimeUnixNano(), began.Add(10*time.Second).UnixNano())

		lag := find(t, got, "broker-meter", "rocketmq_consumer_lag_latency") // without the page's _milliseconds
		equal(t, "unit", lag.GetUnit(), "milliseconds")
		equal(t, "gauge", lag.GetGauge().GetDataPoints()[0].GetAsInt(), 5)
		equal(t, "group", strings.Contains(labels(lag.GetGauge().GetDataPoints()[0].GetAttributes()), "consumer_group=g\uFFFD topic=T"), true)

		h := find(t, got, "broker-meter", "rocketmq_finish_message_latency")
		equal(t, "unit", h.GetUnit(), "ms")
		d := h.GetHistogram().GetDataPoints()[0]
		equal(t, "bounds", d.GetExplicitBounds(), "[5 60 600 3600 43200 86400]")
		equal(t, "buckets", d.GetBucketCounts(), "[1 1 0 0 0 0 1]")
		equal(t, "count", d.GetCount(), 3)
		equal(t, "sum", d.GetSum(), float64(11+1<<40))

		equal(t, "own", find(t, got, "cometmq", "cometmq_uptime_seconds").GetGauge().GetDataPoints()[0].GetAsDouble(), 1.5)
		find(t, got, "cometmq", telemetry.Dropped.Name)
		equal(t, "resource", labels(got[0].GetResourceMetrics()[0].GetResource().GetAttributes()), "service.name=cometmq service.version=v1")
		for name, want := range map[string]string{"authorization": "Basic x", "tenant": "a", "grpc-accept-encoding": "gzip"} {
			equal(t, name, b.header[0].Get(name), []string{want})
		}
		b.end()
		equal(t, "messages at the end", len(b.take()), 1)
		equal(t, "log", b.log.String(), "")
	})
}

func TestDeltasTellWhatCameSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, otlp.Options{Delta: true})
		b.serve(t, b.net)
		next := func(step string, value, seconds int64, buckets string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			got := b.take()
			in := find(t, got, "broker-meter", "rocketmq_messages_in_total").GetSum()
			equal(t, step+": temporality", in.GetAggregationTemporality(), metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA)
			p := in.GetDataPoints()[0]
			equal(t, step+": value", p.GetAsInt(), value)
			equal(t, step+": span", time.Duration(p.GetTimeUnixNano()-p.GetStartTimeUnixNano()), time.Duration(seconds)*time.Second)
			h := find(t, got, "broker-meter", "rocketmq_finish_message_latency").GetHistogram()
			equal(t, step+": temporality", h.GetAggregationTemporality(), metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA)
			equal(t, step+": buckets", h.GetDataPoints()[0].GetBucketCounts(), buckets)
			equal(t, step+": topics", find(t, got, "broker-meter", "rocketmq_topic_number").GetGauge() != nil, true)
		}
		b.hist.Observe(1)
		next("first", 3, 10, "[1 0 0 0 0 0 0]")
		b.set("T", 10)
		b.hist.Observe(6)
		next("more", 7, 10, "[0 1 0 0 0 0 0]")
		next("nothing", 0, 10, "[0 0 0 0 0 0 0]")
		b.set("T", 4) // it was deleted and made again
		next("anew", 4, 10, "[0 0 0 0 0 0 0]")

		// Without the collector nothing is lost: the next one covers what it has missed.
		b.server.Stop()
		b.set("T", 5)
		b.hist.Observe(6)
		time.Sleep(15 * time.Second)
		b.set("T", 9)
		b.serve(t, b.net)
		next("after an absence", 5, 20, "[0 1 0 0 0 0 0]")
		if n := strings.Count(b.log.String(), "cannot be sent"); n != 1 || !strings.Contains(b.log.String(), "sent again") {
			t.Errorf("%s", &b.log)
		}
		b.end()
	})
}

func TestCumulativeSeriesThatBeginAnewSaySo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, otlp.Options{})
		b.serve(t, b.net)
		began := time.Now()
		from := func(step string, topic int, value int64, want time.Duration) {
			t.Helper()
			time.Sleep(10 * time.Second)
			p := find(t, b.take(), "broker-meter", "rocketmq_messages_in_total").GetSum().GetDataPoints()[topic]
			equal(t, step, p.GetAsInt(), value)
			equal(t, step, time.Unix(0, int64(p.GetStartTimeUnixNano())).Sub(began), want)
		}
		from("first", 0, 3, 0)
		b.set("T", 5)
		from("more", 0, 5, 0)
		b.set("T", 2)
		from("anew", 0, 2, 20*time.Second)
		b.set("U", 1)
		from("the old one", 0, 2, 20*time.Second)
		b.set("V", 1)
		from("a new one", 2, 1, 40*time.Second)
		b.end()
	})
}

func TestLargeCollectionsAreSeveralMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, otlp.Options{Batch: 100, Limit: 250})
		b.serve(t, b.net)
		for i := range 300 {
			b.set(fmt.Sprint(i), 1)
		}
		time.Sleep(10 * time.Second)
		got, points := b.take(), 0
		for _, r := range got {
			n := 0
			for _, s := range r.GetResourceMetrics()[0].GetScopeMetrics() {
				for _, m := range s.GetMetrics() {
					n += len(m.GetSum().GetDataPoints()) + len(m.GetGauge().GetDataPoints()) + len(m.GetHistogram().GetDataPoints())
				}
			}
			if n > 100 {
				t.Errorf("a message of %d", n)
			}
			points += n
		}
		equal(t, "points", points, 250+6)
		equal(t, "messages", len(got), 3)
		equal(t, "dropped", find(t, got, "cometmq", telemetry.Dropped.Name).GetGauge().GetDataPoints()[0].GetAsDouble(), 51)
		b.end()
	})
}

func TestCollectorThatNeverComesDelaysNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, otlp.Options{Timeout: 2 * time.Second})
		time.Sleep(15 * time.Second)
		begin := time.Now()
		b.end()
		equal(t, "end", time.Since(begin), time.Duration(0))
	})
}

func TestCollectorThatRefusesAPartIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, otlp.Options{})
		b.answer = &collectorpb.ExportMetricsServiceResponse{PartialSuccess: &collectorpb.ExportMetricsPartialSuccess{RejectedDataPoints: 7, ErrorMessage: "too many"}}
		b.serve(t, b.net)
		time.Sleep(11 * time.Second)
		b.end()
		if s := b.log.String(); !strings.Contains(s, "refused=7") || !strings.Contains(s, "too many") {
			t.Error(s)
		}
	})
}

func TestLinesAreTheProtocolsJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &figures{in: map[string]int64{"T": 3}, hist: telemetry.FinishTime.New()}
		var out bytes.Buffer
		e := otlp.Lines(otlp.Options{Sources: f.sources, Interval: time.Second, Log: slog.New(slog.NewJSONHandler(&out, nil))})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := e.Run(ctx, nil); err != nil {
			t.Error(err)
		}
		var line struct{ Msg, OTLP string }
		var m struct {
			ScopeMetrics []struct {
				Scope   struct{ Name string }
				Metrics []struct {
					Name string
					Sum  struct {
						DataPoints []struct{ AsInt, TimeUnixNano string }
					}
				}
			}
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%s %v", &out, err)
		}
		if err := json.Unmarshal([]byte(line.OTLP), &m); err != nil {
			t.Fatalf("%s %v", line.OTLP, err)
		}
		s := m.ScopeMetrics[0]
		equal(t, "scope", s.Scope.Name, "broker-meter")
		equal(t, "name", s.Metrics[0].Name, "rocketmq_messages_in_total")
		equal(t, "value", s.Metrics[0].Sum.DataPoints[0].AsInt, "3")
	})
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://c:4317": "c:4317 false", "https://c:4317": "c:4317 true", "c:4317": "c:4317 true", "http://[::1]:1/": "[::1]:1 false", "https://c": "c:443 true",
		"http://c": "c:80 false", "http://c:1/path": "", "ftp://c:1": "", "": "", "http://u:p@c:1": "", "c:x": "",
	} {
		got, err := otlp.ParseTarget(text)
		s := fmt.Sprint(got.Addr, " ", got.TLS)
		if err != nil {
			s = ""
		}
		equal(t, text, s, want)
	}
}
