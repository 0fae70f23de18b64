package remoting

import (
	"context"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// Call asks the peer and waits for its answer, until ctx ends or the connection does. The answer owns its memory. It must
// not be called from a handler directly, since the reader goroutine delivers the answer: use Go.
func (c *Conn) Call(ctx context.Context, code int32, h HeaderAppender, body []byte) (*Response, error) {
	return c.call(ctx, &protocol.Head{Code: code}, h, body)
}

// Oneway sends the peer a request that it will not answer.
func (c *Conn) Oneway(code int32, h HeaderAppender, body []byte) error {
	return c.ask(&protocol.Head{Code: code, Opaque: c.opaque.Add(1), Flag: protocol.FlagOneway}, h, body)
}

// Ask asks the peer and returns. done is called exactly once, under no lock and from any goroutine, with the answer, which
// owns its memory, or with an error: context.DeadlineExceeded when there was none within timeout, else why the connection
// has ended. It must not block. Nothing waits meanwhile but a timer. The request leaves with the next Flush.
func (c *Conn) Ask(timeout time.Duration, code int32, h HeaderAppender, body []byte, done func(*Response, error)) {
	head := &protocol.Head{Code: code, Opaque: c.opaque.Add(1)}
	if !c.await(head.Opaque, waiting{code: code, done: done}) {
		done(nil, c.callError(code, c.Reason()))
		return
	}
	if err := c.queueRequest(head, h, body); err != nil {
		if c.forget(head.Opaque) {
			done(nil, c.callError(code, err))
		}
		return
	}
	c.pmu.Lock()
	defer c.pmu.Unlock()
	if w, ok := c.pending[head.Opaque]; ok {
		w.timer = time.AfterFunc(timeout, func() {
			if c.forget(head.Opaque) {
				done(nil, c.callError(code, context.DeadlineExceeded))
			}
		})
		c.pending[head.Opaque] = w
	}
}

// waiting is a request whose answer has not come: a channel of a Call, or what an Ask is to call.
type waiting struct {
	answer chan *Command
	code   int32
	done   func(*Response, error)
	timer  *time.Timer
}

// tell ends the wait: with an answer, or with an error. A panic of done costs that answer, not the process.
func (c *Conn) tell(w *waiting, r *Response, err error) {
	if w.timer != nil {
		w.timer.Stop()
	}
	switch {
	case w.done != nil:
		defer func() {
			if p := recover(); p != nil {
				c.logPanic("what waited for an answer", p)
			}
		}()
		w.done(r, err)
	case r != nil:
		w.answer <- r
	default:
		close(w.answer)
	}
}

// await enters a request in the table. It reports false when the connection has ended.
func (c *Conn) await(opaque int32, w waiting) bool {
	c.pmu.Lock()
	defer c.pmu.Unlock()
	if c.pclosed {
		return false
	}
	if c.pending == nil {
		c.pending = make(map[int32]waiting)
	}
	c.pending[opaque] = w
	return true
}

func (c *Conn) call(ctx context.Context, head *protocol.Head, h HeaderAppender, body []byte) (*Command, error) {
	head.Opaque = c.opaque.Add(1)
	answer := make(chan *Command, 1)
	if !c.await(head.Opaque, waiting{answer: answer, code: head.Code}) {
		return nil, c.callError(head.Code, c.Reason())
	}
	if err := c.ask(head, h, body); err != nil {
		c.forget(head.Opaque)
		return nil, err
	}
	select {
	case r := <-answer:
		if r == nil {
			return nil, c.callError(head.Code, c.Reason())
		}
		return r, nil
	case <-ctx.Done():
		c.forget(head.Opaque)
		return nil, c.callError(head.Code, context.Cause(ctx))
	}
}

func (c *Conn) callError(code int32, err error) error {
	if err == nil { // the connection is about to end
		err = ErrClosed
	}
	return fmt.Errorf("call %s of %s: %w", protocol.RequestName(code), c.remote, err)
}

// ask queues a request and flushes.
func (c *Conn) ask(head *protocol.Head, h HeaderAppender, body []byte) error {
	if err := c.queueRequest(head, h, body); err != nil {
		return c.callError(head.Code, err)
	}
	c.Flush()
	return nil
}

func (c *Conn) queueRequest(head *protocol.Head, h HeaderAppender, body []byte) error {
	head.Language, head.Version = c.core.language, c.core.version
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.reason
	}
	return c.frameLocked(head, c.core.serial, h, body, nil)
}

// forget ends the wait for an answer. It reports false when somebody else did.
func (c *Conn) forget(opaque int32) bool {
	c.pmu.Lock()
	defer c.pmu.Unlock()
	w, ok := c.pending[opaque]
	delete(c.pending, opaque)
	if ok && w.timer != nil {
		w.timer.Stop()
	}
	return ok
}

// deliver hands an answer to the call that waits for it. One that nobody waits for came too late and is dropped.
func (c *Conn) deliver(opaque int32, s Serial, header, body []byte) error {
	c.pmu.Lock()
	w, ok := c.pending[opaque]
	delete(c.pending, opaque)
	c.pmu.Unlock()
	if !ok {
		return nil
	}
	r, err := newCommand(s, header, body)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
		c.tell(&w, nil, c.callError(w.code, err))
		return err
	}
	c.tell(&w, r, nil)
	return nil
}

// failPending ends all calls of a connection that has ended.
func (c *Conn) failPending() {
	c.pmu.Lock()
	c.pclosed = true
	all := c.pending
	c.pending = nil
	c.pmu.Unlock()
	for _, w := range all {
		c.tell(&w, nil, c.callError(w.code, c.Reason()))
	}
}
