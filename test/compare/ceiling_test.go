//go:build compare

package compare

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ceilingEnv makes this test binary the ceiling program; its value is the address to listen on.
const ceilingEnv = "COMPARE_CEILING"

func TestMain(m *testing.M) {
	if addr := os.Getenv(ceilingEnv); addr != "" {
		if err := ceiling(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// startCeiling runs the ceiling program in a process of its own.
func startCeiling(tb testing.TB) (addr string, pid int) {
	tb.Helper()
	addr = fmt.Sprintf("127.0.0.1:%d", freePort(tb))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ceilingEnv+"="+addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, cmd.Process.Pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatal("the ceiling program does not listen")
	return "", 0
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// ceiling is the physical limit: it splits frames, appends each body with 100 bytes before it, one write per read, and
// answers each request with the three fields of a send. No queues, no checks, no durability.
func ceiling(addr string) error {
	f, err := os.CreateTemp(os.Getenv("COMPARE_DIR"), "ceiling-")
	if err != nil {
		return err
	}
	if err = os.Remove(f.Name()); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var end int64
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in, n := make([]byte, 1<<20), 0
			var rec, out []byte
			for {
				k, err := c.Read(in[n:])
				if err != nil {
					return
				}
				n += k
				rec, out = rec[:0], out[:0]
				used := split(in[:n], func(opaque uint32, body []byte) {
					rec = append(append(rec, make([]byte, 100)...), body...)
					out = answer(out, opaque)
				})
				if len(rec) > 0 {
					mu.Lock()
					_, err = f.WriteAt(rec, end%(1<<30))
					end += int64(len(rec))
					mu.Unlock()
					if err == nil {
						_, err = c.Write(out)
					}
					if err != nil {
						return
					}
				}
				n = copy(in, in[used:n])
			}
		}()
	}
}

// split hands each complete frame with a binary header to visit and returns how many bytes they took.
func split(b []byte, visit func(opaque uint32, body []byte)) int {
	p := 0
	for len(b)-p >= 8 {
		total := int(binary.BigEndian.Uint32(b[p:])) + 4
		if len(b)-p < total {
			break
		}
		head := int(binary.BigEndian.Uint32(b[p+4:]) & 0xffffff)
		visit(binary.BigEndian.Uint32(b[p+13:]), b[p+8+head:p+total])
		p += total
	}
	return p
}

func answer(dst []byte, opaque uint32) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0xdf)
	dst = binary.BigEndian.AppendUint32(dst, opaque)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 0)
	ext := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for _, kv := range [...][2]string{{"msgId", "7F00000100002A9F0000000000000000"}, {"queueId", "1"}, {"queueOffset", "123456"}} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(kv[0])))
		dst = append(dst, kv[0]...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(kv[1])))
		dst = append(dst, kv[1]...)
	}
	binary.BigEndian.PutUint32(dst[ext:], uint32(len(dst)-ext-4))
	head := len(dst) - at - 8
	binary.BigEndian.PutUint32(dst[at:], uint32(head+4))
	binary.BigEndian.PutUint32(dst[at+4:], 1<<24|uint32(head))
	return dst
}
