package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// header is what a request carries besides code and body.
type header interface {
	AppendTo(w *protocol.FieldWriter)
}

// Reply is an answer. Fields and Body are valid until the next one is read.
type Reply struct {
	Code   int32
	Remark string
	Fields protocol.Fields
	Body   []byte
	opaque int32
}

// Err returns an error when the reply is not a success.
func (r *Reply) Err() error {
	if r.Code == protocol.RespSuccess {
		return nil
	}
	return &CodeError{Code: r.Code, Remark: r.Remark}
}

// CodeError is an answer other than success.
type CodeError struct {
	Code   int32
	Remark string
}

// Error gives code and remark.
func (e *CodeError) Error() string { return fmt.Sprintf("code %d: %s", e.Code, e.Remark) }

// Int reads a number from the reply's header.
func (r *Reply) Int(key string) (int64, error) {
	v, ok := r.Fields.Get(key)
	if !ok {
		return 0, fmt.Errorf("no %s in the reply", key)
	}
	return strconv.ParseInt(string(v), 10, 64)
}

// Dialer opens connections; net.Dialer has this method.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Client is one connection for one goroutine at a time.
type Client struct {
	conn   net.Conn
	ctx    context.Context // of Dial: its end fails what the connection is doing
	unhook func() bool
	in     *bufio.Reader
	out    []byte
	held   int    // bytes of the last answer, which still lie in in
	frame  []byte // an answer that is larger than in
	head   protocol.Header
	fw     protocol.FieldWriter
	reply  Reply
	opaque int32
	serial protocol.Serial
}

// readBuffer holds the replies of many requests.
const readBuffer = 256 << 10

// Dial connects to a broker or name server. The connection is of no use any more when ctx has ended.
func Dial(ctx context.Context, dial Dialer, addr string, serial protocol.Serial) (*Client, error) {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	}
	c, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	unhook := context.AfterFunc(ctx, func() {
		_ = c.SetDeadline(time.Now()) // an error means that it is closed already
	})
	return &Client{conn: c, ctx: ctx, unhook: unhook, in: bufio.NewReaderSize(c, readBuffer), serial: serial}, nil
}

// receiver shares the connection with c, for a goroutine that only reads.
func (c *Client) receiver() *Client {
	c.letGo()
	return &Client{conn: c.conn, ctx: c.ctx, in: c.in, serial: c.serial}
}

// Close ends the connection.
func (c *Client) Close() error {
	c.unhook()
	return c.conn.Close()
}

// broken says what was being done when the connection failed, or why it was given up.
func (c *Client) broken(doing string, err error) error {
	if c.ctx.Err() != nil {
		err = context.Cause(c.ctx)
	}
	return fmt.Errorf("%s %s: %w", doing, c.conn.RemoteAddr(), err)
}

// write sends whole requests.
func (c *Client) write(out []byte) error {
	if _, err := c.conn.Write(out); err != nil {
		return c.broken("write to", err)
	}
	return nil
}

// begin appends a request frame up to its body.
func (c *Client) begin(dst []byte, code, opaque int32, h header, bodyLen int) []byte {
	c.fw.Begin(dst, c.serial, &protocol.Head{
		Code: code, Language: protocol.LanguageGo, Version: protocol.VersionServed, Opaque: opaque,
	})
	if h != nil {
		h.AppendTo(&c.fw)
	}
	return c.fw.End(bodyLen)
}

// Call sends one request and waits for its answer.
func (c *Client) Call(code int32, h header, body []byte) (*Reply, error) {
	c.opaque++
	c.out = append(c.begin(c.out[:0], code, c.opaque, h, len(body)), body...)
	err := c.write(c.out)
	c.out = c.out[:0] // a Start that follows must not send it again
	if err != nil {
		return nil, err
	}
	for {
		r, err := c.read()
		if err != nil || r.opaque == c.opaque {
			return r, err
		}
	}
}

// maxReply bounds a frame that is taken from a server.
const maxReply = 64 << 20

// read returns the next answer and passes over what the server asks of us.
func (c *Client) read() (*Reply, error) {
	for {
		c.letGo()
		prefix, err := c.in.Peek(protocol.PrefixLen)
		if err != nil {
			return nil, c.broken("read from", err)
		}
		total := int64(binary.BigEndian.Uint32(prefix)) + 4
		serial, headLen := protocol.SplitWord(binary.BigEndian.Uint32(prefix[4:]))
		if total < protocol.PrefixLen+int64(headLen) || total > maxReply {
			return nil, errors.New("the server sent a malformed frame")
		}
		f, err := c.whole(int(total))
		if err != nil {
			return nil, c.broken("read from", err)
		}
		f = f[protocol.PrefixLen:]
		if err := c.head.Decode(serial, f[:headLen]); err != nil {
			return nil, err
		}
		if c.head.Flag&protocol.FlagResponse == 0 {
			continue
		}
		c.reply = Reply{Code: c.head.Code, Fields: c.head.Fields, Body: f[headLen:], opaque: c.head.Opaque}
		if c.head.Code != protocol.RespSuccess {
			c.reply.Remark = string(c.head.Remark)
		}
		return &c.reply, nil
	}
}

