package remoting

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/protocol"
)

// sendFields is a send request header as producers send it.
type sendFields struct{ props string }

func (s sendFields) AppendTo(w *protocol.FieldWriter) {
	w.Str("a", "bench_group")
	w.Str("b", "bench")
	w.Str("c", "TBW102")
	w.Int32("d", 8)
	w.Int32("e", 1)
	w.Int32("f", 0)
	w.Int64("g", 1700000000000)
	w.Int32("h", 0)
	w.Str("i", s.props)
	w.Int32("j", 0)
	w.Bool("k", false)
}

// sendAnswer is the header of a send response.
type sendAnswer struct{ index int64 }

func (a *sendAnswer) AppendTo(w *protocol.FieldWriter) {
	w.Str("msgId", "7F00000100002A9F0000000000000000")
	w.Int32("queueId", 1)
	w.Int64("queueOffset", a.index)
	w.Str("MSG_REGION", "DefaultRegion")
	w.Str("TRACE_ON", "true")
}

// sendServer answers code 310 as a broker would, without storing anything.
func sendServer() *Server {
	s := NewServer(ServerOptions{OnOpen: func(c *Conn) { c.SetState(new(sendAnswer)) }})
	s.Handle(310, answerSend)
	return s
}

func answerSend(c *Conn, r *Request) {
	a := c.State().(*sendAnswer)
	a.index++
	c.Reply(r.ReplyTo(), 0, "", a, nil)
}

// pipeline writes frames of them at once and reads the answers, again and again.
type pipeline struct {
	c      net.Conn
	out    []byte
	in     []byte
	expect int // bytes of the answers
}

// newPipeline prepares n send requests with bodies of size bytes.
func newPipeline(tb testing.TB, c net.Conn, s Serial, n, size int, props string) *pipeline {
	tb.Helper()
	p := &pipeline{c: c}
	for i := range n {
		p.out = append(p.out, frame(s, 310, int32(1000+i), 0, sendFields{props}, make([]byte, size))...)
	}
	p.in = make([]byte, 1<<20)
	var w protocol.FieldWriter
	a := sendAnswer{index: 100_000_000} // as long as any that comes
	w.Begin(nil, s, &protocol.Head{Opaque: 1000, Flag: 1, Version: protocol.VersionServed})
	a.AppendTo(&w)
	p.expect = n * len(w.End(0))
	return p
}

func (p *pipeline) turn(tb testing.TB) {
	tb.Helper()
	if _, err := p.c.Write(p.out); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(p.c, p.in[:p.expect]); err != nil {
		tb.Fatal(err)
	}
}

// presetIndex makes answers of constant length.
func presetIndex(s *Server) *Server {
	s.core.onOpen = func(c *Conn) { c.SetState(&sendAnswer{index: 100_000_000}) }
	return s
}

