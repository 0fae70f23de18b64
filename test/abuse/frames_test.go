package abuse

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

var roles = []string{"broker", "namesrv", "controller"}

// TestFramesCutAtEveryByte: a peer that ends in the middle of a frame leaves nothing, wherever that is.
func TestFramesCutAtEveryByte(t *testing.T) {
	w := start(t, nil)
	for _, role := range roles {
		beside := w.dial(w.addr(role))
		was := beside.state(role)
		for _, s := range []protocol.Serial{protocol.JSON, protocol.Binary} {
			b := frame(s, protocol.ReqSendMessageV2, 7, sendFields("T"), []byte("body"))
			for n := range len(b) {
				c := w.dial(w.addr(role))
				_, err := c.nc.Write(b[:n])
				must(t, err)
				if n%2 == 0 { // half of them orderly, half with a reset
					_ = c.nc.(*net.TCPConn).SetLinger(0)
				}
				c.close()
				count(role+": frames cut", 1)
			}
		}
		if now := beside.state(role); now != was {
			t.Errorf("%s: something has changed:\n%s", role, difference(was, now))
		}
		beside.close()
	}
}

// TestLengthsThatLie: lengths in frames and headers that are not those of what follows end the connection or are answered; nothing is
// allocated for what has not come.
func TestLengthsThatLie(t *testing.T) {
	w := start(t, nil)
	for _, role := range roles {
		beside := w.dial(w.addr(role))
		was := beside.state(role)
		for _, s := range []protocol.Serial{protocol.JSON, protocol.Binary} {
			whole := frame(s, protocol.ReqSendMessageV2, 7, sendFields("T"), []byte("body"))
			for _, at := range lengthsIn(s) {
				for _, v := range []uint32{0, 1, 3, 4, 5, 20, uint32(len(whole)) - 5, uint32(len(whole)) - 3, 1 << 16, 1 << 24, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
					b := append([]byte(nil), whole...)
					binary.BigEndian.PutUint32(b[at:], v)
					w.hostile(role, b)
				}
			}
			for at := range len(whole) { // each byte of the frame, flipped
				b := append([]byte(nil), whole...)
				b[at] ^= 0xff
				w.hostile(role, b)
			}
		}
		if now := beside.state(role); now != was {
			t.Logf("%s: a flipped byte made another request of it:\n%s", role, difference(was, now))
		}
		beside.close()
	}
	w.light(32 << 20)
}

// lengthsIn are the places of lengths in a frame: its own, the header's, and in the binary form those of remark and fields.
func lengthsIn(s protocol.Serial) []int {
	if s == protocol.Binary {
		return []int{0, 4, 8 + 13, 8 + 17, 8 + 21, 8 + 24}
	}
	return []int{0, 4}
}

// hostile sends bytes and then nothing more: the server answers or ends the connection, or waits for the rest.
func (w *world) hostile(role string, b []byte) {
	w.t.Helper()
	c := w.dial(w.addr(role))
	defer c.close()
	if _, err := c.nc.Write(b); err == nil {
		_ = c.nc.(*net.TCPConn).CloseWrite()
		_ = c.nc.SetReadDeadline(time.Now().Add(patience))
		if _, err = io.Copy(io.Discard, c.nc); isTimeout(err) {
			w.t.Errorf("%s: the connection stays open after % x", role, b[:min(len(b), 40)])
		}
	}
	count(role+": frames that lie or are garbled", 1)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestSlowPeers: many connections that stop in the middle of a frame, or send a byte now and then, cost what they have sent and a little,
// others work meanwhile, and the idle timeout ends them although they go on sending.
func TestSlowPeers(t *testing.T) {
	const idle = 4 * time.Second // serverChannelMaxIdleTimeSeconds
	w := start(t, map[string]string{"serverChannelMaxIdleTimeSeconds": "4"})
	n := 200
	if *long {
		n = 2000
	}
	goroutines, open := runtime.NumGoroutine(), files(t)
	before := heap()
	b := frame(protocol.JSON, protocol.ReqSendMessageV2, 7, sendFields("T"), make([]byte, 1<<20))
	var conns []*conn
	var sent []int
	for i := range n {
		c := w.dial(w.addr("broker"))
		sent = append(sent, 1+i%200)
		_, err := c.nc.Write(b[:sent[i]])
		must(t, err)
		conns = append(conns, c)
	}
	if now := heap(); now > before+uint64(n)*(64<<10)+(16<<20) {
		t.Errorf("%d halves of frames cost %d KiB each", n, (now-before)/uint64(n)>>10)
	}
	beside := w.dial(w.addr("broker"))
	beside.want(0, protocol.ReqSendMessageV2, sendFields("T"), []byte("hello"))
	var wg sync.WaitGroup
	begin := time.Now()
	for i, c := range conns {
		wg.Go(func() {
			for k := sent[i]; ; k++ { // one byte after the other
				if _, err := c.nc.Write(b[k : k+1]); err != nil {
					return
				}
				if time.Since(begin) > patience {
					t.Errorf("connection %d is still open", i)
					return
				}
				time.Sleep(idle / 10)
			}
		})
	}
	wg.Wait()
	count("slow connections ended", int64(n))
	for _, c := range conns {
		c.close()
	}
	beside.close()
	w.flat("after the slow ones", goroutines, open)
}
