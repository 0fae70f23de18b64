package controller

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CONTROLLER_GET_NEXT_BROKER_ID 1012 and CONTROLLER_APPLY_BROKER_ID 1013: a new broker asks which id is next, writes it
// down with a check code, and applies for it. Whoever was first gets it; the other one asks again.

func (c *Controller) nextBrokerID(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.GetNextBrokerIdRequestHeader
	err := h.Decode(r.Fields)
	own(&h.ClusterName, &h.BrokerName)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		s, err := c.read(ctx)
		if err != nil {
			return reply{err: err}
		}
		return reply{header: &protocol.GetNextBrokerIdResponseHeader{
			ClusterName: h.ClusterName, BrokerName: h.BrokerName, NextBrokerID: s.NextID(h.BrokerName), HasNextBrokerID: true,
		}}
	})
}

func (c *Controller) applyBrokerID(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.ApplyBrokerIdRequestHeader
	err := h.Decode(r.Fields)
	own(&h.ClusterName, &h.BrokerName, &h.RegisterCheckCode)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		addr, _, _ := strings.Cut(h.RegisterCheckCode, ";")
		a, err := c.do(ctx, &Command{
			Op: OpApplyID, Cluster: h.ClusterName, Name: h.BrokerName, ID: h.AppliedBrokerID, Addr: addr, CheckCode: h.RegisterCheckCode,
		})
		return reply{code: a.Code, remark: a.Remark, err: err, header: &protocol.ApplyBrokerIdResponseHeader{
			ClusterName: h.ClusterName, BrokerName: h.BrokerName,
		}}
	})
}
