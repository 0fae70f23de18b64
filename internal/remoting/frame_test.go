package remoting

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestSplitFrame(t *testing.T) {
	t.Parallel()
	f := frame(Binary, 1, 2, 0, ext{"a": "b"}, []byte("body"))
	for k := range f {
		n, want, err := splitFrame(f[:k], protocol.MaxFrame)
		if n != 0 || err != nil || want <= k || want > len(f) {
			t.Fatalf("%d of %d bytes: %d, want %d, %v", k, len(f), n, want, err)
		}
	}
	if n, _, err := splitFrame(append(f, "more"...), protocol.MaxFrame); n != len(f) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, _, err := splitFrame(f, len(f)-1); !errors.Is(err, ErrMalformed) {
		t.Fatalf("above the limit: %v", err)
	}
	if n, _, err := splitFrame(f, len(f)); n != len(f) || err != nil {
		t.Fatalf("at the limit: %d, %v", n, err)
	}
}

func FuzzSplitFrame(f *testing.F) {
	f.Add(frame(Binary, 1, 2, 0, ext{"a": "b"}, []byte("body")), 4096)
	f.Add(frame(JSON, 200050, 2, 0, nil, nil), 100)
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, 1<<24)
	f.Add([]byte{0, 0, 0, 4, 0, 0, 0, 0}, 8)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit &= 1<<24 - 1
		n, want, err := splitFrame(b, limit)
		if err != nil {
			if n != 0 || !errors.Is(err, ErrMalformed) {
				t.Fatalf("n %d with %v", n, err)
			}
			return
		}
		if n == 0 {
			if want <= len(b) || want > max(limit, protocol.PrefixLen) {
				t.Fatalf("wants %d of %d, limit %d", want, len(b), limit)
			}
			return
		}
		total := binary.BigEndian.Uint32(b)
		s, h := protocol.SplitWord(binary.BigEndian.Uint32(b[4:]))
		if n > len(b) || n > limit || n != int(total)+4 || h > n-protocol.PrefixLen || s > Binary {
			t.Fatalf("frame of %d: total %d header %d serialisation %d", n, total, h, s)
		}
		for k := range n { // the answer does not come too early
			if m, _, err := splitFrame(b[:k], limit); m != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d, %v", k, n, m, err)
			}
		}
	})
}

// FuzzConnection sends arbitrary bytes to a server, in two pieces: it must answer or close, and serve the next one.
func FuzzConnection(f *testing.F) {
	f.Add(frame(Binary, codeEcho, 2, 0, ext{"a": "b"}, []byte("body")), 5)
	f.Add(append(get(JSON, codeEcho, 1), get(Binary, 4711, 2)...), 40)
	f.Add([]byte("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), 3)
	f.Add(proxyV2Header(1, 0x11, v2IPv4), 13)
	f.Add([]byte{0x16, 3, 1, 0, 5}, 1)
	n := memnet.New()
	l, err := n.Listen(":0")
	if err != nil {
		f.Fatal(err)
	}
	s := NewServer(ServerOptions{})
	s.Handle(codeEcho, echo)
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), l) }()
	f.Cleanup(func() {
		_ = s.Shutdown(context.Background())
		<-done
	})
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		c, err := n.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		cut = int(uint(cut) % uint(len(b)+1))
		_, _ = c.Write(b[:cut])
		_, _ = c.Write(b[cut:])
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		out, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		for r := bytes.NewReader(out); r.Len() > 0; {
			var l [4]byte
			_, _ = io.ReadFull(r, l[:])
			if k, err := r.Seek(int64(binary.BigEndian.Uint32(l[:])), io.SeekCurrent); err != nil || k > r.Size() {
				t.Fatalf("answer is cut: %v", err)
			}
		}
	})
}
