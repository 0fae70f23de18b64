package remoting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

func client(t *testing.T, o ClientOptions) *Client {
	t.Helper()
	cl := NewClient(o)
	t.Cleanup(cl.Close)
	return cl
}

func TestClientSharesOneConnection(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			for _, serial := range []Serial{JSON, Binary} {
				var opened atomic.Int32
				s := NewServer(ServerOptions{OnOpen: func(*Conn) { opened.Add(1) }})
				s.Handle(200050, echo)
				r := serve(t, tr, s)
				cl := client(t, ClientOptions{Dial: tr.dial, Serial: serial, Language: protocol.LanguageGo, Version: 400})
				var wg sync.WaitGroup
				for i := range 50 {
					wg.Go(func() {
						for k := range 20 {
							want := fmt.Sprint(i, " ", k)
							a, err := cl.Invoke(t.Context(), r.addr, &Command{
								Code: 200050, Header: ext{"h": want}, Ext: map[string]string{"x": "y"}, Body: []byte(want),
							})
							if err != nil || a.Code != 0 || a.Ext["h"] != want || a.Ext["x"] != "y" || string(a.Body) != want {
								t.Errorf("answer %+v, %v", a, err)
								return
							}
							if v, ok := a.Fields.Get("h"); !ok || string(v) != want {
								t.Errorf("fields %v", a.Fields)
							}
						}
					})
				}
				wg.Wait()
				if n := opened.Load(); n != 1 {
					t.Errorf("%d connections", n)
				}
			}
		})
	}
}

func TestClientSendsWhatItIsTold(t *testing.T) {
	t.Parallel()
	tr := overMemory()
	got := make(chan string, 1)
	s := NewServer(ServerOptions{})
	s.Handle(5, func(_ *Conn, r *Request) {
		got <- fmt.Sprint(r.Code, r.Flag, r.Version, r.LanguageName(), string(r.Remark), r.Serial, string(r.Body))
	})
	r := serve(t, tr, s)
	cl := client(t, ClientOptions{Dial: tr.dial, Serial: Binary, Language: protocol.LanguageGo, Version: 400})
	if err := cl.Oneway(t.Context(), r.addr, &Command{Code: 5, Remark: "note", Body: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if g := <-got; g != "5 2 400GOnote1b" {
		t.Fatalf("server saw %q", g)
	}
}

func TestClientReconnects(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan string, 1)
			s := NewServer(ServerOptions{})
			s.Handle(codeEcho, echo)
			s.Handle(1, func(c *Conn, _ *Request) { c.Close(nil) })
			r := serve(t, tr, s)
			cl := client(t, ClientOptions{Dial: tr.dial, OnClose: func(addr string, _ *Conn) { ended <- addr }})
			if _, err := cl.Invoke(t.Context(), r.addr, &Command{Code: codeEcho}); err != nil {
				t.Fatal(err)
			}
			if _, err := cl.Invoke(t.Context(), r.addr, &Command{Code: 1}); err == nil {
				t.Fatal("call on a connection that the server closed")
			}
			if a := <-ended; a != r.addr {
				t.Fatalf("closed %q", a)
			}
			if _, err := cl.Invoke(t.Context(), r.addr, &Command{Code: codeEcho}); err != nil {
				t.Fatal(err)
			}
			cl.Disconnect(r.addr, nil)
			cl.Disconnect("nobody", nil)
			<-ended
			if _, err := cl.Invoke(t.Context(), r.addr, &Command{Code: codeEcho}); err != nil {
				t.Fatal(err)
			}
			cl.Close()
			<-ended
			if _, err := cl.Invoke(t.Context(), r.addr, &Command{Code: codeEcho}); !errors.Is(err, ErrClosed) {
				t.Fatalf("after close: %v", err)
			}
		})
	}
}