// whole returns the frame of n bytes that comes next: where it lies in the buffer if it fits there.
func (c *Client) whole(n int) ([]byte, error) {
	if n <= c.in.Size() {
		c.held = n
		return c.in.Peek(n)
	}
	if cap(c.frame) < n {
		c.frame = make([]byte, n+n/2)
	}
	_, err := io.ReadFull(c.in, c.frame[:n])
	return c.frame[:n], err
}

// letGo ends the use of the last answer.
func (c *Client) letGo() {
	_, _ = c.in.Discard(c.held) // they are there
	c.held = 0
}

// pending reports whether a whole further answer has come already.
func (c *Client) pending() bool {
	have := c.in.Buffered() - c.held
	if have < protocol.PrefixLen {
		return false
	}
	b, err := c.in.Peek(c.held + 4)
	return err == nil && int64(binary.BigEndian.Uint32(b[c.held:]))+4 <= int64(have)
}

// CreateTopic creates or updates a topic on the broker.
func (c *Client) CreateTopic(topic string, queues int) error {
	r, err := c.Call(protocol.ReqUpdateAndCreateTopic, topicHeader(topic, queues), nil)
	if err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	return nil
}

func topicHeader(topic string, queues int) *protocol.CreateTopicRequestHeader {
	return &protocol.CreateTopicRequestHeader{
		Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: int32(queues), WriteQueueNums: int32(queues), Perm: 6,
		TopicFilterType: "SINGLE_TAG",
	}
}

// Bounds returns the first and the next position of a queue.
func (c *Client) Bounds(topic string, queue int) (lo, hi int64, err error) {
	for _, q := range []struct {
		code int32
		to   *int64
	}{{protocol.ReqGetMinOffset, &lo}, {protocol.ReqGetMaxOffset, &hi}} {
		r, err := c.Call(q.code, &protocol.GetMaxOffsetRequestHeader{Topic: topic, QueueID: int32(queue)}, nil)
		if err == nil {
			err = r.Err()
		}
		if err == nil {
			*q.to, err = r.Int("offset")
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return lo, hi, nil
}

// Start queues a request with an opaque of the caller's choice; FlushOut sends what is queued and Next reads answers.
func (c *Client) Start(code int32, h header, body []byte, opaque int32) error {
	c.out = append(c.begin(c.out, code, opaque, h, len(body)), body...)
	if len(c.out) >= readBuffer {
		return c.FlushOut()
	}
	return nil
}

// FlushOut sends the requests that Start has queued.
func (c *Client) FlushOut() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

// Next returns the next answer and the opaque of its request.
func (c *Client) Next(wait time.Duration) (*Reply, int32, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, 0, err
	}
	r, err := c.read()
	if err != nil {
		return nil, 0, err
	}
	return r, r.opaque, nil
}

// ReadAll pulls a queue from its start to its end and shows each stored record.
func (c *Client) ReadAll(topic string, queue int, visit func(index int64, rec []byte) error) error {
	at, hi, err := c.Bounds(topic, queue)
	if err != nil {
		return err
	}
	for at < hi {
		r, err := c.Call(protocol.ReqPullMessage, pullHeader(topic, "read_all", queue, at, 32, 0), nil)
		if err != nil {
			return err
		}
		_, next, err := pulled(r, at, visit)
		if err != nil {
			return err
		}
		if next <= at {
			return fmt.Errorf("no progress at %d of %d: code %d", at, hi, r.Code)
		}
		at = next
	}
	return nil
}

// Pull asks once for what a queue holds at a position, waiting for it if wait > 0, and shows each stored record. It returns
// where to go on.
func (c *Client) Pull(topic string, queue int, at int64, most int, wait time.Duration, visit func(index int64, rec []byte) error) (next int64, err error) {
	r, err := c.Call(protocol.ReqPullMessage, pullHeader(topic, "read_all", queue, at, most, wait), nil)
	if err != nil {
		return at, err
	}
	_, next, err = pulled(r, at, visit)
	return next, err
}
