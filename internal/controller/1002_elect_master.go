package controller

import (
	"context"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_ELECT_MASTER 1002: a broker without a master asks for one, itself if possible; or an operator wants a certain
// one (designateElect).

func (c *Controller) electMaster(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.ElectMasterRequestHeader
	err := h.Decode(r.Fields)
	own(&h.ClusterName, &h.BrokerName)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		a, err := c.do(ctx, &Command{Op: OpElect, Cluster: h.ClusterName, Name: h.BrokerName, ID: h.BrokerID, Designate: h.DesignateElect})
		out := reply{code: a.Code, remark: a.Remark, err: err}
		var rh protocol.ElectMasterResponseHeader
		if t := a.Set; t != nil {
			rh = protocol.ElectMasterResponseHeader{
				MasterBrokerID: t.Master, HasMasterBrokerID: true, MasterAddress: t.addr(t.Master),
				MasterEpoch: t.MasterEpoch, HasMasterEpoch: true, SyncStateSetEpoch: t.SyncEpoch, HasSyncStateSetEpoch: true,
			}
			b := protocol.ElectMasterResponseBody{SyncStateSet: t.Sync}
			if a.Elected {
				b.Members = &protocol.BrokerMemberGroup{Cluster: t.Cluster, BrokerName: t.Name, BrokerAddrs: t.Addrs()}
				c.log.Info("new master elected on request", "broker", t.Name, "new", t.Master, "addr", t.addr(t.Master),
					"epoch", t.MasterEpoch, "asked_by", h.BrokerID, "designated", h.DesignateElect)
				c.tell(t)
			}
			out.body = b.AppendTo(nil, false)
		}
		out.header = &rh
		return out
	})
}
