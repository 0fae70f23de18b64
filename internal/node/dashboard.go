package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/cluster"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/version"
)

// Dashboard says how to serve the console. It is no part of the broker's configuration: one process serves it, over any cluster.
type Dashboard struct {
	Listen string // host:port
	// Elsewhere: when the port is taken one of the next ones will do, or any.
	Elsewhere bool
	// NameServers of the cluster; those of this process come first.
	NameServers []string
	// Credentials sign what it asks; none: those that this process's broker uses itself.
	Credentials auth.Credentials
	Auth        string // httpapi.AuthFile or AuthNone
	File        string // where it keeps its users; "": beside the broker's store
	BasePath    string
	// AdminPassword makes the first administrator, "" = with the setup token.
	AdminPassword string
	CertFile      string // with KeyFile: HTTPS
	KeyFile       string
	// Prometheus answers what charts ask, "" = what this process samples.
	Prometheus string
	// Pages are the files of the user interface, Index the page of a base path. Nil: only the API is served.
	Pages fs.FS
	Index func(base string) ([]byte, error)
}

// dashboardPart is the console with its listener.
type dashboardPart struct {
	log     *slog.Logger
	url     string
	token   string // of the first administrator, "" = not needed
	open    bool
	l       net.Listener
	server  *http.Server
	api     *httpapi.API
	cluster *cluster.Cluster
	cert    [2]string
	watch   *watchPart // nil: charts and alerts are off, as there is no place for their files
}

const (
	// dashboardPorts is how many ports are tried before any will do.
	dashboardPorts = 10
	// dashboardIdle ends connections that browsers keep.
	dashboardIdle = 2 * time.Minute
)

var errOpenDashboard = errors.New("a dashboard that nobody has to sign in to may only listen on a loopback address")

// loopbackOnly says whether only this machine reaches an address.
func loopbackOnly(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (n *Node) startDashboard(ctx context.Context, o *Options) (p *dashboardPart, err error) {
	d := o.Dashboard
	if d.Auth == httpapi.AuthNone && !loopbackOnly(d.Listen) {
		return nil, fmt.Errorf("%s: %w", d.Listen, errOpenDashboard)
	}
	if (d.CertFile == "") != (d.KeyFile == "") {
		return nil, errors.New("a certificate needs its key, and a key its certificate")
	}
	log := o.Log.With("role", "dashboard")
	p = &dashboardPart{log: log, open: d.Auth == httpapi.AuthNone, cert: [2]string{d.CertFile, d.KeyFile}}
	names := d.NameServers
	if own := n.NamesrvAddr(); own != "" {
		names = append([]string{own}, names...)
	}
	p.cluster = cluster.New(cluster.Options{NameServers: names, Dial: o.Dial, Credentials: dashboardCredentials(o)})
	begun := p // a return with an error sets p to nil
	defer func() {
		if err != nil {
			if begun.watch != nil {
				err = errors.Join(err, begun.watch.abandon())
			}
			begun.cluster.Close()
		}
	}()
	file := d.File
	if file == "" && o.Broker != nil {
		file = filepath.Join(o.Broker.Store.Root, "cometmq", "console.db")
	}
	if file != "" {
		if err = o.FS.MkdirAll(filepath.Dir(file)); err != nil {
			return nil, err
		}
	}
	v := version.Get()
	ho := httpapi.Options{
		Cluster: p.cluster, Auth: d.Auth, File: file, AdminPassword: d.AdminPassword, UI: d.Pages, BasePath: d.BasePath, Listen: d.Listen,
		Version: v.Version, Commit: v.Commit, Log: log, Keys: knownKey,
	}
	if file != "" {
		if p.watch, err = n.newWatch(ctx, o, p.cluster, file, log); err != nil {
			return nil, err
		}
		ho.Metrics, ho.Alerts, ho.OwnMetrics = p.watch.asker, p.watch.watcher, o.Broker != nil
	}
	if d.Index != nil && d.Pages != nil {
		if ho.Index, err = d.Index(d.BasePath); err != nil {
			return nil, fmt.Errorf("page of the dashboard: %w", err)
		}
	}
	if p.api, err = httpapi.New(ho); err != nil {
		return nil, err
	}
	if p.l, err = listenNear(ctx, o, d.Listen, d.Elsewhere); err != nil {
		return nil, errors.Join(err, p.api.Close())
	}
	scheme := "http"
	if d.CertFile != "" {
		scheme = "https"
	}
	base := cmp.Or(d.BasePath, "/")
	p.url, p.token = scheme+"://"+reachable(p.l.Addr(), "")+base, p.api.SetupToken()
	p.server = &http.Server{
		Handler: p.api, ReadHeaderTimeout: headerTimeout, IdleTimeout: dashboardIdle, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("dashboard", "url", p.url)
	if p.token != "" {
		log.Warn("the dashboard has no user yet: open its page setup with this token", "token", p.token)
	}
	return p, nil
}

// dashboardCredentials are the operator's, else those that the broker of this process uses itself.
func dashboardCredentials(o *Options) auth.Credentials {
	c := o.Dashboard.Credentials
	if c.AccessKey != "" || o.Broker == nil {
		return c
	}
	if u, ok := o.Broker.Auth.InnerUser(); ok {
		return auth.Credentials{AccessKey: u.Name, SecretKey: u.Secret}
	}
	return c
}

// listenNear listens on an address, or with near on one of the ports behind it, or on any.
func listenNear(ctx context.Context, o *Options, addr string, near bool) (net.Listener, error) {
	l, err := o.Listen(ctx, "tcp", addr)
	if err == nil || !near {
		return l, err
	}
	host, text, serr := net.SplitHostPort(addr)
	port, perr := strconv.Atoi(text)
	if serr != nil || perr != nil {
		return nil, err
	}
	for i := 1; i <= dashboardPorts; i++ {
		if l, err := o.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port+i))); err == nil {
			return l, nil
		}
	}
	return o.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
}

// knownKey tells the dashboard what is known of a configuration key.
func knownKey(role, key string) (httpapi.KeyInfo, bool) {
	kind := map[string]config.Kind{httpapi.RoleBroker: config.KindBroker, httpapi.RoleNameServer: config.KindNamesrv, httpapi.RoleController: config.KindController}[role]
	f, ok := config.Known(kind, key)
	return httpapi.KeyInfo{Default: f.Default, Doc: f.Doc, Live: f.Live, Secret: config.IsSecret(key)}, ok
}

func (p *dashboardPart) run() error {
	serve := func() error { return p.server.Serve(p.l) }
	if p.cert[0] != "" {
		serve = func() error { return p.server.ServeTLS(p.l, p.cert[0], p.cert[1]) }
	}
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("the dashboard has ended", "err", err)
	}
	return nil
}

// stop ends streams first: they would never end by themselves.
func (p *dashboardPart) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	p.api.EndStreams()
	if err := p.server.Shutdown(ctx); err != nil {
		_ = p.server.Close() // whoever is left is cut off
	}
	err := p.api.Close()
	p.cluster.Close()
	return err
}

// DashboardURL is where the console is, "" when it is not served.
func (n *Node) DashboardURL() string {
	if n.dashboard == nil {
		return ""
	}
	return n.dashboard.url
}

// DashboardNote is what an operator must know of the console: how to make the first user, or that it is open.
func (n *Node) DashboardNote() string {
	switch {
	case n.dashboard == nil:
		return ""
	case n.dashboard.open:
		return "open to everybody on this machine"
	case n.dashboard.token != "":
		return "no user yet; setup token " + n.dashboard.token
	}
	return ""
}
