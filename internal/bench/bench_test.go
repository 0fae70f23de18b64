package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestCheckerCountsWhatIsWrong(t *testing.T) {
	t.Parallel()
	type step struct {
		n      uint64
		damage bool
		size   int
	}
	good := func(ns ...uint64) (out []step) {
		for _, n := range ns {
			out = append(out, step{n: n})
		}
		return out
	}
	for _, tc := range []struct {
		name                       string
		steps                      []step
		missing, inverted, damaged int64
	}{
		{"all", good(0, 1, 2, 3, 4), 0, 0, 0},
		{"none", nil, 5, 0, 0},
		{"one is missing", good(0, 1, 3, 4), 1, 0, 0},
		{"the last are missing", good(0, 1), 3, 0, 0},
		{"twice", good(0, 1, 1, 2, 3, 4), 0, 1, 0},
		{"out of order", good(0, 2, 1, 3, 4), 1, 1, 0},
		{"damaged", []step{{n: 0}, {n: 1, damage: true}, {n: 2}, {n: 3}, {n: 4}}, 1, 0, 1},
		{"cut", []step{{n: 0}, {n: 1, size: 15}, {n: 2}, {n: 3}, {n: 4}}, 1, 0, 1},
		{"never sent", good(0, 1, 2, 3, 4, 5), 0, 0, 1},
	} {
		v := &Verify{}
		k := newChecker(v, 16, 5)
		for _, s := range tc.steps {
			body := make([]byte, 16)
			numbered(body, s.n)
			if s.damage {
				body[15] ^= 1
			}
			if s.size > 0 {
				body = body[:s.size]
			}
			k.message(body)
		}
		k.finish()
		if v.Missing != tc.missing || v.Inverted != tc.inverted || v.Damaged != tc.damaged || v.OK() != (tc.missing+tc.inverted+tc.damaged == 0) {
			t.Errorf("%s: %+v", tc.name, v)
		}
	}
	v := &Verify{}
	newChecker(v, 16, 5).record([]byte("no record"))
	if v.Damaged != 1 {
		t.Errorf("no record: %+v", v)
	}
}

func TestTakeKeepsToCountRateAndTime(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	all := func(o Options, at time.Duration) (msgs int, more bool) {
		p := &producing{o: o, start: start, end: start.Add(o.Duration)}
		for {
			n, ok := p.take(7, start.Add(at))
			msgs += n * o.Batch
			if n == 0 || !ok || msgs > 5000 {
				return msgs, ok
			}
		}
	}
	for _, tc := range []struct {
		name string
		o    Options
		at   time.Duration
		want int
		more bool
	}{
		{"count", Options{Count: 100, Batch: 1}, 0, 100, false},
		{"count of batches is rounded up", Options{Count: 100, Batch: 32}, 0, 128, false},
		{"rate", Options{Rate: 1000, Duration: 10 * time.Second, Batch: 1}, 500 * time.Millisecond, 500, true},
		{"rate and count", Options{Rate: 1000, Count: 100, Batch: 1}, time.Second, 100, false},
		{"time is over", Options{Duration: time.Second, Batch: 1}, 2 * time.Second, 0, false},
	} {
		if got, more := all(tc.o, tc.at); got != tc.want || more != tc.more {
			t.Errorf("%s: %d messages, more %v; want %d, %v", tc.name, got, more, tc.want, tc.more)
		}
	}
}

func TestPulledTakesAnswersApart(t *testing.T) {
	t.Parallel()
	host := netip.MustParseAddrPort("127.0.0.1:1")
	var recs []byte
	for i := range 3 {
		m := record.Message{Topic: []byte("T"), Index: record.Index(40 + i), BornHost: host, StoreHost: host, Body: fmt.Appendf(nil, "body %d", i)}
		var err error
		recs, err = m.AppendTo(recs)
		must(t, err)
	}
	var got []string
	n, next, err := pulled(&Reply{Body: recs}, 40, func(i int64, rec []byte) error {
		b, err := Body(rec)
		got = append(got, fmt.Sprintf("%d %s", i, b))
		return err
	})
	if n != 3 || next != 43 || err != nil || strings.Join(got, ",") != "40 body 0,41 body 1,42 body 2" {
		t.Errorf("%d messages, next %d, %v, %q", n, next, err, got)
	}
	for _, cut := range []int{1, 27, 60, len(recs) - 1} {
		if _, _, err := pulled(&Reply{Body: recs[:cut]}, 40, nil); err == nil {
			t.Errorf("no error with %d bytes", cut)
		}
	}
	next9 := protocol.Fields{{Key: []byte("nextBeginOffset"), Val: []byte("9")}}
	for _, code := range []int32{protocol.RespPullNotFound, protocol.RespPullRetryImmediately, protocol.RespPullOffsetMoved} {
		if n, next, err := pulled(&Reply{Code: code, Fields: next9}, 40, nil); n != 0 || next != 9 || err != nil {
			t.Errorf("code %d: %d messages, next %d, %v", code, n, next, err)
		}
	}
	var ce *CodeError
	if _, _, err := pulled(&Reply{Code: 17, Remark: "no such topic"}, 40, nil); !errors.As(err, &ce) || ce.Code != 17 {
		t.Errorf("code 17: %v", err)
	}
}

