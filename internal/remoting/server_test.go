package remoting

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/protocol"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{})
			s.Handle(codeEcho, echo)
			w := serve(t, tr, s).wire(t)
			const n = 2000
			go func() {
				var all []byte
				for i := range int32(n) {
					all = append(all, frame(Serial(i%2), codeEcho, i, 0, ext{"k": fmt.Sprint(i)}, bytes.Repeat([]byte{byte(i)}, int(i)%700))...)
				}
				for len(all) > 0 { // pieces that never match the frames
					k := min(len(all), 1777)
					_, _ = w.Write(all[:k])
					all = all[k:]
				}
			}()
			for i := range int32(n) {
				r := w.want(i, 0)
				if r.serial != Serial(i%2) || r.Version != protocol.VersionServed || r.Language != protocol.LanguageJava {
					t.Fatalf("answer %d: serialisation %d version %d language %d", i, r.serial, r.Version, r.Language)
				}
				if r.Ext["k"] != fmt.Sprint(i) || !bytes.Equal(r.Body, bytes.Repeat([]byte{byte(i)}, int(i)%700)) {
					t.Fatalf("answer %d: %v, body of %d bytes", i, r.Ext, len(r.Body))
				}
			}
		})
	}
}

func TestFramesArriveByteByByte(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{})
			s.Handle(codeEcho, echo)
			w := serve(t, tr, s).wire(t)
			for i := range int32(2) {
				f := frame(Serial(i), codeEcho, i, 0, ext{"key": "v\x01a\"l"}, []byte("body"))
				for k := range f {
					w.send(f[k : k+1])
				}
				if r := w.want(i, 0); r.Ext["key"] != "v\x01a\"l" || string(r.Body) != "body" {
					t.Fatalf("answer %d: %q %q", i, r.Ext, r.Body)
				}
			}
		})
	}
}

func TestLargeFramesBothWays(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{})
			s.Handle(codeEcho, func(c *Conn, r *Request) {
				b := bufpool.Get(len(r.Body))
				b.B = append(b.B, r.Body...)
				c.ReplyBuf(r.ReplyTo(), 0, "", nil, b)
			})
			w := serve(t, tr, s).wire(t)
			for i, n := range []int{1, inlineBody, inlineBody + 1, rawRead, 1 << 20, 5<<20 + 1, 100, protocol.MaxFrame - 200} {
				body := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
				go w.send(frame(Binary, codeEcho, int32(i), 0, nil, body), get(JSON, codeEcho, -1))
				if r := w.want(int32(i), 0); !bytes.Equal(r.Body, body) {
					t.Fatalf("body of %d bytes came back with %d", n, len(r.Body))
				}
				w.want(-1, 0)
			}
		})
	}
}

func TestAnswerLongerThanAFrameBecomesAnError(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{MaxFrame: 1000})
	s.Handle(codeEcho, func(c *Conn, r *Request) { c.Reply(r.ReplyTo(), 0, "", nil, make([]byte, 990)) })
	w := serve(t, overMemory(), s).wire(t)
	w.send(get(JSON, codeEcho, 4))
	if r := w.want(4, protocol.RespSystemError); !strings.Contains(r.Remark, "the limit is 1000") {
		t.Fatalf("remark %q", r.Remark)
	}
}

func TestMalformedInputClosesThatConnectionOnly(t *testing.T) {
	t.Parallel()
	word := func(n, w uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, n), w)
	}
	for name, bad := range map[string][]byte{
		"too long":        word(protocol.MaxFrame-3, 10),
		"negative":        word(0xFFFFFFFF, 10),
		"no room":         word(3, 0),
		"header too long": word(20, 17),
		"serialisation":   append(word(24, 2<<24|20), make([]byte, 20)...),
		"binary garbage":  append(word(25, 1<<24|21), bytes.Repeat([]byte{0x7F}, 21)...),
		"JSON garbage":    append(word(8, 4), "nope"...),
		"HTTP":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"random":          []byte("\x00\x00\x01\x00garbage garbage garbage"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book := &logBook{}
			s := NewServer(ServerOptions{Log: book.logger()})
			s.Handle(codeEcho, echo)
			r := serve(t, overTCP(), s)
			good, evil := r.wire(t), r.wire(t)
			good.send(get(JSON, codeEcho, 1))
			good.want(1, 0)
			evil.send(get(Binary, codeEcho, 7), bad) // what came before is still answered
			evil.want(7, 0)
			evil.wantEnd()
			good.send(get(Binary, codeEcho, 2))
			good.want(2, 0)
			r.stop(t)
			text := book.String()
			if strings.Count(text, "\n") != 1 || !strings.Contains(text, "malformed") || !strings.Contains(text, evil.LocalAddr().String()) {
				t.Fatalf("log:\n%s", text)
			}
		})
	}
}

