package remotingapi

import (
	"context"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// GET_ALL_CONSUMER_OFFSET (43), GET_ALL_DELAY_OFFSET (45), GET_TIMER_CHECK_POINT (60), GET_TIMER_METRICS (61): what a slave asks its
// master. The bodies are consumerOffset.json, delayOffset.json, the 56 bytes of timercheck, and timermetrics.

func allConsumerOffset(a *API, s *session, r *remoting.Request) {
	s.table(r, a.adm.OffsetTable)
}

func allDelayOffset(a *API, s *session, r *remoting.Request) {
	s.table(r, a.adm.DelayTable)
}

func timerCheckpoint(a *API, s *session, r *remoting.Request) {
	s.table(r, a.adm.TimerCheckpoint)
}

func timerMetrics(a *API, s *session, r *remoting.Request) {
	s.table(r, a.adm.TimerMetrics)
}

func (s *session) table(r *remoting.Request, get func(context.Context) ([]byte, error)) {
	to := r.ReplyTo()
	s.later(to, func() {
		text, err := get(s.a.ctx)
		if err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, text)
	})
}
