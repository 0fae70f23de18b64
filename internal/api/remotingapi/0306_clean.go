package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CLEAN_EXPIRED_CONSUMEQUEUE (306), CLEAN_UNUSED_TOPIC (316), DELETE_EXPIRED_COMMITLOG (329), RESUME_CHECK_HALF_MESSAGE (323).

func clean(what mq.Cleaning) handler {
	return func(a *API, s *session, r *remoting.Request) {
		s.administer(r, func() error { return a.adm.Clean(a.ctx, what) })
	}
}

func recheckHalf(a *API, s *session, r *remoting.Request) {
	var h protocol.ResumeCheckHalfMessageRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	_, at, err := record.ParseOffsetID(h.MsgID)
	if err != nil {
		s.fail(r, mq.Errorf(mq.KindInternal, "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC."))
		return
	}
	s.administer(r, func() error { return a.adm.RecheckHalf(a.ctx, at) })
}
