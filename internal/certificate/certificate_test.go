package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/testkit/certs"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

var farAway = certs.FarAway

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is Disk in memory.
type disk struct {
	mu    sync.Mutex
	files map[string]file
}

type file struct {
	data  []byte
	mtime time.Time
}

func (d *disk) put(name string, data []byte, mtime time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = map[string]file{}
	}
	d.files[name] = file{data, mtime}
}

func (d *disk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.data, nil
}

func (d *disk) Stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return info{name, f}, nil
}

type info struct {
	name string
	f    file
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.f.data)) }
func (i info) Mode() fs.FileMode  { return 0o600 }
func (i info) ModTime() time.Time { return i.f.mtime }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// world is an authority with a server and a client on a disk.
func world(tb testing.TB) (*disk, *certs.Authority) {
	tb.Helper()
	d, a := &disk{}, certs.NewAuthority(tb, "root")
	d.put("ca", a.PEM, time.Unix(1, 0))
	for _, n := range []string{"server", "client"} {
		cert, key := a.Issue(tb, n, farAway)
		d.put(n+".pem", cert, time.Unix(1, 0))
		d.put(n+".key", key, time.Unix(1, 0))
	}
	return d, a
}

func mustOpen(tb testing.TB, o Options) *Keeper {
	tb.Helper()
	k, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var (
	serverFiles = Files{Cert: "server.pem", Key: "server.key"}
	clientFiles = Files{Cert: "client.pem", Key: "client.key", Trust: "ca"}
)

// connected is both ends of a connection with buffers: an end that gives up says so while the other one is still talking.
func connected(tb testing.TB) (here, there net.Conn) {
	tb.Helper()
	n := memnet.New()
	l, err := n.Listen(":0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if here, err = n.Dial(tb.Context(), "tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	return here, there
}

// over dials what is connected already.
func over(nc net.Conn) Dialer {
	return func(context.Context, string, string) (net.Conn, error) { return nc, nil }
}

// shake has a client of one keeper meet a server of another. name is what the client dials.
func shake(tb testing.TB, server, client *Keeper, name string) (shown *x509.Certificate, serverErr, clientErr error) {
	tb.Helper()
	here, there := connected(tb)
	done := make(chan error, 1)
	go func() {
		tc := tls.Server(there, server.Server())
		err := tc.Handshake()
		if err == nil {
			_, err = tc.Write([]byte("x"))
		}
		_ = tc.Close()
		done <- err
	}()
	nc, err := client.Dial(over(here))(tb.Context(), "tcp", name+":1")
	if err == nil {
		_, err = nc.Read(make([]byte, 1)) // of TLS 1.3 the client knows only now that it was believed
		tc, _ := nc.(*tls.Conn)
		shown = tc.ConnectionState().PeerCertificates[0]
		_ = here.Close()
	}
	return shown, <-done, err
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Count(s.b.Bytes(), []byte(text))
}

func logTo(s *syncBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }
