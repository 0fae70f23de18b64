package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Files are what one side shows and believes; an empty name: nothing.
type Files struct {
	Cert, Key string // PEM; the certificate with its chain, leaf first
	Password  string // of the key
	Trust     string // PEM: certificates that are believed
}

// Ask is what a server wants of clients, Java's tls.server.need.client.auth.
type Ask uint8

// What may be asked.
const (
	AskNothing Ask = iota
	AskOptional
	AskRequired
)

// Options of a Keeper. The zero value shows nothing and believes everything, which is Java's client.
type Options struct {
	Server, Client Files
	SelfSigned     bool // Java's test mode: the server makes its certificate itself, when it is first needed
	Ask            Ask
	// VerifyClient and VerifyServer: without Trust, believe what the machine believes. Java: with neither, everything is believed.
	VerifyClient, VerifyServer bool
	VerifyHost                 bool // the server's certificate must be for the name that was dialed
	MinVersion, MaxVersion     uint16
	Ciphers                    []uint16 // of TLS 1.2; nil: Go's

	Poll time.Duration // between looks at the files, default 500 ms, as Java
	Log  *slog.Logger
	Disk Disk             // default: the operating system's
	Now  func() time.Time // for what is valid, default time.Now
}

// Disk is where the files are. They are the operator's, who may have given this process no right to write.
type Disk interface {
	Stat(name string) (fs.FileInfo, error)
	ReadFile(name string) ([]byte, error)
}

type osDisk struct{}

func (osDisk) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (osDisk) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

const (
	defaultPoll = 500 * time.Millisecond
	maxFile     = 4 << 20
	expiresSoon = 14 * 24 * time.Hour
)

// Keeper has the settings of handshakes, in both directions.
type Keeper struct {
	o              Options
	server, client half
	self           func() (*tls.Certificate, error)
}

// half is one direction.
type half struct {
	name     string
	files    Files
	now      atomic.Pointer[state]
	reloads  atomic.Int64
	failures atomic.Int64

	// Of Run alone: the files as they were when they were read last, and as they were at the last look.
	read, seen []stamp
}

// state is what was loaded. It is not changed.
type state struct {
	cert  *tls.Certificate // nil: none
	trust *x509.CertPool   // nil: none was named
	conf  *tls.Config
}

// stamp tells one content of a file from the next.
type stamp struct {
	mtime time.Time
	size  int64
	err   string
}

// Open loads the files. What is wrong with them is an error here.
func Open(o Options) (*Keeper, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disk == nil {
		o.Disk = osDisk{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	k := &Keeper{o: o}
	k.server.name, k.server.files = "server", o.Server
	k.client.name, k.client.files = "client", o.Client
	if o.SelfSigned {
		k.server.files = Files{}
		k.self = sync.OnceValues(k.selfSigned)
	}
	for _, h := range k.halves() {
		h.read = k.stamps(h)
		h.seen = h.read
		s, err := k.load(h)
		if err != nil {
			return nil, err
		}
		k.use(h, s)
	}
	return k, nil
}

func (k *Keeper) halves() []*half { return []*half{&k.server, &k.client} }

func (f *Files) names() []string { return []string{f.Cert, f.Key, f.Trust} }

// Serves reports whether there is a certificate to show to clients.
func (k *Keeper) Serves() bool { return k.o.SelfSigned || k.server.files.Cert != "" }

// Server returns the settings for servers. They follow the files.
func (k *Keeper) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.server.now.Load().conf, nil },
	}
}