func TestOnewayIsNeverAnswered(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{})
			s.Handle(1, func(c *Conn, r *Request) {
				b := bufpool.Get(10)
				c.ReplyBuf(r.ReplyTo(), 0, "", nil, b)
				c.Reply(r.ReplyTo(), 0, "", nil, nil)
			})
			s.Handle(2, func(*Conn, *Request) { panic("oneway") })
			s.Handle(codeEcho, echo)
			w := serve(t, tr, s).wire(t)
			for code := range int32(4) { // 0 and 3 have no handler
				w.send(frame(Binary, code, code, protocol.FlagOneway, nil, nil))
			}
			w.send(get(JSON, codeEcho, 77))
			w.want(77, 0)
		})
	}
}

func TestUnknownCodeText(t *testing.T) {
	t.Parallel()
	w := serve(t, overMemory(), NewServer(ServerOptions{})).wire(t)
	w.send(get(JSON, 4711, 3), get(JSON, 200050, 4))
	if r := w.want(3, 3); r.Remark != " request type 4711 not supported" {
		t.Fatalf("remark %q", r.Remark)
	}
	w.want(4, 3)
}

func TestCutCodesOfTheBinaryHeaderAreRestored(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{Version: 493})
	s.Handle(protocol.ReqPopMessage, func(c *Conn, r *Request) {
		v, _ := r.Fields.Get("k")
		c.Reply(r.ReplyTo(), 0, string(v)+r.LanguageName(), nil, r.Body)
	})
	w := serve(t, overMemory(), s).wire(t)
	captured, err := hex.DecodeString("0000002a010000240d720001df00000007000000000000000000" + "00000f0001650000000000016b00000001760102")
	if err != nil {
		t.Fatal(err)
	}
	w.send(captured)
	if r := w.want(7, 0); r.Remark != "vJAVA" || !bytes.Equal(r.Body, []byte{1, 2}) || r.Version != 493 || r.serial != Binary {
		t.Fatalf("answer %+v", r.Command)
	}
}

func TestPanicCostsTheRequestOnly(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			book := &logBook{}
			s := NewServer(ServerOptions{Log: book.logger()})
			s.Handle(1, func(*Conn, *Request) { panic("handler broke") })
			s.Handle(2, func(c *Conn, r *Request) { c.Reply(r.ReplyTo(), 0, "", brokenHeader{}, nil) })
			s.Handle(3, func(c *Conn, r *Request) {
				to := r.ReplyTo()
				c.GoReply(to, func() { panic("task broke") })
			})
			s.Handle(codeEcho, echo)
			w := serve(t, tr, s).wire(t)
			w.send(get(JSON, codeEcho, 1), get(JSON, 1, 2), get(JSON, codeEcho, 3), get(Binary, 2, 4), get(JSON, codeEcho, 5))
			w.want(1, 0)
			if r := w.want(2, 1); !strings.Contains(r.Remark, "handler broke") {
				t.Fatalf("remark %q", r.Remark)
			}
			w.want(3, 0)
			w.want(4, 1)
			w.want(5, 0)
			w.send(get(JSON, 3, 6))
			if r := w.want(6, 1); !strings.Contains(r.Remark, "task broke") {
				t.Fatalf("remark %q", r.Remark)
			}
			if n := strings.Count(book.String(), "level=ERROR"); n != 3 {
				t.Fatalf("%d error lines:\n%s", n, book)
			}
		})
	}
}

type brokenHeader struct{}

func (brokenHeader) AppendTo(w *protocol.FieldWriter) {
	w.Str("half", "done")
	panic("header broke")
}

func TestBurstEndSeesTheBytesOfAllItsRequests(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			type held struct {
				to    ReplyTo
				props []byte
				body  []byte
			}
			var bursts atomic.Int32
			s := NewServer(ServerOptions{
				OnOpen: func(c *Conn) { c.SetState(new([]held)) },
				OnBurstEnd: func(c *Conn) {
					hs := c.State().(*[]held)
					if len(*hs) > 0 {
						bursts.Add(1)
					}
					for _, h := range *hs {
						c.Reply(h.to, 0, string(h.props), nil, h.body)
					}
					*hs = (*hs)[:0]
				},
			})
			s.Handle(310, func(c *Conn, r *Request) {
				hs := c.State().(*[]held)
				v, _ := r.Fields.Get("i")
				*hs = append(*hs, held{r.ReplyTo(), v, r.Body})
			})
			w := serve(t, tr, s).wire(t)
			for round := range int32(20) {
				var all []byte
				for i := range int32(64) {
					all = append(all, frame(Serial((round+i)%2), 310, i, 0, ext{"i": fmt.Sprintf("k\x01%d-%d\x02", round, i)}, fmt.Appendf(nil, "body %d", i))...)
				}
				w.send(all)
				for i := range int32(64) {
					r := w.want(i, 0)
					if r.Remark != fmt.Sprintf("k\x01%d-%d\x02", round, i) || string(r.Body) != fmt.Sprintf("body %d", i) {
						t.Fatalf("round %d: %q %q", round, r.Remark, r.Body)
					}
				}
			}
			if n := bursts.Load(); n > 20*8 {
				t.Errorf("%d bursts for 20 writes", n)
			}
		})
	}
}

