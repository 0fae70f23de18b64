package httpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/alerts"
	"github.com/cometmq/cometmq/internal/jobs"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/series"
)

// Authenticators.
const (
	AuthFile = "file" // users of the console, in its own file
	AuthNone = "none" // nobody has to sign in; only for loopback
)

// Options tune an API. Cluster is needed.
type Options struct {
	Cluster mq.Cluster
	// Auth is one of the authenticators, default AuthFile.
	Auth string
	// File is where users, sessions, tokens and the audit are kept. "": in memory, until the end.
	File string
	// AdminPassword, if not empty, makes the user admin with it when there is no user yet.
	AdminPassword string
	// PasswordMemory is what hashing a password takes, in KiB; default 64 MiB.
	PasswordMemory uint32
	// UI holds index.html and its assets; nil: there is only the API.
	UI fs.FS
	// Index is the page that paths of the user interface answer with, made for BasePath; nil: index.html of UI.
	Index []byte
	// BasePath is where a reverse proxy mounts it, default "/".
	BasePath string
	// Listen is the address, for the settings page.
	Listen string
	// Metrics answers what charts ask; nil: nobody samples. A Prometheus in the settings is asked instead.
	Metrics series.Asker
	// OwnMetrics: Metrics has what the only broker set of its cluster counted since that broker began, so that there was nothing before
	// the first figure.
	OwnMetrics bool
	// Alerts evaluates rules; nil: nobody does.
	Alerts *alerts.Watcher
	// Keys tells what is known of a configuration key; nil: nothing.
	Keys func(role, key string) (KeyInfo, bool)
	// Version and Commit of this build.
	Version, Commit string
	Log             *slog.Logger
	Now             func() time.Time
}

// KeyInfo is what is known of a configuration key.
type KeyInfo struct {
	Default, Doc string
	Live         bool // it counts without a restart
	Secret       bool
}

// Roles whose configuration Keys knows.
const (
	RoleBroker     = "broker"
	RoleNameServer = "namesrv"
	RoleController = "controller"
)

// API is the dashboard's HTTP handler.
type API struct {
	o        Options
	cluster  mq.Cluster
	log      *slog.Logger
	now      func() time.Time
	base     string // "" or "/x"
	handler  http.Handler
	keep     *keep
	sessions *sessions
	logins   *loginLimit
	repeats  *repeats
	jobs     *jobs.Engine
	streams  streams
	ui       *ui
	seal     *sealer
	scans    chan struct{} // a token for each message search
	setup    *setup
	clients  *clientCache
	progress recent[mq.GroupsStats] // by address of a broker
	online   recent[mq.AllClients]
	today    recent[map[string]float64] // what came in since midnight by topic, by cluster
	document documentCache
	own      settingsCache
	started  time.Time

	ctx    context.Context // the lifetime of jobs
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

var errNoCluster = errors.New("httpapi: no cluster")

// New returns the handler. Nothing is opened before it is needed.
func New(o Options) (*API, error) {
	if o.Cluster == nil {
		return nil, errNoCluster
	}
	o.Auth = cmp.Or(o.Auth, AuthFile)
	o.PasswordMemory = cmp.Or(o.PasswordMemory, argonMemory)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	base, err := basePath(o.BasePath)
	if err != nil {
		return nil, err
	}
	a := &API{
		o: o, cluster: o.Cluster, log: o.Log, now: o.Now, base: base, started: o.Now(), scans: make(chan struct{}, maxScans),
		seal: newSealer(o.Now), logins: newLoginLimit(o.Now), repeats: newRepeats(o.Now), keep: newKeep(o.File),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.sessions = &sessions{keep: a.keep, now: o.Now}
	jo := jobs.Options{Now: o.Now, Log: o.Log}
	if o.File != "" {
		jo.Dir = filepath.Join(filepath.Dir(o.File), "jobs")
	}
	a.jobs = jobs.New(jo)
	a.clients = &clientCache{a: a}
	if a.setup, err = newSetup(a); err != nil {
		a.cancel()
		return nil, errors.Join(err, a.keep.close())
	}
	if a.ui, err = newUI(o.UI, o.Index, base); err != nil {
		a.cancel()
		return nil, errors.Join(err, a.keep.close())
	}
	a.handler = a.build()
	a.wg.Go(func() { _ = a.jobs.Run(a.ctx) }) // it ends with the context and without an error
	return a, nil
}

var errBasePath = errors.New("the base path of the dashboard must be a path like /mq, without .. or query")

// basePath checks and normalizes: "" for "/", else with a slash in front and none behind.
func basePath(s string) (string, error) {
	s = strings.TrimRight(s, "/")
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Path != s || s[0] != '/' || strings.Contains(s, "..") || strings.Contains(s, "//") || strings.ContainsAny(s, "{}\"'<>") {
		return "", errBasePath
	}
	return s, nil
}

// ServeHTTP makes it a handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// SetupToken is what makes the first administrator, "" when there is one, or none is needed.
func (a *API) SetupToken() string { return a.setup.current() }

// EndStreams ends what would go on for ever, and jobs.
func (a *API) EndStreams() { a.cancel() }

// Close ends jobs and streams and closes the file.
func (a *API) Close() error {
	a.cancel()
	a.wg.Wait()
	return a.keep.close()
}

// build puts the router together.
func (a *API) build() http.Handler {
	mux := http.NewServeMux()
	guard := http.NewCrossOriginProtection()
	for i := range routes {
		rt := &routes[i]
		mux.Handle(rt.method+" "+a.base+"/api/v1"+rt.path, a.serve(rt))
		if rt.path == "/healthz" || rt.path == "/readyz" { // also where probes expect them
			mux.Handle("GET "+a.base+rt.path, a.serve(rt))
		}
	}
	mux.HandleFunc(a.base+"/api/", func(w http.ResponseWriter, r *http.Request) {
		_ = a.refuse(w, r, errNoRoute)
	})
	mux.Handle(a.base+"/", a.ui)
	if a.base != "" {
		mux.Handle("/{$}", http.RedirectHandler(a.base+"/", http.StatusFound))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers(w.Header(), r)
		if a.o.Auth == AuthNone && !localHost(r.Host) { // a name that resolves to loopback: DNS rebinding
			_ = a.refuse(w, r, problemf(http.StatusMisdirectedRequest, "wrongHost", "the dashboard is open only to this machine, not as %q", r.Host))
			return
		}
		if err := guard.Check(r); err != nil {
			_ = a.refuse(w, r, problemf(http.StatusForbidden, "crossOrigin", "requests of other sites are refused"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// localHost says whether a Host header names this machine by a name or number that no stranger controls.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// csp: scripts need nothing inline; some parts of the user interface make style elements.
const csp = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

func headers(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// newID returns a random name of 128 bits.
func newID() string { return rand.Text() }