// load reads the files of h.
func (k *Keeper) load(h *half) (*state, error) {
	s := &state{}
	f := &h.files
	if f.Cert != "" || f.Key != "" {
		chain, err := k.file(f.Cert)
		if err != nil {
			return nil, fmt.Errorf("certificate of the %s: %w", h.name, err)
		}
		key, err := k.file(f.Key)
		if err != nil {
			return nil, fmt.Errorf("private key of the %s: %w", h.name, err)
		}
		if s.cert, err = pair(chain, key, f.Password); err != nil {
			return nil, fmt.Errorf("certificate of the %s: %s with %s: %w", h.name, f.Cert, f.Key, err)
		}
	}
	if f.Trust != "" {
		data, err := k.file(f.Trust)
		if err == nil {
			if s.trust, err = pool(data); err != nil {
				err = fmt.Errorf("%s: %w", f.Trust, err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("certificates that the %s believes: %w", h.name, err)
		}
	}
	if h == &k.server {
		s.conf = k.serverConfig(s)
	} else {
		s.conf = k.clientConfig(s)
	}
	return s, nil
}

func (k *Keeper) file(name string) ([]byte, error) {
	if name == "" {
		return nil, errors.New("no file is named")
	}
	i, err := k.o.Disk.Stat(name)
	if err != nil {
		return nil, err
	}
	if !i.Mode().IsRegular() || i.Size() > maxFile {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", name, maxFile)
	}
	return k.o.Disk.ReadFile(name)
}

func (k *Keeper) use(h *half, s *state) {
	h.now.Store(s)
	if s.cert == nil {
		return
	}
	switch left := s.cert.Leaf.NotAfter.Sub(k.o.Now()); {
	case left <= 0:
		k.o.Log.Error("the certificate has expired", "side", h.name, "file", h.files.Cert, "not_after", s.cert.Leaf.NotAfter)
	case left < expiresSoon:
		k.o.Log.Warn("the certificate expires soon", "side", h.name, "file", h.files.Cert, "not_after", s.cert.Leaf.NotAfter)
	}
}

func (k *Keeper) common() *tls.Config {
	return &tls.Config{
		MinVersion: max(k.o.MinVersion, tls.VersionTLS12), MaxVersion: k.o.MaxVersion, CipherSuites: k.o.Ciphers, Time: k.o.Now,
	}
}

func (k *Keeper) serverConfig(s *state) *tls.Config {
	c := k.common()
	// A session that is resumed has not been checked against the authorities of now. Connections live long, so that little is lost.
	c.SessionTicketsDisabled = true
	c.ClientCAs = s.trust
	verify := s.trust != nil || k.o.VerifyClient
	switch {
	case k.o.SelfSigned || k.o.Ask == AskNothing:
	case k.o.Ask == AskOptional && verify:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case k.o.Ask == AskOptional:
		c.ClientAuth = tls.RequestClientCert
	case verify:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		c.ClientAuth = tls.RequireAnyClientCert
	}
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if k.self != nil {
			return k.self()
		}
		return s.cert, nil
	}
	return c
}

func (k *Keeper) clientConfig(s *state) *tls.Config {
	c := k.common()
	c.InsecureSkipVerify = true // Dial adds VerifyConnection, which does not look at the name unless it is told to, as Java
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if s.cert == nil {
			return &tls.Certificate{}, nil
		}
		return s.cert, nil
	}
	return c
}

// verify decides whether the server at host is believed.
func (k *Keeper) verify(cs *tls.ConnectionState, trust *x509.CertPool, host string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	leaf := cs.PeerCertificates[0]
	if trust != nil || k.o.VerifyServer {
		o := x509.VerifyOptions{Roots: trust, Intermediates: x509.NewCertPool(), CurrentTime: k.o.Now()}
		for _, c := range cs.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		if _, err := leaf.Verify(o); err != nil {
			return err
		}
	}
	if k.o.VerifyHost {
		return leaf.VerifyHostname(host)
	}
	return nil
}

// Run looks at the files until ctx ends. It returns ctx's error.
func (k *Keeper) Run(ctx context.Context) error {
	if k.server.files == (Files{}) && k.client.files == (Files{}) {
		<-ctx.Done()
		return ctx.Err()
	}
	t := time.NewTicker(k.o.Poll)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			for _, h := range k.halves() {
				k.look(h)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look loads the files of h when they have changed and were the same at two looks: certificate and key are two files, and whoever
// replaces them writes one after the other.
func (k *Keeper) look(h *half) {
	if h.files == (Files{}) {
		return
	}
	is := k.stamps(h)
	settled := slices.Equal(is, h.seen)
	h.seen = is
	if !settled || slices.Equal(is, h.read) {
		return
	}
	h.read = is
	s, err := k.load(h)
	if err != nil {
		h.failures.Add(1)
		k.o.Log.Error("the files for TLS have changed and cannot be used: what was loaded before stays in force", "side", h.name, "err", err)
		return
	}
	h.reloads.Add(1)
	k.use(h, s)
	k.o.Log.Info("the files for TLS have changed and are in force for new connections", "side", h.name)
}

func (k *Keeper) stamps(h *half) []stamp {
	out := make([]stamp, 0, len(h.files.names()))
	for _, name := range h.files.names() {
		var s stamp
		if name != "" {
			if i, err := k.o.Disk.Stat(name); err != nil {
				s.err = err.Error()
			} else {
				s.mtime, s.size = i.ModTime(), i.Size()
			}
		}
		out = append(out, s)
	}
	return out
}

// Figures are about one side, for metrics.
type Figures struct {
	Side              string // server or client
	Expires           time.Time
	Reloads, Failures int64
}

// Figures returns those of the sides that show a certificate from a file or follow one.
func (k *Keeper) Figures() []Figures {
	var out []Figures
	for _, h := range k.halves() {
		if h.files == (Files{}) {
			continue
		}
		f := Figures{Side: h.name, Reloads: h.reloads.Load(), Failures: h.failures.Load()}
		if s := h.now.Load(); s.cert != nil {
			f.Expires = s.cert.Leaf.NotAfter
		}
		out = append(out, f)
	}
	return out
}

// Now is the clock that certificates are judged by.
func (k *Keeper) Now() time.Time { return k.o.Now() }

const (
	selfSignedYears = 10
	serialBits      = 64
)

// selfSigned makes a certificate that nobody can check, as Java's test mode: it keeps out those who only listen.
func (k *Keeper) selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	now := k.o.Now()
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(selfSignedYears, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	k.o.Log.Warn("test mode: a self-signed certificate was made, which clients cannot check; name one in tls.server.certPath")
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
