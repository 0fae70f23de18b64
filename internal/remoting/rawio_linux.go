package remoting

import (
	"errors"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// iovs is how many chunks one writev takes. As few as this keep the list on unix.Writev's stack; a burst of small answers is
// one chunk, an answer with a large body two.
const iovs = 8

// rawIO reads and writes the descriptor of a TCP connection without waiting for it unless asked to. Reading with it lets
// a connection that waits own no buffer; writing with it lets Flush return when the socket is full. The callbacks are
// bound once: nothing is allocated per call. One goroutine may read and one may write at a time.
type rawIO struct {
	c  *Conn
	rc syscall.RawConn

	readFn func(fd uintptr) bool
	rn     int
	rerr   error

	writeFn func(fd uintptr) bool
	out     []chunk
	wait    bool
	wn      int
	werr    error
	blocked bool // the socket was full
	iov     [iovs][]byte
}

func newRawIO(c *Conn, nc net.Conn) *rawIO {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawIO{c: c, rc: rc}
	r.readFn, r.writeFn = r.tryRead, r.tryWrite
	return r
}

// read fills the connection's buffer with what there is and waits when there is nothing.
func (r *rawIO) read() (int, error) {
	if err := r.rc.Read(r.readFn); err != nil {
		return 0, err
	}
	return r.rn, r.rerr
}

func (r *rawIO) tryRead(fd uintptr) bool {
	b := r.c.space()
	for {
		n, err := unix.Read(int(fd), b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			r.c.park()
			return false
		case err != nil:
			r.rn, r.rerr = 0, err
		case n == 0:
			r.rn, r.rerr = 0, io.EOF
		default:
			r.rn, r.rerr = n, nil
		}
		return true
	}
}

// write writes out as far as the socket takes it, with wait at least one byte.
func (r *rawIO) write(out []chunk, wait bool) (int, error) {
	r.out, r.wait, r.wn, r.werr, r.blocked = out, wait, 0, nil, false
	err := r.rc.Write(r.writeFn)
	r.out = nil
	if err != nil {
		return r.wn, err
	}
	return r.wn, r.werr
}

func (r *rawIO) tryWrite(fd uintptr) bool {
	i, at := 0, 0 // chunk and position in it
	for {
		k, size := 0, 0
		for j := i; j < len(r.out) && k < iovs; j++ {
			b := r.out[j].b
			if j == i {
				b = b[at:]
			}
			if len(b) > 0 {
				r.iov[k] = b
				k++
				size += len(b)
			}
		}
		if k == 0 {
			return true
		}
		n, err := writev(int(fd), r.iov[:k])
		clear(r.iov[:k])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			r.blocked = true
			return !r.wait || r.wn > 0
		}
		if err != nil {
			r.werr = err
			return true
		}
		r.wn += n
		if n < size && r.wait {
			return true // progress: the caller renews its deadline
		}
		for n > 0 && i < len(r.out) {
			left := len(r.out[i].b) - at
			if n < left {
				at += n
				break
			}
			n -= left
			i, at = i+1, 0
		}
	}
}

func writev(fd int, bs [][]byte) (int, error) {
	if len(bs) == 1 {
		return unix.Write(fd, bs[0])
	}
	return unix.Writev(fd, bs)
}
