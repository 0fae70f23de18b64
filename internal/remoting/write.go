package remoting

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/protocol"
)

const (
	minTail    = 1 << 10
	maxTail    = 64 << 10
	frameRoom  = 512       // what a frame without a body usually needs at most
	inlineBody = 8 << 10   // larger bodies travel in a buffer of their own
	writePiece = 256 << 10 // most that one blocking write, and so one WriteTimeout, covers
	maxChunks  = 512       // length of the chunk list that an idle connection may keep
	flushTurns = 4         // how often Flush takes what others added meanwhile before a writer goroutine does
)

var errStalled = errors.New("peer takes no output")

// Reply answers a request: the frame is copied to the connection's output, and nothing happens for one-way requests.
// Answers of handlers leave after the burst in which they were given; everybody else calls Flush.
func (c *Conn) Reply(to ReplyTo, code int32, remark string, h HeaderAppender, body []byte) {
	c.reply(to, code, remark, h, body, nil)
}

// ReplyBuf is Reply with a body that is not copied if it is large. It takes ownership of body in every case.
func (c *Conn) ReplyBuf(to ReplyTo, code int32, remark string, h HeaderAppender, body *bufpool.Buf) {
	if body == nil {
		c.reply(to, code, remark, h, nil, nil)
		return
	}
	c.reply(to, code, remark, h, body.B, body)
}

func (c *Conn) reply(to ReplyTo, code int32, remark string, h HeaderAppender, body []byte, buf *bufpool.Buf) {
	if to.oneway {
		buf.Release()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock() // h may panic
	if c.closed {
		buf.Release()
		return
	}
	c.answered++
	head := protocol.Head{
		Code: code, Language: c.core.language, Version: c.core.version, Opaque: to.opaque,
		Flag: protocol.FlagResponse, Remark: remark,
	}
	if err := c.frameLocked(&head, to.serial, h, body, buf); err != nil {
		c.core.log.Error("answer cannot be sent", "peer", c.remote, "code", code, "err", err)
		head.Code, head.Remark = protocol.RespSystemError, err.Error()
		_ = c.frameLocked(&head, to.serial, nil, nil, nil)
	}
	c.noteLocked(to, head.Code)
	if c.draining.Load() && c.waiting {
		c.cond.Broadcast()
	}
}

// frameLocked appends a frame to the output. It owns buf, whose bytes body is, if there is one.
func (c *Conn) frameLocked(head *protocol.Head, s Serial, h HeaderAppender, body []byte, buf *bufpool.Buf) error {
	inline := len(body) <= inlineBody
	need := frameRoom + len(head.Remark)
	if inline {
		need += len(body)
	}
	t := c.tail
	if t == nil || cap(t.B)-len(t.B) < need {
		c.sealLocked()
		t = bufpool.Get(max(c.hintOut, need))
		c.tail, c.tailFrom = t, 0
	}
	start := len(t.B)
	c.fw.Begin(t.B, s, head)
	if h != nil {
		h.AppendTo(&c.fw)
	}
	b := c.fw.End(len(body))
	size := len(b) - start + len(body)
	if size > c.core.maxFrame {
		buf.Release()
		return fmt.Errorf("frame of %d bytes, the limit is %d", size, c.core.maxFrame)
	}
	t.B = b
	if inline {
		t.B = append(t.B, body...)
		buf.Release()
	} else {
		if buf == nil {
			buf = bufpool.Get(len(body))
			buf.B = append(buf.B, body...)
		}
		c.out = append(c.out, chunk{b: t.B[c.tailFrom:]}, chunk{b: buf.B, buf: buf})
		c.tailFrom = len(t.B)
	}
	c.queued += size
	if c.queued > c.core.maxOutput {
		c.full.Store(true)
	}
	return nil
}

// sealLocked moves the tail, which nobody will append to any more, to the list.
func (c *Conn) sealLocked() {
	if c.tail == nil {
		return
	}
	c.out = append(c.out, chunk{b: c.tail.B[c.tailFrom:], buf: c.tail})
	c.tail = nil
}

// takeLocked makes everything that is queued the writer's.
func (c *Conn) takeLocked() {
	c.tellLocked()
	c.sealLocked()
	c.hintOut = min(max(c.queued+c.queued/4, c.hintOut-c.hintOut/8, minTail), maxTail)
	c.sending, c.out = c.out, c.sending[:0]
	c.sent = 0
}

// settleLocked is called when queued or tasks became less, or when the writer is done.
func (c *Conn) settleLocked() {
	if c.full.Load() && c.queued <= c.core.maxOutput/2 && c.tasks <= maxTasks/2 {
		c.full.Store(false)
	}
	if c.waiting {
		c.cond.Broadcast()
	}
}

// Flush starts sending what is queued. It does not wait for the peer: one non-blocking write, the rest is left to a
// writer goroutine. With a writer under way it does nothing, because that one takes everything.
func (c *Conn) Flush() {
	c.mu.Lock()
	if c.writing || c.queued == 0 || c.closed {
		c.mu.Unlock()
		return
	}
	c.writing = true
	c.takeLocked()
	c.mu.Unlock()
	if c.raw != nil && c.writeNow() {
		return
	}
	go c.writeFn() // the reader goroutine waits for writing to end
}

// writeNow writes without blocking. It reports false when a writer goroutine must go on.
func (c *Conn) writeNow() bool {
	if c.deadlined {
		c.deadlined = false
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	for range flushTurns {
		n, err := c.raw.write(c.sending[c.sent:], false)
		if !c.wrote(n) {
			return true
		}
		if err != nil {
			c.stopWriting(err)
			return true
		}
		if c.raw.blocked {
			return false
		}
	}
	return false
}

// writeLoop is the writer goroutine: it waits for the peer and ends when nothing is queued.
func (c *Conn) writeLoop() {
	for {
		c.deadlined = true
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.core.writeTimeout))
		if c.Closed() { // checked after the deadline was set: Close may have interrupted us with an earlier one
			c.stopWriting(ErrClosed)
			return
		}
		var n int
		var err error
		if c.raw != nil {
			n, err = c.raw.write(c.sending[c.sent:], true)
		} else if b := c.sending[c.sent].b; len(b) > 0 {
			n, err = c.nc.Write(b[:min(len(b), writePiece)])
		}
		if !c.wrote(n) {
			return
		}
		if err != nil {
			c.stopWriting(err)
			return
		}
	}
}

