package controller

import (
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_GET_METADATA_INFO 1005: who leads. Every controller answers; without a leader the two fields are missing, and
// brokers ask the next controller.

func (c *Controller) metadata(conn *remoting.Conn, r *remoting.Request) {
	lead := c.raft.Leader()
	var peers strings.Builder
	for _, p := range c.raft.Members() {
		peers.WriteString(p.ID + ":" + p.Addr + ";")
	}
	conn.Reply(r.ReplyTo(), protocol.RespSuccess, "", &protocol.GetMetaDataResponseHeader{
		Group: c.opts.Group, ControllerLeaderID: lead.ID, ControllerLeaderAddress: lead.Addr, Leader: lead.Self, Peers: peers.String(),
	}, nil)
}
