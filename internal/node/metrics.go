package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
	"github.com/cometmq/cometmq/internal/telemetry/otlp"
	"github.com/cometmq/cometmq/internal/telemetry/prom"
	"github.com/cometmq/cometmq/internal/version"
)

// metricsPart is the page with the figures of all roles of the process.
type metricsPart struct {
	log    *slog.Logger
	addr   string
	scheme string // http or https: what every client may use
	l      net.Listener
	server *http.Server
}

// headerTimeout is how long a client may take to say what it wants.
const headerTimeout = 10 * time.Second

// openMetrics gives the figures to whom they are wanted by. That it cannot be done is a warning: what the process is for is more important.
func (n *Node) openMetrics(ctx context.Context, o *Options) {
	c, bind := metricsOf(o)
	if c == nil {
		return
	}
	log := o.Log.With("role", "metrics")
	switch c.Exporter {
	case config.MetricsPage:
		n.openPage(ctx, o, c, bind, log)
	case config.MetricsPush, config.MetricsLog:
		p, err := n.newExport(ctx, o, c, log)
		if err != nil {
			log.Warn("nobody gets figures: see metricsGrpcExporterTarget", "target", c.Target, "err", err)
			return
		}
		n.add(p)
	}
}

func (n *Node) openPage(ctx context.Context, o *Options, c *config.Metrics, bind string, log *slog.Logger) {
	l, err := o.Listen(ctx, "tcp", c.Addr(bind))
	if err != nil {
		log.Warn("no page for Prometheus: choose another metricsPromExporterPort, or metricsExporterType = DISABLE",
			"addr", c.Addr(bind), "err", err)
		return
	}
	sec := n.secureOf(o)
	p := &metricsPart{log: log, addr: reachable(l.Addr(), ""), scheme: "http", l: sec.listen(l, needTLS)}
	if sec.mode == remoting.TLSEnforcing {
		p.scheme = "https"
	}
	page := prom.Options{
		Sources: func() []telemetry.Source { return n.sources(o, c) }, Limit: c.Limit,
		Failed: func(err error) { log.Warn("something on the page for Prometheus is wrong", "err", err) },
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", prom.Handler(page))
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	log.Info("page for Prometheus", "addr", l.Addr())
	n.metrics = p
	n.add(p)
}

// exportPart tells the figures of all roles to a collector or to the log.
type exportPart struct {
	export *otlp.Exporter
	ctx    context.Context // the lifetime of the part
	cancel context.CancelFunc
	quit   chan struct{} // closed by stop
	done   chan struct{} // closed when run has ended
}

func (n *Node) newExport(ctx context.Context, o *Options, c *config.Metrics, log *slog.Logger) (*exportPart, error) {
	eo := otlp.Options{
		Sources: func() []telemetry.Source { return n.sources(o, c) }, Limit: c.Limit, Batch: c.BatchLimit, Delta: c.Delta,
		Timeout: c.Timeout, Interval: c.PushEach, Version: version.Get().Short(), Log: log,
	}
	p := &exportPart{quit: make(chan struct{}), done: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if c.Exporter == config.MetricsLog {
		eo.Interval = c.LogEach
		p.export = otlp.Lines(eo)
		return p, nil
	}
	t, err := otlp.ParseTarget(c.Target)
	if err != nil {
		return nil, err
	}
	t.Header = c.Headers
	p.export, err = otlp.Push(eo, t, o.Dial)
	log.Info("figures go to a collector", "target", c.Target, "interval", c.PushEach)
	return p, err
}

func (p *exportPart) run() error {
	defer close(p.done)
	return p.export.Run(p.ctx, p.quit)
}

// stop lets the last figures be told. It comes before the roles end whose figures they are.
func (p *exportPart) stop(ctx context.Context) error {
	defer p.cancel()
	close(p.quit)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.cancel()
		<-p.done
	}
	return nil
}

const needTLS = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis page needs https.\n"

// secureOf is TLS of the role whose configuration counts for the process.
func (n *Node) secureOf(o *Options) *secure {
	switch {
	case o.Broker != nil:
		return n.broker.secure
	case o.Controller != nil && o.Namesrv == nil:
		return n.controller.secure
	}
	return n.namesrv.secure
}

// metricsOf is the configuration that counts for the process, and the address that its role listens on.
func metricsOf(o *Options) (c *config.Metrics, bind string) {
	switch {
	case o.Broker != nil:
		return &o.Broker.Metrics, o.Broker.Listen.Address
	case o.Controller != nil && o.Namesrv == nil:
		return &o.Controller.Metrics, o.Controller.Address
	case o.Namesrv != nil:
		return &o.Namesrv.Metrics, o.Namesrv.Address
	}
	return nil, ""
}

// run serves until stop. Without the page the roles go on.
func (p *metricsPart) run() error {
	if err := p.server.Serve(p.l); !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("the page for Prometheus has ended", "err", err)
	}
	return nil
}

func (p *metricsPart) stop(ctx context.Context) error {
	if err := p.server.Shutdown(ctx); err != nil {
		return p.server.Close()
	}
	return nil
}

