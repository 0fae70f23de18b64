package config

import (
	"log/slog"
	"net"
	"strconv"
	"strings"
)

// Metrics is how figures get to whoever watches the process.
type Metrics struct {
	Exporter string `key:"metricsExporterType" enum:"DISABLE PROM 0 2" doc:"who gets the figures: nobody, or whoever fetches the page /metrics (PROM); numbers are Java's"`
	Host     string `key:"metricsPromExporterHost" doc:"address of the page; default bindAddress"`
	Port     int    `key:"metricsPromExporterPort" min:"0" max:"65535" doc:"port of the page; 0 = any free port"`
	Legacy   bool   `key:"metricsLegacyExporterNames" doc:"the page also has the names of rocketmq-exporter"`
	Limit    int    `key:"metricsOtelCardinalityLimit" min:"1" max:"2147483647" doc:"most series of one metric; what is above is left out and counted"`
	Label    string `key:"metricsLabel" doc:"more labels of RocketMQ's metrics, as k1:v1,k2:v2"`

	// Labels are those of Label: names and values in turn.
	Labels [][2]string `key:"-"`
}

// Words of metricsExporterType.
const (
	MetricsOff  = "DISABLE"
	MetricsPage = "PROM"
)

// exporterNumbers are the values that Java's files may have for words.
var exporterNumbers = map[string]string{"0": MetricsOff, "2": MetricsPage}

// defaultMetrics returns Java's defaults, but for who gets the figures.
func defaultMetrics(exporter string) Metrics {
	return Metrics{Exporter: exporter, Port: 5557, Legacy: true, Limit: 50_000}
}

// checkMetrics checks what one tag cannot say.
func (l *loader) checkMetrics(m *Metrics, set settings) {
	if word, ok := exporterNumbers[m.Exporter]; ok {
		m.Exporter = word
	}
	if m.Host != "" && strings.ContainsAny(m.Host, " /") {
		l.bad("metricsPromExporterHost", entry{m.Host, set.source("metricsPromExporterHost")}, "an address or a name, such as 127.0.0.1")
	}
	for pair := range strings.SplitSeq(m.Label, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, ":")
		if !ok || !labelName(name) || strings.Contains(value, ":") { // Java leaves such a pair out, too
			l.notice(slog.LevelWarn, "metricsLabel", set.source("metricsLabel"), "%q is left out: a label is a name, a colon and a value", pair)
			continue
		}
		m.Labels = append(m.Labels, [2]string{name, value})
	}
}

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

// Addr is where the page is. bind is the address that the role listens on.
func (m *Metrics) Addr(bind string) string {
	if m.Host != "" {
		bind = m.Host
	}
	return net.JoinHostPort(bind, strconv.Itoa(m.Port))
}
