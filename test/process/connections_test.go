package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

// TestIdleConnections holds ten thousand connections open: all are served, and they cost little.
func TestIdleConnections(t *testing.T) {
	const count = 10_000
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil || lim.Cur < count+1000 {
		t.Skipf("the limit of open files is %d, this takes %d (ulimit -n)", lim.Cur, count+1000)
	}
	c := start(t, nil)
	p, addr := c.Brokers[0], c.Addrs[0]
	busy := dial(t, addr)
	must(t, busy.CreateTopic("edge", 1))
	must(t, send(busy, "edge", 0, "before"))
	empty := resident(p)
	idle := make([]net.Conn, count)
	defer func() {
		for _, n := range idle {
			if n != nil {
				n.Close()
			}
		}
	}()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < count; i = next.Add(1) - 1 {
				n, err := net.DialTimeout("tcp", addr, 60*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				idle[i] = n
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	ask := request(protocol.ReqGetMaxOffset, &protocol.GetMaxOffsetRequestHeader{Topic: "edge"}, nil)
	answered := func(n net.Conn) error { // each connection was idle; now it asks something
		must(t, n.SetDeadline(time.Now().Add(60*time.Second)))
		if _, err := n.Write(ask); err != nil {
			return err
		}
		var prefix [4]byte
		if _, err := io.ReadFull(n, prefix[:]); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, n, int64(binary.BigEndian.Uint32(prefix[:])))
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		if err := answered(idle[r.IntN(count)]); err != nil {
			t.Fatal(err)
		}
	}
	t0 := time.Now()
	for i := range 100 {
		must(t, send(busy, "edge", 0, fmt.Sprint(i)))
	}
	took, full := time.Since(t0), resident(p)
	t.Logf("%d idle connections: %.1f MB resident, %.1f MB without, %.2f KB each; 100 sends one after the other took %v",
		count, full, empty, (full-empty)*1024/count, took)
	if full > 250 {
		t.Errorf("%.0f MB resident", full)
	}
	if took > 30*time.Second {
		t.Errorf("100 sends took %v", took)
	}
	for _, n := range idle[:count/2] { // half of them hang up
		n.Close()
	}
	for _, n := range idle[count/2:][:100] {
		if err := answered(n); err != nil {
			t.Fatal(err)
		}
	}
	must(t, p.Stop(60*time.Second))
}

// request is a frame with a JSON header.
func request(code int32, h interface {
	AppendTo(w *protocol.FieldWriter)
}, body []byte,
) []byte {
	var w protocol.FieldWriter
	w.Begin(nil, protocol.JSON, &protocol.Head{Code: code, Language: protocol.LanguageGo, Version: protocol.VersionServed, Opaque: 7})
	if h != nil {
		h.AppendTo(&w)
	}
	return append(w.End(len(body)), body...)
}

// frame is a frame of any words and bytes.
func frame(total, word uint32, rest []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, total)
	return append(binary.BigEndian.AppendUint32(out, word), rest...)
}

// TestGarbageDisturbsNobody sends all kinds of wrong bytes while other connections work: the connection with the garbage is
// closed, the others see nothing, memory stays where it is, and the log has one line for each at most.
func TestGarbageDisturbsNobody(t *testing.T) {
	t.Parallel()
	good := request(protocol.ReqGetMaxOffset, &protocol.GetMaxOffsetRequestHeader{Topic: "edge"}, nil)
	noise := make([]byte, 4096)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	noise[0] = 0x7f // a length beyond the limit
	for _, role := range []string{"broker", "name server"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			c := start(t, nil)
			addr, p := c.Addrs[0], c.Brokers[0]
			if role != "broker" {
				addr, p = c.NS, c.Namesrv
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			var worked atomic.Int64
			topicOf := dial(t, c.Addrs[0])
			must(t, topicOf.CreateTopic("edge", 1))
			for range 4 {
				n := dial(t, addr)
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := work(n, role); err != nil {
							t.Errorf("a connection that does no wrong: %v", err)
							return
						}
						worked.Add(1)
					}
				})
			}
			const rounds = 20
			cases := []struct {
				name  string
				bytes []byte
			}{
				{"a frame over the limit", frame(0x7FFFFFFF, 1, make([]byte, 64))},
				{"a frame just over the limit", frame(protocol.MaxFrame+1, 16, make([]byte, 64))},
				{"a negative length", frame(0xFFFFFFFF, 16, make([]byte, 64))},
				{"no room for the header's length", frame(3, 0, make([]byte, 8))},
				{"a header longer than its frame", frame(12, 200, make([]byte, 8))},
				{"a header of 16 MiB less one", frame(16, 0x00FFFFFF, make([]byte, 12))},
				{"an unknown serialisation", frame(12, 7<<24|8, make([]byte, 8))},
				{"no JSON", frame(12, 8, []byte("notjson!"))},
				{"JSON that is cut", frame(12, 8, []byte(`{"code":`))},
				{"deep JSON", frame(4+100_000, 100_000, bytes.Repeat([]byte("["), 100_000))},
				{"binary header that is cut", frame(12, 1<<24|8, make([]byte, 8))},
				{"binary header with a huge field", frame(4+30, 1<<24|30, append(make([]byte, 18), 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0))},
				{"a browser", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
				{"a good request and noise behind it", append(bytes.Clone(good), noise...)},
				{"noise", noise},
			}
			before := p.Log()
			for range rounds {
				for _, tc := range cases {
					if err := hangsUp(addr, tc.bytes); err != nil {
						t.Errorf("%s: %v", tc.name, err)
					}
				}
				for _, cut := range []int{1, 5, 20, len(good) - 1} { // and the sender goes away in the middle of a frame
					n, err := net.Dial("tcp", addr)
					must(t, err)
					_, err = n.Write(good[:cut])
					must(t, err)
					n.Close()
				}
				if t.Failed() {
					break
				}
			}
			seen := worked.Load()
			for end := time.Now().Add(60 * time.Second); worked.Load() < seen+100 && !t.Failed(); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the others do not get on")
				}
			}
			close(stop)
			wg.Wait()
			lines := strings.Count(strings.TrimPrefix(p.Log(), before), "\n")
			t.Logf("%s: %d bad connections, %d log lines, %d requests of others, %.1f MB resident", role, rounds*len(cases), lines, worked.Load(), resident(p))
			if lines > rounds*(len(cases)+4)+10 {
				t.Errorf("%d log lines:\n%.2000s", lines, strings.TrimPrefix(p.Log(), before))
			}
			if mb := resident(p); mb > 200 {
				t.Errorf("%.0f MB resident", mb)
			}
			if strings.Contains(p.Log(), "panic") {
				t.Errorf("a panic:\n%s", p.Log())
			}
		})
	}
}

// work does something that a connection of a role is for.
func work(n *bench.Client, role string) error {
	if role == "broker" {
		return send(n, "edge", 0, "body")
	}
	r, err := n.Call(protocol.ReqGetBrokerClusterInfo, nil, nil)
	if err != nil {
		return err
	}
	return r.Err()
}

// hangsUp sends bytes and wants the connection closed.
func hangsUp(addr string, data []byte) error {
	n, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer n.Close()
	if err = n.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return err
	}
	_, werr := n.Write(data)
	_, err = io.Copy(io.Discard, n)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(werr, os.ErrDeadlineExceeded) {
		return errors.New("the connection stays open")
	}
	return nil // closed or reset
}