// sources are the roles that are played.
func (n *Node) sources(o *Options, c *config.Metrics) []telemetry.Source {
	list := []telemetry.Source{{Collect: n.collectProcess}, {Collect: n.collectAccess}}
	if n.namesrv != nil {
		list = append(list, telemetry.Source{Collect: n.namesrv.collect})
	}
	if n.controller != nil {
		list = append(list, telemetry.Source{Collect: n.controller.collect, Common: n.controller.labels(c)})
	}
	if n.broker != nil {
		b := o.Broker
		labels := []telemetry.Label{
			{Name: "cluster", Value: b.Identity.Cluster}, {Name: "node_type", Value: "broker"}, {Name: "node_id", Value: b.Identity.Name},
		}
		list = append(list, telemetry.Source{
			Collect: n.broker.collect, Common: map[telemetry.Scope][]telemetry.Label{telemetry.ScopeBroker: withOperators(labels, c)},
		})
	}
	return list
}

// withOperators adds the labels that the operator wants, and Java's word for deltas.
func withOperators(labels []telemetry.Label, c *config.Metrics) []telemetry.Label {
	for _, l := range c.Labels {
		labels = append(labels, telemetry.Label{Name: l[0], Value: l[1]})
	}
	if c.Delta {
		labels = append(labels, telemetry.Label{Name: "aggregation", Value: "delta"})
	}
	return labels
}

// collectAccess tells what all roles have refused.
func (n *Node) collectAccess(s *telemetry.Sink) {
	var all []*access
	if n.namesrv != nil {
		all = append(all, n.namesrv.access)
	}
	if n.controller != nil {
		all = append(all, n.controller.own)
	}
	if n.broker != nil {
		all = append(all, n.broker.access)
	}
	collectAccess(s, all)
}

func (n *Node) collectProcess(s *telemetry.Sink) {
	telemetry.CollectProcess(s, n.started, version.Get().Short())
}

func connections(s *telemetry.Sink, server *remoting.Server, role string) {
	count := int64(0)
	server.Conns(func(*remoting.Conn) bool {
		count++
		return true
	})
	s.Int(telemetry.Connections, count, role)
	server.CollectRefused(s, role)
}

func (p *namesrvPart) collect(s *telemetry.Sink) {
	connections(s, p.server, "namesrv")
	p.secure.collect(s, "namesrv")
	topics, brokers := p.ns.Counts()
	s.Int(telemetry.RouteTopics, int64(topics))
	s.Int(telemetry.RouteBrokers, int64(brokers))
}

func (p *brokerPart) collect(s *telemetry.Sink) {
	connections(s, p.server, "broker")
	p.secure.collect(s, "broker")
	p.server.Collect(s)
	s.Histogram(telemetry.FsyncTime, p.syncs)
	e := p.now()
	if e == nil {
		return
	}
	select {
	case e.page <- struct{}{}:
	case <-e.asked.Done(): // it is about to end
		return
	}
	defer func() { <-e.page }()
	role := e.now()
	for k := Master; k <= Fenced; k++ {
		v := int64(0)
		if k == role.Kind {
			v = 1
		}
		s.Int(telemetry.BrokerRole, v, k.String())
	}
	if p.member != nil {
		s.Int(telemetry.MasterEpoch, int64(role.Epoch))
	}
	e.core.Collect(s, p.o.Broker.Metrics.ExporterNames())
	e.collectMQTT(s)
	c := p.o.Broker
	e.collectReplication(s, func(slave string, behind int64) {
		if c.Metrics.ExporterNames() {
			s.Int(telemetry.ExLogDiff, behind, c.Identity.Cluster, slave, c.Identity.Name)
		}
	})
}

// collectReplication tells about the slaves, or about the master. exporter is told how far a slave is behind.
func (e *engine) collectReplication(s *telemetry.Sink, exporter func(slave string, behind int64)) {
	flag := func(on bool) int64 {
		if on {
			return 1
		}
		return 0
	}
	switch {
	case e.master != nil:
		for _, i := range e.master.Slaves() {
			s.Int(telemetry.SlaveLag, i.Behind, i.Addr)
			s.Int(telemetry.SlaveInSync, flag(i.InSync), i.Addr)
			exporter(i.Addr, i.Behind)
		}
	case e.ruler != nil:
		for _, i := range e.ruler.State().Slaves {
			s.Int(telemetry.SlaveLag, i.Behind, strconv.FormatInt(i.ID, 10))
			s.Int(telemetry.SlaveInSync, flag(i.InSync), strconv.FormatInt(i.ID, 10))
			exporter(i.Addr, i.Behind)
		}
	case e.slave != nil:
		s.Int(telemetry.SlaveConnected, flag(e.slave.State().Connected))
	case e.copy != nil:
		s.Int(telemetry.SlaveConnected, flag(e.copy.State().Connected))
	}
}

// labels are those of Java's controllers.
func (p *controllerPart) labels(c *config.Metrics) map[telemetry.Scope][]telemetry.Label {
	return map[telemetry.Scope][]telemetry.Label{telemetry.ScopeController: withOperators([]telemetry.Label{
		{Name: "address", Value: p.addr}, {Name: "group", Value: p.group}, {Name: "peer_id", Value: p.self},
	}, c)}
}

func (p *controllerPart) collect(s *telemetry.Sink) {
	connections(s, p.server, "controller")
	p.secure.collect(s, "controller")
	p.ctl.Collect(s)
}
