package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_ASSIGNMENT: the queues of one consumer, of all brokers. An answer without a list leaves the choice to the client.
func queryAssignment(a *API, s *session, r *remoting.Request) {
	var b protocol.QueryAssignmentRequestBody
	if err := b.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	q := &mq.AssignmentRequest{
		Topic: b.Topic, Group: b.ConsumerGroup, ClientID: b.ClientID, Strategy: b.StrategyName, Broadcast: b.MessageModel == "BROADCASTING",
	}
	to := r.ReplyTo()
	s.later(to, func() { // it may have to ask a name server
		as, err := a.svc.Assign(a.ctx, q)
		if err != nil {
			s.failLater(to, err)
			return
		}
		var body protocol.QueryAssignmentResponseBody
		for _, x := range as {
			body.Assignments = append(body.Assignments, protocol.MessageQueueAssignment{
				Queue: protocol.MessageQueue{Topic: x.Queue.Topic, BrokerName: x.Queue.Broker, QueueID: x.Queue.ID}, Mode: x.Mode,
			})
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, body.AppendTo(nil, false))
	})
}
