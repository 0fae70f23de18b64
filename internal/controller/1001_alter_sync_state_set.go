package controller

import (
	"context"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_ALTER_SYNC_STATE_SET 1001: a master proposes who has all that it acknowledged.

func (c *Controller) alterSyncStateSet(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.AlterSyncStateSetRequestHeader
	var b protocol.SyncStateSet
	err := h.Decode(r.Fields)
	if err == nil {
		err = b.Decode(r.Body)
	}
	own(&h.BrokerName)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		if len(b.SyncStateSet) > maxReplicas {
			return reply{code: protocol.RespControllerInvalidRequest, remark: "the sync-state set has too many members"}
		}
		a, err := c.do(ctx, &Command{
			Op: OpAlter, Name: h.BrokerName, ID: h.MasterBrokerID, MasterEpoch: h.MasterEpoch,
			Sync: sorted(b.SyncStateSet), SyncEpoch: b.SyncStateSetEpoch,
		})
		out := reply{code: a.Code, remark: a.Remark, err: err}
		var rh protocol.AlterSyncStateSetResponseHeader
		if a.Set != nil {
			rh.NewSyncStateSetEpoch = a.Set.SyncEpoch
			out.body = syncBody(a.Set)
			c.log.Info("sync-state set changed", "broker", a.Set.Name, "in_sync", a.Set.Sync, "epoch", a.Set.SyncEpoch)
		}
		out.header = &rh
		return out
	})
}
