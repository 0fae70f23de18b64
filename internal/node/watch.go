package node

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/alerts"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/series"
	"github.com/cometmq/cometmq/internal/telemetry"
	"github.com/cometmq/cometmq/internal/vfs"
)

// watchPart samples figures for the dashboard's charts, and evaluates its alerts.
type watchPart struct {
	log       *slog.Logger
	store     *series.Store
	watcher   *alerts.Watcher
	collector series.Collector
	asker     series.Asker // who answers charts: the store, or a Prometheus

	ctx    context.Context // the lifetime of the part
	cancel context.CancelFunc
	done   chan struct{} // closed when run has ended
}

// newWatch watches the broker of this process from inside, else the cluster from outside. file is that of the dashboard: the others are
// beside it.
func (n *Node) newWatch(ctx context.Context, o *Options, remote mq.Cluster, file string, log *slog.Logger) (*watchPart, error) {
	dir := filepath.Dir(file)
	p := &watchPart{log: log, done: make(chan struct{})}
	p.store = series.Open(series.Options{FS: vfs.OS(), Path: filepath.Join(dir, "series.db"), Log: log})
	p.asker = p.store
	if url := o.Dashboard.Prometheus; url != "" {
		prometheus, err := series.NewPrometheus(url)
		if err != nil {
			return nil, errors.Join(err, p.store.Close())
		}
		p.asker = prometheus
	}
	figures := &alerts.Figures{Store: p.store}
	if cert := o.Dashboard.CertFile; cert != "" {
		figures.Certificates = func() []alerts.Validity { return validity("dashboard", cert) }
	}
	p.watcher = alerts.Open(alerts.Options{Source: figures, FS: vfs.OS(), Path: filepath.Join(dir, "alerts.db"), Log: log})
	target := series.Target{Source: &series.Remote{
		Cluster: remote, Watch: func(cluster string) []string { return p.watcher.Watched(figures.Groups(cluster)) },
	}}
	if o.Broker != nil {
		own := o.Broker.Identity.Cluster
		figures.Inside = func(cluster string) bool { return cluster == own }
		c, _ := metricsOf(o)
		target = series.Target{Cluster: own, Source: &series.Process{
			Broker: o.Broker.Identity.Name, Limit: c.Limit, Resident: resident,
			Sources: func() []telemetry.Source { return n.sources(o, c) },
		}}
	}
	p.collector = series.Collector{Store: p.store, Targets: []series.Target{target}, Log: log}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return p, nil
}

// run watches until stop. Without it the roles go on.
func (p *watchPart) run() error {
	defer close(p.done)
	g, ctx := errgroup.WithContext(p.ctx)
	g.Go(func() error { return p.collector.Run(ctx) })
	g.Go(func() error { return p.watcher.Run(ctx) })
	if err := g.Wait(); err != nil {
		p.log.Error("charts and alerts have ended", "err", err)
	}
	return nil
}

func (p *watchPart) stop(context.Context) error {
	p.cancel()
	<-p.done
	return errors.Join(p.store.Close(), p.watcher.Close())
}

// abandon is for a part that was never run.
func (p *watchPart) abandon() error {
	p.cancel()
	return errors.Join(p.store.Close(), p.watcher.Close())
}

// validity reads until when the certificates of a file are good: the first of a chain is the one that is shown.
func validity(name, file string) []alerts.Validity {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		return []alerts.Validity{{Name: name, Until: c.NotAfter}}
	}
	return nil
}
