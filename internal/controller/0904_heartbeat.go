package controller

import (
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// BROKER_HEARTBEAT 904: a sign of life with the state of the broker's log. Brokers send it to all controllers, each second,
// and every controller takes it. It is not replicated.
//
// Differs from Java: only a registered broker counts, and only from the address that it registered. Java takes whatever
// comes, so that anybody fills its table, and a copy of a broker's folder keeps its dead original alive.

func (c *Controller) heartbeat(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.BrokerHeartbeatRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		conn.Reply(r.ReplyTo(), protocol.RespSystemError, err.Error(), nil, nil)
		return
	}
	if !h.HasBrokerID {
		conn.Reply(r.ReplyTo(), protocol.RespControllerInvalidRequest, "Heart beat with empty brokerId", nil, nil)
		return
	}
	if t := c.State().Set(h.BrokerName); t != nil && t.Cluster == h.ClusterName && t.addr(h.BrokerID) == h.BrokerAddr && h.BrokerAddr != "" {
		m := member{t.Name, h.BrokerID}
		attach(conn, m)
		fresh := c.live.beat(time.Now(), m, Candidate{
			ID: h.BrokerID, Epoch: h.Epoch, MaxOffset: h.MaxOffset, Priority: h.ElectionPriority,
			Lease: time.Duration(min(max(h.HeartbeatTimeoutMills, 0), maxLease.Milliseconds())) * time.Millisecond,
		}, conn)
		if fresh {
			c.log.Info("broker is alive", "broker", t.Name, "id", h.BrokerID, "addr", strings.Clone(h.BrokerAddr))
			c.look()
		}
	}
	conn.Reply(r.ReplyTo(), protocol.RespSuccess, "Heart beat success", nil, nil)
}
