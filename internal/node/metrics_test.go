package node

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// scrape fetches the page of n.
func (w *world) scrape(n *Node) string {
	w.tb.Helper()
	tr := &http.Transport{DialContext: w.net.Dial, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(w.tb.Context(), http.MethodGet, "http://"+n.MetricsAddr()+"/metrics", http.NoBody)
	must(w.tb, err)
	resp, err := (&http.Client{Transport: tr}).Do(req)
	must(w.tb, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(w.tb, err)
	if resp.StatusCode != http.StatusOK {
		w.tb.Fatalf("%s\n%s", resp.Status, body)
	}
	return string(body)
}

// linesOf returns the lines of a page that begin with a name and hold all of the other texts.
func linesOf(page, name string, with ...string) (lines []string) {
next:
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		for _, s := range with {
			if !strings.Contains(line, s) {
				continue next
			}
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func TestPageTellsWhatTheBrokerDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(nil))
	w.roundTrip(n, "Orders")
	page := w.scrape(n)
	for _, want := range []struct {
		name string
		with []string
	}{
		{"rocketmq_messages_in_total", []string{
			`cluster="DefaultCluster"`, `node_type="broker"`, `node_id="broker-a"`, `otel_scope_name="broker-meter"`, `topic="Orders"`,
			`message_type="normal"`, `is_system="false"`, "} 500",
		}},
		{"rocketmq_messages_out_total", []string{`topic="Orders"`, `consumer_group="g_Orders"`, `is_retry="false"`, "} 500"}},
		{"rocketmq_message_size_bucket", []string{`topic="Orders"`, `le="1024"`, "} 500"}},
		{"rocketmq_message_size_count", []string{`topic="Orders"`, "} 500"}},
		{"rocketmq_consumer_lag_messages", []string{`topic="Orders"`, `consumer_group="g_Orders"`, "} 0"}},
		{"rocketmq_storage_size_bytes", []string{`storage_medium="disk"`}},
		{"rocketmq_topic_number", nil},
		{"cometmq_store_watermark_bytes", []string{`mark="flushed"`}},
		{"cometmq_fsync_duration_seconds_count", nil},
		{"cometmq_namesrv_brokers", []string{" 1"}},
		{"cometmq_broker_role", []string{`role="ASYNC_MASTER"`, "} 1"}},
		{"cometmq_goroutines", nil},
		{"rocketmq_rpc_latency_milliseconds_bucket", []string{
			`request_code="send_message_v2"`, `response_code="success"`, `is_long_polling="false"`, `protocol_type="remoting"`, `le="3000"`, "} 500",
		}},
		{"rocketmq_producer_offset", []string{`cluster="DefaultCluster"`, `broker="broker-a"`, `topic="Orders"`, "} 500"}},
		{"rocketmq_group_diff", []string{`group="g_Orders"`, `topic="Orders"`, `countOfOnlineConsumers="0"`, `msgModel="1"`, "} 0"}},
		{"rocketmq_group_consume_total_offset", []string{`group="g_Orders"`, "} 500"}},
		{"rocketmq_consumer_offset", []string{`topic="Orders"`, `group="g_Orders"`, "} 500"}},
		{"rocketmq_brokeruntime_commitlog_maxoffset", []string{`des="broker-a"`, "brokerIP=", "boottime="}},
		{"rocketmq_brokeruntime_put_tps10", nil},
		{"rocketmq_brokeruntime_pmdt_10stomore", []string{"} 0"}},
	} {
		if got := linesOf(page, want.name, want.with...); len(got) == 0 {
			t.Errorf("%s %v is not on the page: %s", want.name, want.with, linesOf(page, want.name))
		}
	}
	if t.Failed() && testing.Verbose() {
		t.Log(page)
	}
	must(t, n.Shutdown(t.Context()))
	w.free()
}

func TestDeletedTopicsLeaveThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(nil))
	w.roundTrip(n, "Orders")
	must(t, n.broker.now().core.DeleteTopic(t.Context(), "Orders"))
	if page := w.scrape(n); strings.Contains(page, `topic="Orders"`) {
		t.Errorf("%s", linesOf(page, "rocketmq_messages_in_total"))
	}
	must(t, n.Shutdown(t.Context()))
}

func TestTakenPortCostsThePageOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, err := w.net.Listen("127.0.0.1:5557")
	must(t, err)
	n := w.start(w.options(nil))
	if n.MetricsAddr() != "" || w.diary.last("no page for Prometheus") < 0 {
		t.Errorf("%q\n%s", n.MetricsAddr(), &w.diary)
	}
	w.roundTrip(n, "Orders")
	must(t, n.Shutdown(t.Context()))
	must(t, l.Close())
	w.free()
}

func TestPageCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(map[string]string{"metricsExporterType": "DISABLE"}))
	if n.MetricsAddr() != "" {
		t.Error(n.MetricsAddr())
	}
	must(t, n.Shutdown(t.Context()))
}

func TestExporterNamesCanBeLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(map[string]string{"metricsLegacyExporterNames": "false"}))
	w.roundTrip(n, "Orders")
	page := w.scrape(n)
	for _, m := range telemetry.All() {
		if got := linesOf(page, m.Name); m.Scope == telemetry.ScopeExporter && len(got) > 0 {
			t.Errorf("%s", got)
		}
	}
	must(t, n.Shutdown(t.Context()))
}

func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(map[string]string{"metricsOtelCardinalityLimit": "1", "metricsLabel": "zone:z1"}))
	w.roundTrip(n, "A")
	w.roundTrip(n, "B")
	page := w.scrape(n)
	if got := linesOf(page, "rocketmq_messages_in_total", `zone="z1"`); len(got) != 1 {
		t.Errorf("%d series: %s", len(got), got)
	}
	if got := linesOf(page, telemetry.Dropped.Name); len(got) != 1 || strings.HasSuffix(got[0], " 0") {
		t.Errorf("%s", got)
	}
	must(t, n.Shutdown(t.Context()))
}

// The exporters of Java's that push are configured as there; the collector itself is tested in telemetry/otlp.
func TestFiguresGoToTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(w.options(map[string]string{"metricsExporterType": "3", "metricLoggingExporterIntervalInMills": "500", "metricsInDelta": "true"}))
		if n.MetricsAddr() != "" {
			t.Errorf("there is a page, too: %s", n.MetricsAddr())
		}
		time.Sleep(time.Second)
		must(t, n.Shutdown(t.Context()))
		log := w.diary.String()
		for _, want := range []string{"msg=figures", "broker-meter", "rocketmq_topic_number", "aggregation", "cometmq_uptime_seconds"} {
			if !strings.Contains(log, want) {
				t.Errorf("no %s in the log", want)
			}
		}
		if strings.Contains(log, "rocketmq_brokeruntime") {
			t.Error("names of rocketmq-exporter are told, which is fetched from")
		}
		w.free()
	})
}

func TestFiguresGoToACollector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, err := w.net.Listen("127.0.0.1:4317")
		must(t, err)
		came := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			hello := make([]byte, 14)
			_, _ = io.ReadFull(conn, hello)
			came <- string(hello)
			_ = conn.Close()
		}()
		n := w.start(w.options(map[string]string{
			"metricsExporterType": "OTLP_GRPC", "metricsGrpcExporterTarget": "http://127.0.0.1:4317", "metricGrpcExporterIntervalInMills": "1000",
		}))
		if hello := <-came; hello != "PRI * HTTP/2.0" {
			t.Errorf("%q", hello)
		}
		must(t, l.Close())
		must(t, n.Shutdown(t.Context())) // although the collector is away
		w.free()
	})
}
