package remoting

import (
	"context"
	"fmt"

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

func (c *Conn) call(ctx context.Context, head *protocol.Head, h HeaderAppender, body []byte) (*Command, error) {
	head.Opaque = c.opaque.Add(1)
	answer := make(chan *Command, 1)
	c.pmu.Lock()
	if c.pclosed {
		c.pmu.Unlock()
		return nil, c.callError(head.Code, c.Reason())
	}
	if c.pending == nil {
		c.pending = make(map[int32]chan *Command)
	}
	c.pending[head.Opaque] = answer
	c.pmu.Unlock()

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

func (c *Conn) forget(opaque int32) {
	c.pmu.Lock()
	defer c.pmu.Unlock()
	delete(c.pending, opaque)
}

// deliver hands an answer to the call that waits for it. One that nobody waits for came too late and is dropped.
func (c *Conn) deliver(opaque int32, s Serial, header, body []byte) error {
	c.pmu.Lock()
	answer := c.pending[opaque]
	delete(c.pending, opaque)
	c.pmu.Unlock()
	if answer == nil {
		return nil
	}
	r, err := newCommand(s, header, body)
	if err != nil {
		close(answer)
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	answer <- r
	return nil
}

// failPending ends all calls of a connection that has ended.
func (c *Conn) failPending() {
	c.pmu.Lock()
	defer c.pmu.Unlock()
	c.pclosed = true
	for _, answer := range c.pending {
		close(answer)
	}
	c.pending = nil
}