func TestWantTags(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ expr, yes, no string }{
		{"*", "anything", ""}, {"", "anything", ""}, {" * ", "anything", ""}, {"A", "A", "B"}, {"A || B", "B", "C"}, {" A|| B ", "A", "A "},
	} {
		want := wantTags(tc.expr)
		if !want(tc.yes) || tc.no != "" && want(tc.no) {
			t.Errorf("%q: %q %v, %q %v", tc.expr, tc.yes, want(tc.yes), tc.no, want(tc.no))
		}
	}
}

// peer is a connection whose other end is answered by f with the bytes that it returns for each request; nil hangs up.
func peer(tb testing.TB, f func(h *protocol.Header) []byte) *Client {
	tb.Helper()
	return peerOf(tb.Context(), tb, f)
}

func peerOf(ctx context.Context, tb testing.TB, f func(h *protocol.Header) []byte) *Client {
	tb.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		var h protocol.Header
		for {
			var prefix [protocol.PrefixLen]byte
			if _, err := io.ReadFull(there, prefix[:]); err != nil {
				return
			}
			rest := make([]byte, binary.BigEndian.Uint32(prefix[:])-4)
			if _, err := io.ReadFull(there, rest); err != nil {
				return
			}
			serial, n := protocol.SplitWord(binary.BigEndian.Uint32(prefix[4:]))
			if err := h.Decode(serial, rest[:n]); err != nil {
				return
			}
			out := f(&h)
			if out == nil {
				return
			}
			if _, err := there.Write(out); err != nil {
				return
			}
		}
	}()
	c, err := Dial(ctx, func(context.Context, string, string) (net.Conn, error) { return here, nil }, "pipe", protocol.JSON)
	must(tb, err)
	tb.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

func answer(code, opaque, flag int32, body string) []byte {
	var w protocol.FieldWriter
	w.Begin(nil, protocol.JSON, &protocol.Head{Code: code, Opaque: opaque, Flag: flag, Remark: "remark"})
	return append(w.End(len(body)), body...)
}

func TestCallPassesOverWhatIsNotItsAnswer(t *testing.T) {
	t.Parallel()
	c := peer(t, func(h *protocol.Header) []byte {
		out := answer(40, 5, 0, "a request of the server")
		out = append(out, answer(0, h.Opaque-1, protocol.FlagResponse, "a late answer")...)
		return append(out, answer(0, h.Opaque, protocol.FlagResponse, "the answer")...)
	})
	for range 3 {
		r, err := c.Call(1, nil, []byte("body"))
		must(t, err)
		if r.Err() != nil || string(r.Body) != "the answer" {
			t.Errorf("%+v", r)
		}
	}
}

func TestCallReportsErrors(t *testing.T) {
	t.Parallel()
	c := peer(t, func(h *protocol.Header) []byte { return answer(17, h.Opaque, protocol.FlagResponse, "") })
	r, err := c.Call(1, nil, nil)
	must(t, err)
	if err := r.Err(); err == nil || err.Error() != "code 17: remark" {
		t.Error(err)
	}
	if _, err := r.Int("offset"); err == nil {
		t.Error("no error for a field that is not there")
	}
	for name, out := range map[string][]byte{
		"hangs up":                 nil,
		"a frame over the limit":   {0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0},
		"a header beyond the end":  {0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0},
		"a header that is no JSON": {0, 0, 0, 8, 0, 0, 0, 4, 'x', 'x', 'x', 'x'},
	} {
		c := peer(t, func(*protocol.Header) []byte { return out })
		if _, err := c.Call(1, nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheEndOfItsContextEndsACall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough of this")
	c := peerOf(ctx, t, func(*protocol.Header) []byte {
		cancel(enough)
		return []byte{} // and no answer
	})
	if _, err := c.Call(1, nil, nil); !errors.Is(err, enough) {
		t.Error(err)
	}
	if _, err := c.Call(1, nil, nil); !errors.Is(err, enough) {
		t.Error(err)
	}
}

func TestDialAllIsAllOrNothing(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	var open []net.Conn
	o := Options{Conns: 3, Dial: func(context.Context, string, string) (net.Conn, error) {
		if len(open) == 2 {
			return nil, refused
		}
		here, there := net.Pipe()
		t.Cleanup(func() { there.Close() })
		open = append(open, there)
		return here, nil
	}}
	if _, err := o.dialAll(t.Context()); !errors.Is(err, refused) {
		t.Error(err)
	}
	for _, c := range open {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a connection is still open: %v", err)
		}
	}
}
