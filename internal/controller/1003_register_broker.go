package controller

import (
	"context"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_REGISTER_BROKER 1003: a broker with an id has started. The answer names its master if there is one.

func (c *Controller) registerBroker(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.RegisterBrokerToControllerRequestHeader
	err := h.Decode(r.Fields)
	own(&h.ClusterName, &h.BrokerName, &h.BrokerAddress)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		a, err := c.do(ctx, &Command{Op: OpRegister, Cluster: h.ClusterName, Name: h.BrokerName, ID: h.BrokerID, Addr: h.BrokerAddress})
		out := reply{code: a.Code, remark: a.Remark, err: err}
		rh := protocol.RegisterBrokerToControllerResponseHeader{ClusterName: h.ClusterName, BrokerName: h.BrokerName}
		if t := a.Set; t != nil {
			if a.HasMaster {
				rh.MasterBrokerID, rh.HasMasterBrokerID, rh.MasterAddress = t.Master, true, t.addr(t.Master)
				rh.MasterEpoch, rh.HasMasterEpoch = t.MasterEpoch, true
				rh.SyncStateSetEpoch, rh.HasSyncStateSetEpoch = t.SyncEpoch, true
			}
			out.body = syncBody(t)
			c.log.Info("broker registered", "broker", t.Name, "id", h.BrokerID, "addr", h.BrokerAddress, "master", t.Master)
		}
		out.header = &rh
		return out
	})
}
