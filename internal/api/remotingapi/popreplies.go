package remotingapi

import (
	"github.com/cometmq/cometmq/internal/bufpool"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// popReply is an answer that waits until what it says is in the journal: a message that is handed out, an acknowledgement.
// All of one read are written with one write to the file.
type popReply struct {
	to     remoting.ReplyTo
	remark string
	kind   uint8
	lite   bool // of a pop of lite topics
	pop    protocol.PopMessageResponseHeader
	change protocol.ChangeInvisibleTimeResponseHeader
	buf    *bufpool.Buf
	texts  []byte // what the strings of pop refer to
}

// Kinds of waiting answers.
const (
	replyPop uint8 = iota
	replyAck
	replyChange
)

// laterPop adds an answer to those of this read.
func (s *session) laterPop(kind uint8, to remoting.ReplyTo) *popReply {
	n := len(s.pops)
	if n < cap(s.pops) {
		s.pops = s.pops[:n+1]
	} else {
		s.pops = append(s.pops, popReply{})
	}
	p := &s.pops[n]
	*p = popReply{to: to, kind: kind, texts: p.texts[:0]}
	return p
}

// maxPopReplies bounds the answers, and with them the messages, that one read keeps.
const maxPopReplies = 256

// flushPops writes the journal and gives the answers.
func (s *session) flushPops() {
	if len(s.pops) == 0 {
		return
	}
	err := s.a.svc.SyncPops()
	for i := range s.pops {
		s.answerPop(&s.pops[i], err)
	}
	s.pops = s.pops[:0]
}

// answerPop gives one answer. Messages are given even when the journal cannot be written: after a kill they come twice at worst.
func (s *session) answerPop(p *popReply, err error) {
	switch {
	case p.lite:
		s.conn.ReplyBuf(p.to, protocol.RespSuccess, "FOUND", liteHeader(&p.pop), p.buf)
		p.buf = nil
	case p.kind == replyPop:
		s.conn.ReplyBuf(p.to, protocol.RespSuccess, "FOUND", &p.pop, p.buf)
		p.buf = nil
	case err != nil:
		code, remark := failure(err)
		s.conn.Reply(p.to, code, remark, nil, nil)
	case p.kind == replyChange:
		s.conn.Reply(p.to, protocol.RespSuccess, p.remark, &p.change, nil)
	default:
		s.conn.Reply(p.to, protocol.RespSuccess, p.remark, nil, nil)
	}
}
