package member

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Notified handles code 1008, with which a controller says that the master has changed. It makes the member ask; what the request
// says is not used.
func (m *Member) Notified(c *remoting.Conn, r *remoting.Request) {
	m.Ask()
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, nil)
}
