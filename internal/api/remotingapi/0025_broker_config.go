package remotingapi

import (
	"github.com/cometmq/cometmq/internal/liveprops"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UPDATE_BROKER_CONFIG (25) and GET_BROKER_CONFIG (26). Bodies are Java properties text. As in Java a key that does not exist is ignored
// and a key of the black list refuses the whole request; what the operator should know of a change that was made is in the remark of
// the answer, which Java's tools do not print.
//
// Differs from Java: a value that is not allowed refuses the request (INVALID_PARAMETER). There it is ignored, and stored in the file.

func updateBrokerConfig(a *API, s *session, r *remoting.Request) {
	if len(r.Body) == 0 {
		s.ok(r, nil, nil)
		return
	}
	values, err := liveprops.Parse(r.Body)
	if err != nil {
		s.fail(r, mq.Errorf(mq.KindInternal, "string2Properties error: %s", err))
		return
	}
	to, from := r.ReplyTo(), s.conn.Remote().String()
	s.later(to, func() {
		remark, err := a.o.Config.SetProperties(a.ctx, values, from)
		if err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, remark, nil, nil)
	})
}

func brokerConfig(a *API, s *session, r *remoting.Request) {
	to := r.ReplyTo()
	s.later(to, func() {
		values, v, err := a.o.Config.Properties(a.ctx)
		if err != nil {
			s.failLater(to, err)
			return
		}
		version := version(v)
		h := &protocol.GetBrokerConfigResponseHeader{Version: string(version.AppendTo(nil, false))}
		s.conn.Reply(to, protocol.RespSuccess, "", h, liveprops.Text(values))
	})
}