// wrote accounts for n bytes that the network took. It reports whether there is more to write; if not, writing has ended.
func (c *Conn) wrote(n int) (more bool) {
	c.advance(n)
	if n > 0 {
		c.touch()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued -= n
	more = c.sent < len(c.sending)
	if !more && c.queued > 0 && !c.closed {
		c.takeLocked()
		more = true
	}
	if !more {
		c.writing = false
		if cap(c.sending) > maxChunks {
			c.sending = nil
		}
	}
	c.settleLocked()
	return more
}

// advance releases what has been written of sending.
func (c *Conn) advance(n int) {
	for c.sent < len(c.sending) {
		k := &c.sending[c.sent]
		if n < len(k.b) {
			k.b = k.b[n:]
			return
		}
		n -= len(k.b)
		k.buf.Release()
		*k = chunk{}
		c.sent++
	}
}

// stopWriting ends the writer's work and the connection after a failed write.
func (c *Conn) stopWriting(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errStalled
	}
	c.Close(fmt.Errorf("write: %w", err))
	c.mu.Lock()
	defer c.mu.Unlock()
	releaseChunks(c.sending[c.sent:])
	c.sending, c.sent = nil, 0
	c.writing = false
	c.settleLocked()
}

// dropOutputLocked releases all output of a closed connection without a writer.
func (c *Conn) dropOutputLocked() {
	c.sealLocked()
	releaseChunks(c.out)
	c.out = nil
	c.queued = 0
}

func releaseChunks(ks []chunk) {
	for i := range ks {
		ks[i].buf.Release()
		ks[i] = chunk{}
	}
}

// recovered is deferred around what handlers do: a panic costs the request, not the process.
func (c *Conn) recovered(what string, to ReplyTo) {
	p := recover()
	if p == nil {
		return
	}
	c.logPanic(what, p)
	c.Reply(to, protocol.RespSystemError, fmt.Sprintf("internal error: %v", p), nil, nil)
}

func (c *Conn) logPanic(what string, p any) {
	c.core.log.Error("panic in "+what, "peer", c.remote, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}