func TestAnswersThatComeLater(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{Workers: 3})
			release := make(chan struct{})
			s.Handle(1, func(c *Conn, r *Request) {
				to := r.ReplyTo()
				c.GoReply(to, func() {
					<-release
					c.Reply(to, 0, "late", nil, nil)
				})
			})
			s.Handle(codeEcho, echo)
			w := serve(t, tr, s).wire(t)
			for i := range int32(50) {
				w.send(get(JSON, 1, i))
			}
			w.send(get(JSON, codeEcho, 100))
			w.want(100, 0)
			close(release)
			seen := map[int32]bool{}
			for range 50 {
				r, err := w.recv()
				if err != nil || r.Remark != "late" || seen[r.Opaque] {
					t.Fatalf("%+v, %v", r, err)
				}
				seen[r.Opaque] = true
			}
		})
	}
}

func TestStateAndAddressesAndClose(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan error, 1)
			why := errors.New("tired of you")
			s := NewServer(ServerOptions{
				OnOpen:  func(c *Conn) { c.SetState("mine") },
				OnClose: func(c *Conn) { closed <- c.Reason() },
			})
			s.Handle(codeEcho, echo)
			s.Handle(1, func(c *Conn, r *Request) {
				c.Reply(r.ReplyTo(), 0, fmt.Sprint(c.State(), " ", c.Remote(), " ", c.Local()), nil, nil)
			})
			s.Handle(2, func(c *Conn, _ *Request) { c.Close(why) })
			r := serve(t, tr, s)
			w := r.wire(t)
			w.send(get(JSON, 1, 1))
			if got, want := w.want(1, 0).Remark, fmt.Sprint("mine ", w.LocalAddr(), " ", r.addr); got != want {
				t.Fatalf("got %q want %q", got, want)
			}
			w.send(get(JSON, 2, 2))
			w.wantEnd()
			if err := <-closed; !errors.Is(err, why) {
				t.Fatalf("reason %v", err)
			}
		})
	}
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			var later ReplyTo
			var conn *Conn
			started, release := make(chan struct{}), make(chan struct{})
			s := NewServer(ServerOptions{DrainTimeout: time.Minute})
			s.Handle(1, func(c *Conn, r *Request) {
				to := r.ReplyTo()
				c.Go(func() {
					close(started)
					<-release
					c.Reply(to, 0, "task", nil, nil)
				})
			})
			s.Handle(2, func(c *Conn, r *Request) { conn, later = c, r.ReplyTo() })
			r := serve(t, tr, s)
			w, idle := r.wire(t), r.wire(t)
			w.send(get(JSON, 2, 2), get(JSON, 1, 1))
			<-started
			done := make(chan struct{})
			go func() {
				defer close(done)
				r.stop(t)
			}()
			idle.wantEnd()
			if _, err := tr.dial(t.Context(), "tcp", r.addr); err == nil {
				t.Error("a connection was accepted during shutdown")
			}
			close(release)
			w.want(1, 0)
			conn.Reply(later, 0, "later", nil, nil)
			conn.Flush()
			w.want(2, 0)
			w.wantEnd()
			<-done
			if err := s.Serve(t.Context(), tr.listen(t)); !errors.Is(err, ErrShutdown) {
				t.Fatalf("serve after shutdown: %v", err)
			}
		})
	}
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{DrainTimeout: time.Hour})
			in := make(chan struct{})
			s.Handle(1, func(*Conn, *Request) {}) // never answered
			s.Handle(2, func(c *Conn, _ *Request) {
				close(in)
				<-c.Context().Done()
			})
			r := serve(t, tr, s)
			w, stuck := r.wire(t), r.wire(t)
			w.send(get(JSON, 1, 1))
			stuck.send(get(JSON, 2, 1))
			<-in
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("shutdown: %v", err)
			}
			w.wantEnd()
			stuck.wantEnd()
		})
	}
}

func TestServeEndsWithItsContextAndConnectionsLiveOn(t *testing.T) {
	t.Parallel()
	tr := overTCP()
	s := NewServer(ServerOptions{})
	s.Handle(codeEcho, echo)
	r := serve(t, tr, s)
	l := tr.listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- s.Serve(ctx, l) }()
	nc, err := tr.dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, nc)
	defer nc.Close()
	w.send(get(JSON, codeEcho, 1))
	w.want(1, 0)
	cancel()
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	w.send(get(JSON, codeEcho, 2))
	w.want(2, 0)
	other := r.wire(t)
	other.send(get(JSON, codeEcho, 1))
	other.want(1, 0)
	n := 0
	s.Conns(func(*Conn) bool { n++; return true })
	if n != 2 {
		t.Fatalf("%d connections", n)
	}
}
