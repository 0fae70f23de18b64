package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42). onlyThisBroker is not read: locks are this broker's (Java's lockInStrictMode=false).

func lockQueues(a *API, s *session, r *remoting.Request) {
	q, err := lockRequest(r.Body)
	if err != nil {
		s.fail(r, err)
		return
	}
	held, err := a.svc.Lock(a.ctx, q)
	if err != nil {
		s.fail(r, err)
		return
	}
	var body protocol.LockBatchResponseBody
	for _, h := range held {
		body.LockOKMQSet = append(body.LockOKMQSet, protocol.MessageQueue{Topic: h.Topic, BrokerName: h.Broker, QueueID: h.ID})
	}
	s.ok(r, nil, body.AppendTo(nil, false))
}

func unlockQueues(a *API, s *session, r *remoting.Request) {
	q, err := lockRequest(r.Body)
	if err == nil {
		err = a.svc.Unlock(a.ctx, q)
	}
	if err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, nil, nil)
}

func lockRequest(body []byte) (*mq.LockRequest, error) {
	var b protocol.LockBatchRequestBody
	if err := b.Decode(body); err != nil {
		return nil, err
	}
	q := &mq.LockRequest{Group: b.ConsumerGroup, ClientID: b.ClientID}
	for _, m := range b.MQSet {
		q.Queues = append(q.Queues, mq.Queue{Topic: m.Topic, Broker: m.BrokerName, ID: m.QueueID})
	}
	return q, nil
}
