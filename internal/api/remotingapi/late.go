package remotingapi

import (
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// maxLate is how many answers may wait because of quotas, of all connections. Above it they are given at once, and the quotas refuse
// sooner for it.
const maxLate = 100_000

// lateAnswers are the answers of one burst to senders that are above a quota. They own what they refer to.
type lateAnswers struct {
	s    *session
	list []lateAnswer
	wait time.Duration // the longest of the burst
}

type lateAnswer struct {
	to     remoting.ReplyTo
	code   int32
	header protocol.SendMessageResponseHeader
}

// maxClient is how much of a client id counts.
const maxClient = 256

// sayBy fills in who sends.
func (s *session) sayBy(q *mq.SendRequest, r *remoting.Request) {
	if s.client == "" {
		s.client = s.conn.Remote().Addr().String()
		if s.member != nil && s.member.ClientID != "" {
			s.client = s.member.ClientID[:min(len(s.member.ClientID), maxClient)]
		}
	}
	q.Client = s.client
	if g := s.a.o.Auth; g != nil && g.Authenticates() { // else anybody may say that they are anybody
		name, _ := r.Fields.Get(auth.FieldAccessKey)
		q.User = bytesview.String(name)
	}
}

// delay keeps the answer to an accepted send for later. It reports false when it had better be given now.
func (b *burst) delay(to remoting.ReplyTo, code int32, res *mq.SendResult) bool {
	if b.s.a.late.Add(1) > maxLate {
		b.s.a.late.Add(-1)
		return false
	}
	if b.late == nil {
		b.late = &lateAnswers{s: b.s}
	}
	h := *b.accepted(res)
	h.MsgID, h.TransactionID, h.RecallHandle, h.BatchUniqID = strings.Clone(h.MsgID), strings.Clone(h.TransactionID), strings.Clone(h.RecallHandle), strings.Clone(h.BatchUniqID)
	b.late.list = append(b.late.list, lateAnswer{to, code, h})
	b.late.wait = max(b.late.wait, res.Wait)
	return true
}

// sendLate lets the answers that delay has kept go their way.
func (b *burst) sendLate() {
	if l := b.late; l != nil {
		b.late = nil
		time.AfterFunc(l.wait, l.answer)
	}
}

// answer may come when the connection has ended; then nothing is sent.
func (l *lateAnswers) answer() {
	c := l.s.conn
	for i := range l.list {
		a := &l.list[i]
		c.Reply(a.to, a.code, "", &a.header, nil)
	}
	c.Flush()
	l.s.a.late.Add(-int64(len(l.list)))
}
