package remoting

import (
	"github.com/cometmq/cometmq/internal/protocol"
)

// Serial is the serialisation of a header.
type Serial = protocol.Serial

// The two serialisations.
const (
	JSON   = protocol.JSON
	Binary = protocol.Binary
)

// Request is one command from the peer: Code, Language, Version, Opaque, Flag, Remark and Fields of its header, and the
// body (nil when absent). Request codes that the binary form cut to 16 bits are restored. It is reused: valid until
// the handler returns; see the package comment for the bytes it points to.
type Request struct {
	protocol.Header
	Body   []byte
	Serial Serial

	at   int64  // ns: when the burst began
	turn uint32 // of the burst
}

// IsOneway reports that the peer wants no answer.
func (r *Request) IsOneway() bool { return r.Flag&protocol.FlagOneway != 0 }

// LanguageName is Java's name of the peer's language.
func (r *Request) LanguageName() string { return protocol.LanguageName(r.Language) }

// ReplyTo returns what is needed to answer r, now or later.
func (r *Request) ReplyTo() ReplyTo {
	return ReplyTo{opaque: r.Opaque, serial: r.Serial, oneway: r.IsOneway(), code: r.Code, at: r.at, turn: r.turn}
}

// ReplyTo says whom a reply answers. It is a small value to be kept as long as needed. The zero value answers request 0.
type ReplyTo struct {
	opaque int32
	serial Serial
	oneway bool

	code int32 // of the request, and when it came; at is 0 when that is not known
	at   int64
	turn uint32
}

// Oneway reports that nobody waits for the answer: Reply and ReplyBuf will do nothing.
func (t ReplyTo) Oneway() bool { return t.oneway }

// Handler handles one request in the reader goroutine of its connection. It must not wait for anything but memory: what
// waits belongs into Conn.Go, or is answered later by whoever completes it.
type Handler func(c *Conn, r *Request)

// HeaderAppender writes the ext fields of a command. Passing a pointer that lives in the connection's session, not on the
// stack, keeps an answer free of allocations.
type HeaderAppender interface {
	AppendTo(w *protocol.FieldWriter)
}

// Command is a request that we send or a response that we got.
//
// Sending uses Code, Remark, Header, Ext (after Header) and Body; Language and Version are the client's own, Opaque
// and Flag are chosen by the connection. A received one has everything but Header, and owns all its memory.
type Command struct {
	Code, Opaque, Flag, Version int32
	Language                    uint8
	Remark                      string
	Header                      HeaderAppender
	Ext                         map[string]string
	Fields                      protocol.Fields // received: the same as Ext, for typed headers
	Body                        []byte
}

// Response is what a Call returns.
type Response = Command

// AppendTo writes the ext fields of c.
func (c *Command) AppendTo(w *protocol.FieldWriter) {
	if c.Header != nil {
		c.Header.AppendTo(w)
	}
	for k, v := range c.Ext {
		w.Pair([]byte(k), []byte(v))
	}
}

// newCommand copies a received frame into a Command.
func newCommand(s Serial, header, body []byte) (*Command, error) {
	b := make([]byte, len(header)+len(body))
	copy(b, header)
	copy(b[len(header):], body)
	var h protocol.Header
	if err := h.Decode(s, b[:len(header):len(header)]); err != nil {
		return nil, err
	}
	c := &Command{
		Code: h.Code, Opaque: h.Opaque, Flag: h.Flag, Version: h.Version, Language: h.Language,
		Remark: string(h.Remark), Fields: h.Fields, Ext: make(map[string]string, len(h.Fields)),
	}
	if len(body) > 0 {
		c.Body = b[len(header):]
	}
	for _, f := range h.Fields {
		c.Ext[string(f.Key)] = string(f.Val)
	}
	return c, nil
}
