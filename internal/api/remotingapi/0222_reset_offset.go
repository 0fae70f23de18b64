package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// INVOKE_BROKER_TO_RESET_OFFSET (222), INVOKE_BROKER_TO_GET_CONSUMER_STATUS (223), CLONE_GROUP_OFFSET (314): positions of a
// group, changed or asked for by a tool.

func resetOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.ResetOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	q := mq.PositionReset{
		Group: strings.Clone(h.Group), Topic: strings.Clone(h.Topic), QueueID: h.QueueID, Time: h.Timestamp,
		HasIndex: h.HasOffset, Index: mq.Index(h.Offset), Force: h.Force, ForC: r.LanguageName() == "CPP",
	}
	s.look(r, func(dst []byte) ([]byte, error) {
		at, err := a.adm.ResetPositions(a.ctx, &q)
		if err != nil {
			return nil, err
		}
		body := protocol.ResetOffsetBody{OffsetTable: wirePositions(at)}
		return body.AppendTo(dst, false), nil
	})
}

func consumerStatus(a *API, s *session, r *remoting.Request) {
	var h protocol.GetConsumerStatusRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	to := r.ReplyTo()
	a.adm.ConsumerPositions(a.ctx, h.Group, h.Topic, h.ClientAddr, func(list []mq.ClientPositions, err error) {
		if err != nil {
			s.failLater(to, err)
		} else {
			body := protocol.GetConsumerStatusBody{ConsumerTable: make(map[string][]protocol.QueueOffset, len(list))}
			for _, c := range list {
				body.ConsumerTable[c.ClientID] = wirePositions(c.Positions)
			}
			s.conn.Reply(to, protocol.RespSuccess, "", nil, body.AppendTo(nil, false))
		}
		s.conn.Flush()
	})
}

func cloneGroupOffset(a *API, s *session, r *remoting.Request) {
	var h protocol.CloneGroupOffsetRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	from, to, topic, live := strings.Clone(h.SrcGroup), strings.Clone(h.DestGroup), strings.Clone(h.Topic), !h.Offline
	s.administer(r, func() error { return a.adm.ClonePositions(a.ctx, from, to, topic, live) })
}
