package abuse

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// TestThePortForSlaves: reports that are out of order, of offsets that the master does not have, cut, oversized or garbage, and many
// connections that say nothing. The master keeps its log and serves its clients.
func TestThePortForSlaves(t *testing.T) {
	w := start(t, nil)
	addr := net.JoinHostPort("127.0.0.1", w.haPort)
	beside := w.dial(w.addr("broker"))
	was := beside.state("broker")
	goroutines, open := runtime.NumGoroutine(), files(t)
	report := func(at ...uint64) (b []byte) {
		for _, n := range at {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		return b
	}
	random := rand.New(rand.NewPCG(1, 2))
	garbage := make([]byte, 1<<20)
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	list := [][]byte{
		nil, report(0), report(1 << 62), report(^uint64(0)), report(1<<63 - 1), report(0, 100, 50, 0), report(0, 1<<40), report(7), report(100, 1), report(0)[:5],
		garbage, make([]byte, 1<<20), frame(protocol.JSON, protocol.ReqSendMessageV2, 1, sendFields("T"), nil), []byte("GET / HTTP/1.1\r\n\r\n"),
		append(report(0), garbage...),
	}
	for k := range 200 {
		list = append(list, garbage[k*13:k*13+random.IntN(64)])
	}
	for _, b := range list {
		nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
		must(t, err)
		_, _ = nc.Write(b)
		_ = nc.(*net.TCPConn).CloseWrite()
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, io.LimitReader(nc, 16<<20)); isTimeout(err) {
			t.Errorf("still open after % x", b[:min(len(b), 16)])
		}
		_ = nc.Close()
		count("port for slaves: hostile conversations", 1)
	}
	var silent []net.Conn
	for range 300 {
		nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
		must(t, err)
		silent = append(silent, nc)
	}
	beside.want(0, protocol.ReqGetMaxOffset, fields("topic", "T", "queueId", "0"), nil)
	for _, nc := range silent {
		_ = nc.Close()
	}
	count("port for slaves: silent connections", int64(len(silent)))
	if now := beside.state("broker"); now != was {
		t.Errorf("something has changed:\n%s", difference(was, now))
	}
	w.flat("after the slaves that were none", goroutines, open)
	beside.close()
}

// raftGreeting is what a controller says first, with the names of this group: a stranger who knows them is welcome.
var raftGreeting = "\xC0MQRAFT\x01" + "\x00\x06group1" + "\x00\x02n0" + "\x00\x02n0"

// TestEntriesThatAreNotThere: a list that says it is long costs nothing until it has come.
func TestEntriesThatAreNotThere(t *testing.T) {
	w := start(t, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 20
	for k := range n {
		b := append([]byte(raftGreeting), byte(k%5), 0x8c, 0xa7)
		b = append(b, "Entries"...)
		b = append(b, 0xdd, 0x7f, 0xff, 0xff, 0xff, 0x86, 0xa4, 'D', 'a', 't', 'a', 0xc6, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3)
		nc, err := net.DialTimeout("tcp", w.addr("controller"), 10*time.Second)
		must(t, err)
		_, _ = nc.Write(b)
		_ = nc.(*net.TCPConn).CloseWrite()
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
			t.Errorf("still open after % x", b)
		}
		_ = nc.Close()
		count("port of controllers: lists that lie about their length", 1)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 32<<20 {
		t.Errorf("%d MiB were allocated for each", each>>20)
	}
}

// TestThePortOfControllers: who begins like a controller and goes on with garbage does not disturb the group.
func TestThePortOfControllers(t *testing.T) {
	w := start(t, nil)
	addr := w.addr("controller")
	beside := w.dial(addr)
	was := beside.state("controller")
	goroutines, open := runtime.NumGoroutine(), files(t)
	random := rand.New(rand.NewPCG(3, 4))
	for k := range 300 {
		b := append([]byte(raftGreeting), make([]byte, random.IntN(2000))...)
		for i := len(raftGreeting); i < len(b); i++ {
			b[i] = byte(random.Uint32())
		}
		switch k % 4 {
		case 1: // kinds of messages of the library's transport, with lengths of msgpack that lie
			b = append([]byte(raftGreeting), byte(k/4%6), 0xdf, 0xff, 0xff, 0xff, 0xff)
		case 2:
			b = b[:min(len(b), k%(len(raftGreeting)+3))]
		case 3:
			b = append([]byte(raftGreeting), byte(k/4%6), 0x8c, 0xa4, 'T', 'e', 'r', 'm', 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc6, 0x7f, 0xff, 0xff, 0xff)
		}
		nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
		must(t, err)
		_, _ = nc.Write(b)
		_ = nc.(*net.TCPConn).CloseWrite()
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
			t.Errorf("still open after % x", b[:min(len(b), 24)])
		}
		_ = nc.Close()
		count("port of controllers: hostile conversations", 1)
	}
	if now := beside.state("controller"); now != was {
		t.Errorf("something has changed:\n%s", difference(was, now))
	}
	w.flat("after the controllers that were none", goroutines, open)
	w.light(32 << 20)
	beside.close()
}
