package otlp

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
)

// exportMethod is the one call of the collector's service for metrics.
const exportMethod = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

// Target is a collector.
type Target struct {
	Addr string // host:port
	TLS  bool   // with the certificate authorities of the system
	// Header is what each call carries besides: names in lower case and values in turn.
	Header [][2]string
}

// ParseTarget reads an endpoint as Java's key has it: http://host:port without TLS, https://host:port, or host:port, which is the same.
func ParseTarget(s string) (Target, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, err
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	switch {
	case port == "":
		return Target{}, fmt.Errorf("%s is neither http nor https", u.Scheme)
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "":
		return Target{}, fmt.Errorf("%q is more or less than a host and a port", s)
	case u.Port() != "":
		port = u.Port()
	}
	return Target{Addr: net.JoinHostPort(u.Hostname(), port), TLS: u.Scheme == "https"}, nil
}

// Dial makes connections.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Push returns an exporter to a collector. It connects when it has something to say.
func Push(o Options, t Target, dial Dial) (*Exporter, error) {
	o = o.withDefaults()
	security := insecure.NewCredentials()
	if t.TLS {
		security = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	// Name resolution is the dialler's. A collector that is away is dialled again at least once in the time of an export.
	retry := backoff.DefaultConfig
	retry.MaxDelay = max(o.Timeout/3, 100*time.Millisecond)
	retry.BaseDelay = min(retry.BaseDelay, retry.MaxDelay)
	conn, err := grpc.NewClient("passthrough:///"+t.Addr,
		grpc.WithTransportCredentials(security), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: o.Timeout}),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dial(ctx, "tcp", addr) }))
	if err != nil {
		return nil, err
	}
	p := &push{conn: conn, log: o.Log}
	for _, h := range t.Header {
		p.header = append(p.header, h[0], h[1])
	}
	return newExporter(o, p), nil
}

// push sends to a collector.
type push struct {
	conn   *grpc.ClientConn
	header []string
	log    *slog.Logger
}

func (p *push) send(ctx context.Context, m *metricspb.ResourceMetrics) error {
	ctx = metadata.AppendToOutgoingContext(ctx, p.header...)
	var answer collectorpb.ExportMetricsServiceResponse
	err := p.conn.Invoke(ctx, exportMethod, &collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{m}}, &answer,
		grpc.WaitForReady(true), grpc.UseCompressor(gzip.Name))
	if part := answer.GetPartialSuccess(); part.GetRejectedDataPoints() > 0 {
		p.log.Warn("the collector of figures took only a part of them", "refused", part.GetRejectedDataPoints(), "reason", part.GetErrorMessage())
	}
	return err
}

func (p *push) close() error { return p.conn.Close() }
