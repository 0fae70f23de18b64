package websocket_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/api/mqttapi/websocket"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 2 * time.Minute

// pair returns the two ends of a connection, the client's without any WebSocket.
func pair(tb testing.TB, o websocket.Options) (client, server net.Conn) {
	tb.Helper()
	n := memnet.New()
	l, err := n.Listen("127.0.0.1:8888")
	must(tb, err)
	client, err = n.Dial(tb.Context(), "tcp", "127.0.0.1:8888")
	must(tb, err)
	server, err = websocket.Listen(l, o).Accept()
	must(tb, err)
	for _, c := range []net.Conn{client, server} {
		must(tb, c.SetDeadline(time.Now().Add(patience)))
	}
	tb.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		_ = l.Close()
	})
	return client, server
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

const request = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other, mqtt\r\nOrigin: https://app.example.com\r\n\r\n"

// frame is a frame of a client.
func frame(op byte, final bool, payload []byte) []byte {
	first := op
	if final {
		first |= 0x80
	}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 250}
	b = append(b, mask...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// wire is what a client sees.
type wire struct {
	tb testing.TB
	nc net.Conn
	br *bufio.Reader
}

// opened returns a client and a server behind the handshake, with data behind the request.
func opened(tb testing.TB, data ...[]byte) (*wire, net.Conn) {
	tb.Helper()
	client, server := pair(tb, websocket.Options{})
	w := &wire{tb, client, bufio.NewReader(client)}
	go func() { _, _ = client.Write(append([]byte(request), bytes.Join(data, nil)...)) }()
	return w, server
}

// answered reads the answer to the request.
func (w *wire) answered() (status int, header http.Header) {
	w.tb.Helper()
	r, err := http.ReadResponse(w.br, nil)
	must(w.tb, err)
	_, err = io.Copy(io.Discard, r.Body)
	must(w.tb, errors.Join(err, r.Body.Close()))
	return r.StatusCode, r.Header
}

// next returns the next frame of the server.
func (w *wire) next() (op byte, payload []byte) {
	w.tb.Helper()
	b := make([]byte, 2)
	_, err := io.ReadFull(w.br, b)
	must(w.tb, err)
	n := uint64(b[1])
	switch n {
	case 126:
		more := make([]byte, 2)
		_, err = io.ReadFull(w.br, more)
		n = uint64(binary.BigEndian.Uint16(more))
	case 127:
		more := make([]byte, 8)
		_, err = io.ReadFull(w.br, more)
		n = binary.BigEndian.Uint64(more)
	}
	must(w.tb, err)
	if b[0]&0x80 == 0 || n > 1<<20 {
		w.tb.Fatalf("frame %x of %d bytes", b, n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(w.br, payload)
	must(w.tb, err)
	return b[0] & 0x0f, payload
}

func TestBytesOfMessagesAreAStream(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789"), 7000) // more than 16 bits say
	w, server := opened(t, frame(2, true, []byte("abc")), frame(2, false, []byte("d")), frame(9, true, []byte("ping")), frame(0, true, long),
		frame(2, true, nil), frame(2, true, bytes.Repeat([]byte("x"), 200)))
	want := "abcd" + string(long) + strings.Repeat("x", 200)
	got := make([]byte, len(want))
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(server, got)
		done <- err
	}()
	status, header := w.answered()
	if status != http.StatusSwitchingProtocols || header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || header.Get("Sec-WebSocket-Protocol") != "mqtt" {
		t.Errorf("%d %v", status, header)
	}
	if op, payload := w.next(); op != 0xA || string(payload) != "ping" {
		t.Errorf("frame %x %q, want the Pong", op, payload)
	}
	must(t, <-done)
	if string(got) != want {
		t.Error("the bytes differ")
	}
	for _, n := range []int{1, 125, 126, 4096, 4097, 65535, 65536, 100_000} {
		b := bytes.Repeat([]byte{byte(n)}, n)
		go func() {
			_, err := server.Write(b)
			done <- err
		}()
		if op, payload := w.next(); op != 2 || !bytes.Equal(payload, b) {
			t.Errorf("%d bytes: frame %x of %d bytes", n, op, len(payload))
		}
		must(t, <-done)
	}
}

func TestCloseIsAnswered(t *testing.T) {
	t.Parallel()
	w, server := opened(t, frame(8, true, []byte{0x03, 0xe8, 'b', 'y', 'e'}))
	done := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 10))
		done <- err
	}()
	w.answered()
	if op, payload := w.next(); op != 8 || !bytes.Equal(payload, []byte{0x03, 0xe8}) {
		t.Errorf("frame %x %x", op, payload)
	}
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestBrokenRulesEndTheConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   []byte
		code uint16
	}{
		"text":                     {frame(1, true, []byte("a")), 1003},
		"reserved bits":            {[]byte{0x80 | 0x40 | 2, 0x80, 0, 0, 0, 0}, 1002},
		"no mask":                  {[]byte{0x82, 1, 'a'}, 1002},
		"long ping":                {frame(9, true, make([]byte, 126)), 1002},
		"ping in parts":            {frame(9, false, nil), 1002},
		"continuation of nothing":  {frame(0, true, []byte("a")), 1002},
		"message inside a message": {append(frame(2, false, nil), frame(2, true, nil)...), 1002},
		"unknown frame":            {frame(3, true, nil), 1002},
		"a length below 0":         {[]byte{0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 1002},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, server := opened(t, c.in)
			done := make(chan error, 1)
			go func() {
				_, err := server.Read(make([]byte, 10))
				done <- err
			}()
			w.answered()
			op, payload := w.next()
			if op != 8 || len(payload) != 2 || binary.BigEndian.Uint16(payload) != c.code {
				t.Errorf("frame %x %x, want the end with %d", op, payload, c.code)
			}
			if err := <-done; !errors.Is(err, websocket.ErrProtocol) {
				t.Error(err)
			}
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in     string
		status int
	}{
		"a page":         {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"another method": {strings.Replace(request, "GET", "POST", 1), 400},
		"old":            {strings.Replace(request, "Version: 13", "Version: 8", 1), 426},
		"no protocol":    {strings.Replace(request, "other, mqtt", "other", 1), 400},
		"short key":      {strings.Replace(request, "dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 1), 400},
		"a stranger":     {strings.Replace(request, "app.example", "evil.example", 1), 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t, websocket.Options{Origins: []string{"https://APP.example.com"}})
			w := &wire{t, client, bufio.NewReader(client)}
			go func() { _, _ = client.Write([]byte(c.in)) }()
			done := make(chan error, 1)
			go func() {
				_, err := server.Read(make([]byte, 10))
				done <- err
			}()
			if status, _ := w.answered(); status != c.status {
				t.Errorf("%d, want %d", status, c.status)
			}
			if err := <-done; !errors.Is(err, websocket.ErrProtocol) {
				t.Error(err)
			}
			if _, err := server.Write([]byte("x")); err == nil {
				t.Error("it writes")
			}
		})
	}
}

func TestARequestWithoutEndIsRefused(t *testing.T) {
	t.Parallel()
	client, server := pair(t, websocket.Options{})
	go func() {
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(client, "GET /%s HTTP/1.1\r\n", strings.Repeat("a", 1000)); err != nil {
				return
			}
		}
	}()
	if _, err := server.Read(make([]byte, 10)); err == nil {
		t.Error("it is taken")
	}
	must(t, client.Close())
}

// TestAPeerThatReadsNothing: its Pings make nobody wait for ever, and the owner's deadline counts.
func TestAPeerThatReadsNothing(t *testing.T) {
	t.Parallel()
	w, server := opened(t)
	go func() { _, _ = server.Read(make([]byte, 10)) }()
	w.answered()
	must(t, server.SetWriteDeadline(time.Now().Add(-time.Second)))
	if _, err := server.Write(make([]byte, 1<<20)); err == nil {
		t.Error("it is written behind the deadline")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(request))
	f.Add(append([]byte(request), frame(2, true, []byte("abc"))...))
	f.Add(append([]byte(request), frame(9, true, []byte("abc"))...))
	f.Fuzz(func(t *testing.T, in []byte) {
		client, server := pair(t, websocket.Options{})
		go func() { _, _ = io.Copy(io.Discard, client) }()
		go func() {
			_, _ = client.Write(in)
			_ = client.Close()
		}()
		n, err := io.Copy(io.Discard, struct{ io.Reader }{server})
		if n > int64(len(in)) {
			t.Errorf("%d bytes of %d", n, len(in))
		}
		_ = err // anything but a panic
	})
}
