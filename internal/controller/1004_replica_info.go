package controller

import (
	"context"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_GET_REPLICA_INFO 1004: brokers ask every 5 s who is master.

func (c *Controller) replicaInfo(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.GetReplicaInfoRequestHeader
	err := h.Decode(r.Fields)
	own(&h.BrokerName)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		s, err := c.read(ctx)
		if err != nil {
			return reply{err: err}
		}
		t := s.Set(h.BrokerName)
		if t == nil {
			return reply{
				code: protocol.RespControllerBrokerMetadataNotExist, remark: "Broker metadata is not existed",
				header: &protocol.GetReplicaInfoResponseHeader{},
			}
		}
		return reply{body: syncBody(t), header: &protocol.GetReplicaInfoResponseHeader{
			MasterBrokerID: t.Master, HasMasterBrokerID: t.Master != 0, MasterAddress: t.addr(t.Master),
			MasterEpoch: t.MasterEpoch, HasMasterEpoch: true,
		}}
	})
}
