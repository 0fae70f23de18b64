package remotingapi

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CHECK_CLIENT_CONFIG: whether a subscription's expression compiles here.
func checkClientConfig(a *API, s *session, r *remoting.Request) {
	var b protocol.CheckClientRequestBody
	if err := b.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	sub := subscription(&b.Subscription)
	if err := a.svc.CheckFilter(a.ctx, b.Group, &sub); err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, nil, nil)
}
