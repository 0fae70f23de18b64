package remoting

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBook is a slog target that tests can search.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// transport is a way to reach a server.
type transport struct {
	name   string
	listen func(tb testing.TB) net.Listener
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

func overTCP() transport {
	return transport{
		name: "tcp",
		listen: func(tb testing.TB) net.Listener {
			tb.Helper()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				tb.Fatal(err)
			}
			return l
		},
		dial: new(net.Dialer).DialContext,
	}
}

func overMemory() transport {
	n := memnet.New()
	return transport{
		name: "memory",
		listen: func(tb testing.TB) net.Listener {
			tb.Helper()
			l, err := n.Listen(":0")
			if err != nil {
				tb.Fatal(err)
			}
			return l
		},
		dial: n.Dial,
	}
}

// transports are TCP, where output is written without blocking, and memory, where it is not.
func transports() []transport { return []transport{overTCP(), overMemory()} }

// rig is a running server.
type rig struct {
	*Server
	tr   transport
	addr string
	err  chan error
	once sync.Once
}

// serve starts s over tr. It is shut down with the test, unless the test did.
func serve(tb testing.TB, tr transport, s *Server) *rig {
	tb.Helper()
	l := tr.listen(tb)
	r := &rig{Server: s, tr: tr, addr: l.Addr().String(), err: make(chan error, 1)}
	go func() { r.err <- s.Serve(context.Background(), l) }()
	tb.Cleanup(func() { r.stop(tb) })
	return r
}

func (r *rig) stop(tb testing.TB) {
	tb.Helper()
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		if err := <-r.err; err != nil && !errors.Is(err, ErrShutdown) {
			tb.Errorf("serve: %v", err)
		}
	})
}

// wire is a raw client.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (r *rig) wire(tb testing.TB) *wire {
	tb.Helper()
	c, err := r.tr.dial(context.Background(), "tcp", r.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return newWire(tb, c)
}

func newWire(tb testing.TB, c net.Conn) *wire {
	tb.Helper()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &wire{t: tb, Conn: c, r: bufio.NewReaderSize(c, 64<<10)}
}

func (w *wire) send(frames ...[]byte) {
	w.t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	if _, err := w.Write(all); err != nil {
		w.t.Fatalf("send: %v", err)
	}
}

// reply is a frame that came back.
type reply struct {
	*Command
	serial Serial
}

func (w *wire) recv() (reply, error) {
	var l [4]byte
	if _, err := io.ReadFull(w.r, l[:]); err != nil {
		return reply{}, err
	}
	b := make([]byte, binary.BigEndian.Uint32(l[:]))
	if _, err := io.ReadFull(w.r, b); err != nil {
		return reply{}, err
	}
	s, n := protocol.SplitWord(binary.BigEndian.Uint32(b))
	c, err := newCommand(s, b[4:4+n], b[4+n:])
	return reply{c, s}, err
}

func (w *wire) want(opaque, code int32) reply {
	w.t.Helper()
	r, err := w.recv()
	if err != nil {
		w.t.Fatalf("waiting for the answer to %d: %v", opaque, err)
	}
	if r.Opaque != opaque || r.Code != code || r.Flag != protocol.FlagResponse {
		w.t.Fatalf("got opaque %d code %d flag %d remark %q, want opaque %d code %d", r.Opaque, r.Code, r.Flag, r.Remark, opaque, code)
	}
	return r
}

// wantEnd waits for the server to close the connection.
func (w *wire) wantEnd() {
	w.t.Helper()
	if r, err := w.recv(); err == nil {
		w.t.Fatalf("got an answer, opaque %d code %d remark %q; want the connection closed", r.Opaque, r.Code, r.Remark)
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		w.t.Fatalf("connection is still open: %v", err)
	}
}

type ext map[string]string

func (e ext) AppendTo(w *protocol.FieldWriter) {
	for k, v := range e {
		w.Str(k, v)
	}
}

// frame builds a request.
func frame(s Serial, code, opaque, flag int32, h HeaderAppender, body []byte) []byte {
	var w protocol.FieldWriter
	w.Begin(nil, s, &protocol.Head{Code: code, Language: protocol.LanguageGo, Version: 317, Opaque: opaque, Flag: flag})
	if h != nil {
		h.AppendTo(&w)
	}
	return append(w.End(len(body)), body...)
}

func get(s Serial, code, opaque int32) []byte { return frame(s, code, opaque, 0, nil, nil) }

// echo answers with the request's fields and body.
func echo(c *Conn, r *Request) {
	c.Reply(r.ReplyTo(), 0, "", r.Fields, r.Body)
}

const codeEcho = 999