func TestClientDialFailsForAllWhoWait(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	var dials atomic.Int32
	cl := client(t, ClientOptions{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials.Add(1)
		select {
		case <-hold:
			return nil, errors.New("no route")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := cl.Invoke(short, "a:1", &Command{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("impatient caller: %v", err)
	}
	errs := make(chan error, 10)
	for range cap(errs) {
		go func() { errs <- cl.Oneway(t.Context(), "a:1", &Command{}) }()
	}
	time.Sleep(5 * time.Millisecond)
	close(hold)
	for range cap(errs) {
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "no route") || !strings.Contains(err.Error(), "a:1") {
			t.Errorf("waiting caller: %v", err)
		}
	}
}

func TestClientOverTLS(t *testing.T) {
	t.Parallel()
	server, cfg := certificate(t)
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(ServerOptions{TLS: server, TLSMode: TLSEnforcing})
			s.Handle(codeEcho, echo)
			r := serve(t, tr, s)
			cl := client(t, ClientOptions{Dial: tr.dial, TLS: cfg})
			for _, n := range []int{0, 100, 1 << 20} {
				a, err := cl.Invoke(t.Context(), r.addr, &Command{Code: codeEcho, Body: make([]byte, n)})
				if err != nil || len(a.Body) != n {
					t.Fatal(err)
				}
			}
			wrong := client(t, ClientOptions{Dial: tr.dial, TLS: cfg.Clone()})
			wrong.tls.ServerName = "other"
			if _, err := wrong.Invoke(t.Context(), r.addr, &Command{Code: codeEcho}); err == nil {
				t.Fatal("wrong name was accepted")
			}
		})
	}
}

// Both sides ask each other on one connection with the same opaques.
func TestServerAsksItsClients(t *testing.T) {
	t.Parallel()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			conns := make(chan *Conn, 1)
			s := NewServer(ServerOptions{Serial: Binary})
			s.Handle(codeEcho, echo)
			s.Handle(1, func(c *Conn, r *Request) {
				c.Reply(r.ReplyTo(), 0, "", nil, nil)
				conns <- c
			})
			r := serve(t, tr, s)
			notes := make(chan string, 1)
			cl := client(t, ClientOptions{Dial: tr.dial, OnRequest: map[int32]Handler{
				40: func(_ *Conn, r *Request) {
					v, _ := r.Fields.Get("consumerGroup")
					notes <- string(v)
				},
				307: func(c *Conn, r *Request) { c.Reply(r.ReplyTo(), 0, "running", r.Fields, []byte("info")) },
				220: func(*Conn, *Request) {}, // never answers
			}})
			if _, err := cl.Invoke(t.Context(), r.addr, &Command{Code: 1}); err != nil {
				t.Fatal(err)
			}
			c := <-conns
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					a, err := c.Call(t.Context(), 307, ext{"jstack": "true"}, []byte("q"))
					if err != nil || a.Remark != "running" || a.Ext["jstack"] != "true" || string(a.Body) != "info" {
						t.Errorf("client's answer %+v, %v", a, err)
					}
				})
				wg.Go(func() {
					if a, err := cl.Invoke(t.Context(), r.addr, &Command{Code: codeEcho, Body: []byte("x")}); err != nil || string(a.Body) != "x" {
						t.Errorf("server's answer %+v, %v", a, err)
					}
				})
			}
			wg.Wait()
			if err := c.Oneway(40, ext{"consumerGroup": "g"}, nil); err != nil {
				t.Fatal(err)
			}
			if g := <-notes; g != "g" {
				t.Fatalf("notified for %q", g)
			}
			if a, err := c.Call(t.Context(), 39, nil, nil); err != nil || a.Code != 3 {
				t.Fatalf("unknown code: %+v, %v", a, err)
			}
			short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			if _, err := c.Call(short, 220, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("call without an answer: %v", err)
			}
			failed := make(chan error, 1)
			go func() {
				_, err := c.Call(t.Context(), 220, nil, nil)
				failed <- err
			}()
			for {
				c.pmu.Lock()
				n := len(c.pending)
				c.pmu.Unlock()
				if n == 1 {
					break
				}
				time.Sleep(time.Millisecond)
			}
			cl.Close()
			if err := <-failed; err == nil {
				t.Fatal("call outlived its connection")
			}
		})
	}
}

func TestUnexpectedResponsesAreIgnored(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{})
	s.Handle(codeEcho, echo)
	w := serve(t, overMemory(), s).wire(t)
	w.send(frame(JSON, 0, 1, protocol.FlagResponse, nil, nil), get(JSON, codeEcho, 2))
	w.want(2, 0)
}
