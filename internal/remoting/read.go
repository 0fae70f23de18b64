package remoting

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/protocol"
)

const (
	rawRead    = 128 << 10 // read buffer of a TCP connection, lent while there is something to read
	maxRawRead = 512 << 10 // largest one, for a connection that fills it
	rawTotal   = 16 << 20  // shared out among the connections gives what each may grow to
	minRead    = 4 << 10   // smallest read buffer of other connections, which keep theirs
	maxRead    = 64 << 10  // largest one, unless a frame is longer
	bigRead    = 1 << 20   // most that long frames make us read at once
	calmDown   = 16        // so many small reads make the buffer smaller
)

// read appends what has come to the read buffer.
func (c *Conn) read() (n int, err error) {
	if c.raw != nil {
		n, err = c.raw.read()
	} else {
		n, err = c.nc.Read(c.space())
	}
	c.w += n
	if n == 0 {
		return 0, err
	}
	c.adapt(n)
	return n, err
}

// adapt chooses the size of the next buffer after a read of n bytes.
func (c *Conn) adapt(n int) {
	least, most := minRead, maxRead
	if c.raw != nil {
		least, most = rawRead, rawMost(int(c.core.live.Load()))
	}
	switch {
	case c.w == cap(c.in.B) && 2*c.hint <= most:
		c.hint *= 2
		c.small = 0
	case n > c.hint/4:
		c.small = 0
	default:
		if c.small++; c.small >= calmDown {
			c.small = 0
			c.hint = max(c.hint/2, least)
			if n <= minRead {
				c.req.Shrink()
			}
		}
	}
}

// rawMost is how large the read buffer of one of so many TCP connections may become. What one read brings is one write
// to the log, and large writes cost less a byte; but all connections may be busy at once.
func rawMost(conns int) int {
	return min(max(rawTotal/max(conns, 1), rawRead), maxRawRead)
}

// space returns the free part of the read buffer, after making one or moving to a larger one where that helps. A frame
// that has not come as a whole claims at most about twice what is there of it.
func (c *Conn) space() []byte {
	if c.in == nil {
		c.in = bufpool.Get(c.hint)
	}
	have := c.w - c.r
	size := cap(c.in.B)
	switch {
	case have == 0 && size > 2*c.hint, have == 0 && size < c.hint:
		c.in.Release()
		c.in = bufpool.Get(c.hint)
		c.r, c.w = 0, 0
	case c.raw != nil && size < c.hint: // parked with a part of a frame
		c.moveTo(c.hint)
	case have == size, c.want > size && have > size-size/8:
		c.moveTo(min(max(c.want, size+1), 2*size))
	case c.r > 0:
		b := c.in.B[:size]
		c.w = copy(b, b[c.r:c.w])
		c.r = 0
	}
	return c.in.B[c.w:cap(c.in.B)]
}

func (c *Conn) moveTo(size int) {
	nb := bufpool.Get(size)
	n := copy(nb.B[:cap(nb.B)], c.in.B[c.r:c.w:cap(c.in.B)])
	c.in.Release()
	c.in, c.r, c.w = nb, 0, n
}

// park is called when a raw connection has nothing to read: it keeps only what it needs to hold a part of a frame.
func (c *Conn) park() {
	have := c.w - c.r
	if have == 0 {
		c.in.Release()
		c.in, c.r, c.w = nil, 0, 0
		return
	}
	if cap(c.in.B) > 4*have {
		c.moveTo(2 * have)
	}
}

// burst handles all complete frames that have been read, then flushes.
func (c *Conn) burst() error {
	if c.in == nil {
		return nil
	}
	c.begin()
	defer c.end()
	c.req.HoldTexts()
	b := c.in.B[:cap(c.in.B)]
	for {
		if c.full.Load() {
			if err := c.relieve(); err != nil {
				return err
			}
		}
		n, want, err := splitFrame(b[c.r:c.w], c.core.maxFrame)
		if n > 0 {
			err = c.dispatch(b[c.r : c.r+n])
			c.r += n
		}
		if n > 0 && err == nil {
			if n > c.hint && c.hint < bigRead {
				c.hint = min(2*c.hint, bigRead)
			}
			continue
		}
		c.want = want
		if e := c.endBurst(); err == nil {
			err = e
		}
		c.Flush()
		return err
	}
}

func (c *Conn) endBurst() error {
	if f := c.set.OnBurstEnd; f != nil {
		return c.guard("OnBurstEnd", f)
	}
	return nil
}

// relieve ends the burst in the middle and waits until the peer has taken enough of the output and the workers have done
// enough of its tasks.
func (c *Conn) relieve() error {
	if err := c.endBurst(); err != nil {
		return err
	}
	c.Flush()
	c.end() // it may take long
	defer c.begin()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = true
	c.settleLocked()
	for c.full.Load() && !c.closed {
		c.cond.Wait()
	}
	c.waiting = false
	if c.closed {
		return c.reason
	}
	return nil
}

// dispatch handles one frame: a response goes to the call that waits for it, a request to its handler.
func (c *Conn) dispatch(frame []byte) error {
	s, n := protocol.SplitWord(binary.BigEndian.Uint32(frame[4:]))
	header, body := frame[protocol.PrefixLen:protocol.PrefixLen+n:protocol.PrefixLen+n], frame[protocol.PrefixLen+n:]
	r := &c.req
	if err := r.Decode(s, header); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if r.Flag&protocol.FlagResponse != 0 {
		return c.deliver(r.Opaque, s, header, body)
	}
	if s == Binary {
		r.Code = protocol.Widen(r.Code)
	}
	r.Serial = s
	r.Body = nil
	if len(body) > 0 {
		r.Body = slices.Clip(body)
	}
	if !r.IsOneway() {
		c.asked++
	}
	if f := c.core.admit; f != nil && !c.admitted(f, r) {
		return nil
	}
	c.invoke(c.set.of(r.Code), r)
	return nil
}

// admitted asks f about r; a panic of f admits nothing.
func (c *Conn) admitted(f func(*Conn, *Request) bool, r *Request) (ok bool) {
	defer c.recovered("Admit", r.ReplyTo())
	return f(c, r)
}

func (c *Conn) invoke(h Handler, r *Request) {
	defer c.recovered("handler", r.ReplyTo())
	h(c, r)
}

// notSupported is the default handler. The text is Java's, with its leading blank.
func notSupported(c *Conn, r *Request) {
	to := r.ReplyTo()
	if to.Oneway() {
		return
	}
	c.Reply(to, protocol.RespRequestCodeNotSupported, " request type "+strconv.Itoa(int(r.Code))+" not supported", nil, nil)
}