func BenchmarkPipelinedSends(b *testing.B) {
	for _, tc := range []struct {
		name   string
		serial Serial
		props  string
	}{{"binary", Binary, ""}, {"json", JSON, ""}, {"json-props", JSON, "KEYS\x01order-4711\x02UNIQ_KEY\x017F0000010000123400000000000000FF\x02WAIT\x01true\x02"}} {
		b.Run(tc.name, func(b *testing.B) {
			r := serve(b, overTCP(), presetIndex(sendServer()))
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			const n = 64
			p := newPipeline(b, c, tc.serial, n, 1024, tc.props)
			p.turn(b)
			b.SetBytes(int64(len(p.out)))
			b.ReportAllocs()
			for b.Loop() {
				p.turn(b)
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// BenchmarkSendsOverTLS is a send of 1 KiB alone and 64 of them in one write, with both ends in this process.
func BenchmarkSendsOverTLS(b *testing.B) {
	server, client := certificate(b)
	for _, tc := range []struct {
		name   string
		secure bool
		n      int
	}{{"plain/1", false, 1}, {"tls/1", true, 1}, {"plain/64", false, 64}, {"tls/64", true, 64}} {
		b.Run(tc.name, func(b *testing.B) {
			s := NewServer(ServerOptions{TLS: server, OnOpen: func(c *Conn) { c.SetState(new(sendAnswer)) }})
			s.Handle(310, answerSend)
			r := serve(b, overTCP(), presetIndex(s))
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				b.Fatal(err)
			}
			if tc.secure {
				c = tls.Client(c, client)
			}
			defer c.Close()
			p := newPipeline(b, c, JSON, tc.n, 1024, "")
			p.turn(b)
			b.SetBytes(int64(len(p.out)))
			b.ReportAllocs()
			for b.Loop() {
				p.turn(b)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*tc.n), "us/send")
		})
	}
}

// BenchmarkHandshake is a connection, the handshake of both ends and one request.
func BenchmarkHandshake(b *testing.B) {
	server, client := certificate(b)
	s := NewServer(ServerOptions{TLS: server, OnOpen: func(c *Conn) { c.SetState(new(sendAnswer)) }})
	s.Handle(310, answerSend)
	r := serve(b, overTCP(), presetIndex(s))
	for b.Loop() {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			b.Fatal(err)
		}
		c = tls.Client(c, client)
		newPipeline(b, c, JSON, 1, 1024, "").turn(b)
		_ = c.Close()
	}
}

func BenchmarkLargeAnswers(b *testing.B) {
	for _, size := range []int{32 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			s := NewServer(ServerOptions{})
			s.Handle(11, func(c *Conn, r *Request) {
				body := bufpool.Get(size)
				body.B = body.B[:size]
				c.ReplyBuf(r.ReplyTo(), 0, "", nil, body)
			})
			r := serve(b, overTCP(), s)
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			p := &pipeline{c: c, out: append(get(Binary, 11, 1), get(Binary, 11, 2)...), in: make([]byte, 1<<20), expect: 2 * (29 + size)}
			b.SetBytes(int64(p.expect))
			b.ReportAllocs()
			for b.Loop() {
				p.turn(b)
			}
		})
	}
}

func BenchmarkClientInvoke(b *testing.B) {
	r := serve(b, overTCP(), sendServer())
	cl := NewClient(ClientOptions{Serial: Binary})
	b.Cleanup(cl.Close)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		cmd := &Command{Code: 310, Header: sendFields{}, Body: make([]byte, 1024)}
		for pb.Next() {
			if _, err := cl.Invoke(context.Background(), r.addr, cmd); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// A message on the server's path from read to flush allocates nothing.
func TestServerPathAllocatesNothing(t *testing.T) {
	for _, serial := range []Serial{JSON, Binary} {
		r := serve(t, overTCP(), presetIndex(sendServer()))
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		p := newPipeline(t, c, serial, 64, 1024, "k\x01v\x02")
		for range 50 { // pools and hints settle
			p.turn(t)
		}
		if n := testing.AllocsPerRun(200, func() { p.turn(t) }); n > 0 && !raceEnabled {
			t.Errorf("serialisation %d: %v allocations for 64 messages", serial, n)
		}
		_ = c.Close()
	}
}

// BenchmarkBurst is the part of a request that is ours: split, decode, dispatch, encode; no system call.
func BenchmarkBurst(b *testing.B) {
	for _, tc := range []struct {
		name   string
		serial Serial
	}{{"binary", Binary}, {"json", JSON}} {
		b.Run(tc.name, func(b *testing.B) {
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			c := newConn(presetIndex(sendServer()).core, near)
			c.core.onOpen(c)
			const n = 64
			p := newPipeline(b, far, tc.serial, n, 1024, "")
			c.in = bufpool.Get(len(p.out))
			c.in.B = append(c.in.B, p.out...)
			b.ReportAllocs()
			for b.Loop() {
				c.r, c.w = 0, len(p.out)
				c.writing = true // Flush leaves the output alone
				if err := c.burst(); err != nil {
					b.Fatal(err)
				}
				c.writing = false
				c.takeLocked()
				c.advance(p.expect)
				c.queued = 0
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/request")
		})
	}
}
