package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// END_TRANSACTION: a producer decides a half message. Clients send it one-way; a two-way answer comes when the decision is
// as safe as a send would be. topic, msgId and transactionId are not looked at, as in Java: the three numbers and the group
// say which message it is.
//
// Differs from Java: a two-way "unknown" is answered with success. Java leaves the caller to its timeout.
func endTransaction(_ *API, s *session, r *remoting.Request) {
	h := &s.end
	if err := h.Decode(r.Fields); err != nil {
		s.flushSends()
		s.fail(r, err)
		return
	}
	kind := h.CommitOrRollback
	if kind != record.SysFlagCommit && kind != record.SysFlagRollback {
		s.ok(r, nil, nil) // unknown: the broker asks again later
		return
	}
	e := s.collectEnd(r)
	e.Group, e.Index, e.Offset = h.ProducerGroup, mq.Index(h.TranStateTableOffset), mq.Offset(h.CommitLogOffset)
	e.Commit, e.FromCheck = kind == record.SysFlagCommit, h.FromTransactionCheck
	s.flushFull()
}

// CheckTransaction sends CHECK_TRANSACTION_STATE (39). A client that does not read what it is sent is not asked.
func (p *peer) CheckTransaction(c *mq.TransactionCheck) bool {
	if p.conn.Closed() || !p.conn.Writable() {
		return false
	}
	return p.conn.Oneway(protocol.ReqCheckTransactionState, &protocol.CheckTransactionStateRequestHeader{
		Topic: c.Topic, TranStateTableOffset: int64(c.Index), CommitLogOffset: int64(c.Offset), MsgID: c.TransactionID,
		TransactionID: c.TransactionID, OffsetMsgID: c.OffsetID, BrokerName: c.Broker,
	}, c.Record) == nil
}
