package controller

import (
	"context"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_GET_SYNC_STATE_DATA 1006: the state of the sets that the body names, for mqadmin getSyncStateSet.

func (c *Controller) syncStateData(conn *remoting.Conn, r *remoting.Request) {
	var names []string
	var err error
	if len(r.Body) > 0 {
		names, err = protocol.DecodeNames(r.Body)
	}
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		if len(names) == 0 {
			return reply{code: protocol.RespSystemError, remark: unsetRemark}
		}
		s, err := c.read(ctx)
		if err != nil {
			return reply{err: err}
		}
		var b protocol.BrokerReplicasInfo
		seen := map[string]bool{}
		for _, name := range names {
			if t := s.Set(name); t != nil && !seen[name] {
				seen[name] = true
				b.Sets = append(b.Sets, c.describe(t))
			}
		}
		return reply{body: b.AppendTo(nil, false)}
	})
}

func (c *Controller) describe(t *Set) protocol.ReplicasInfo {
	now := time.Now()
	d := protocol.ReplicasInfo{
		BrokerName: t.Name, MasterBrokerID: t.Master, MasterAddress: t.addr(t.Master), MasterEpoch: t.MasterEpoch, SyncStateSetEpoch: t.SyncEpoch,
	}
	for _, r := range t.Replicas {
		id := protocol.ReplicaIdentity{
			BrokerName: t.Name, BrokerID: r.ID, BrokerAddress: r.Addr, Alive: c.live.alive(now, member{t.Name, r.ID}),
		}
		if t.InSync(r.ID) {
			d.InSync = append(d.InSync, id)
		} else {
			d.NotInSync = append(d.NotInSync, id)
		}
	}
	return d
}
