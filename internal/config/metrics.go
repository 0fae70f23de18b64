package config

import (
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metrics is how figures get to whoever watches the process.
type Metrics struct {
	Exporter string `key:"metricsExporterType" enum:"DISABLE OTLP_GRPC PROM LOG 0 1 2 3" doc:"who gets the figures: nobody, an OpenTelemetry collector (OTLP_GRPC), whoever fetches the page /metrics (PROM), the log (LOG); numbers are Java's"`
	Host     string `key:"metricsPromExporterHost" doc:"address of the page; default bindAddress"`
	Port     int    `key:"metricsPromExporterPort" min:"0" max:"65535" doc:"port of the page; 0 = any free port"`
	Legacy   bool   `key:"metricsLegacyExporterNames" doc:"the page also has the names of rocketmq-exporter"`
	Limit    int    `key:"metricsOtelCardinalityLimit" min:"1" max:"2147483647" doc:"most series of one metric; what is above is left out and counted"`
	Label    string `key:"metricsLabel" doc:"more labels of RocketMQ's metrics, as k1:v1,k2:v2"`
	Delta    bool   `key:"metricsInDelta" doc:"to collectors and the log counters and histograms tell what came since the last time; RocketMQ's metrics get the label aggregation=delta"`

	Target     string        `key:"metricsGrpcExporterTarget" doc:"the collector: http://host:port without TLS, https://host:port or host:port with"`
	Header     string        `key:"metricsGrpcExporterHeader" doc:"what each call to the collector carries besides, as name1:value1,name2:value2"`
	Timeout    time.Duration `key:"metricGrpcExporterTimeOutInMills" unit:"ms" min:"1" max:"600000" doc:"how long the figures of one collection may take to get to the collector"`
	PushEach   time.Duration `key:"metricGrpcExporterIntervalInMills" unit:"ms" min:"100" max:"86400000" doc:"between two collections for the collector"`
	LogEach    time.Duration `key:"metricLoggingExporterIntervalInMills" unit:"ms" min:"100" max:"86400000" doc:"between two collections for the log"`
	BatchLimit int           `key:"metricsExportBatchMaxDataPoints" min:"1" max:"1000000" doc:"most series in one message to the collector, or in one line of the log"`

	// Labels are those of Label, Headers those of Header: names and values in turn.
	Labels  [][2]string `key:"-"`
	Headers [][2]string `key:"-"`
}

// Words of metricsExporterType.
const (
	MetricsOff  = "DISABLE"
	MetricsPush = "OTLP_GRPC"
	MetricsPage = "PROM"
	MetricsLog  = "LOG"
)

// exporterNumbers are the values that Java's files may have for words.
var exporterNumbers = map[string]string{"0": MetricsOff, "1": MetricsPush, "2": MetricsPage, "3": MetricsLog}

// defaultMetrics returns Java's defaults, but for who gets the figures.
func defaultMetrics(exporter string) Metrics {
	return Metrics{
		Exporter: exporter, Port: 5557, Legacy: true, Limit: 50_000,
		Timeout: 3 * time.Second, PushEach: time.Minute, LogEach: 10 * time.Second, BatchLimit: 1000,
	}
}

// checkMetrics checks what one tag cannot say.
func (l *loader) checkMetrics(m *Metrics, set settings) {
	if word, ok := exporterNumbers[m.Exporter]; ok {
		m.Exporter = word
	}
	if m.Exporter == MetricsPush && strings.TrimSpace(m.Target) == "" {
		l.bad("metricsGrpcExporterTarget", entry{m.Target, set.source("metricsGrpcExporterTarget")}, "the collector's http://host:port, because metricsExporterType is OTLP_GRPC")
	}
	if m.Host != "" && strings.ContainsAny(m.Host, " /") {
		l.bad("metricsPromExporterHost", entry{m.Host, set.source("metricsPromExporterHost")}, "an address or a name, such as 127.0.0.1")
	}
	// Java leaves pairs out that are none, too.
	m.Labels = l.pairs(m.Label, set, "metricsLabel", "a label is a name, a colon and a value", func(name, value string) bool {
		return labelName(name) && !strings.Contains(value, ":")
	})
	m.Headers = l.pairs(m.Header, set, "metricsGrpcExporterHeader", "a header is a name, a colon and a value, and the name is none of gRPC's", headerPair)
	for i := range m.Headers {
		m.Headers[i][0] = strings.ToLower(m.Headers[i][0])
	}
}

// pairs reads name:value,name:value. What is none is left out with a notice.
func (l *loader) pairs(text string, set settings, key, want string, good func(name, value string) bool) (out [][2]string) {
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, ":")
		if !ok || !good(name, value) {
			l.notice(slog.LevelWarn, key, set.source(key), "%q is left out: %s", pair, want)
			continue
		}
		out = append(out, [2]string{name, value})
	}
	return out
}

// headerPair reports whether gRPC takes a header.
func headerPair(name, value string) bool {
	lower := strings.ToLower(name)
	for _, c := range lower {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", c) {
			return false
		}
	}
	for _, c := range value {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return name != "" && !strings.HasPrefix(lower, "grpc-") && !strings.HasSuffix(lower, "-bin") && !slices.Contains(grpcNames, lower)
}

// grpcNames are headers that are the transport's.
var grpcNames = []string{"content-type", "te", "user-agent", "connection", "host"}

// labelName reports whether s may be the name of a label of the operator's, which is none of RocketMQ's.
func labelName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "__")
}

// ExporterNames reports whether the names of rocketmq-exporter, a program that is fetched from, are wanted.
func (m *Metrics) ExporterNames() bool { return m.Legacy && m.Exporter == MetricsPage }

// Addr is where the page is. bind is the address that the role listens on.
func (m *Metrics) Addr(bind string) string {
	if m.Host != "" {
		bind = m.Host
	}
	return net.JoinHostPort(bind, strconv.Itoa(m.Port))
}
