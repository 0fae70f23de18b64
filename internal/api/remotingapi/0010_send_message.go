package remotingapi

import (
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// SEND_MESSAGE with the long field names (V1): the Go client's single sends and old Java clients. All fields are
// honoured but unitMode's unit flags, which the next heartbeat sets on the retry topic.
func sendMessage(_ *API, s *session, r *remoting.Request) {
	h := &s.sendV1
	if err := h.Decode(r.Fields); err != nil {
		s.refuseSend(r, err)
		return
	}
	q := s.collect(r)
	q.Topic, q.Group, q.DefaultTopic = h.Topic, h.ProducerGroup, h.DefaultTopic
	q.Props = record.Props(bytesview.Bytes(h.Properties))
	q.QueueID, q.DefaultQueues = h.QueueID, h.DefaultTopicQueueNums
	q.SysFlag, q.Flag, q.BornTime = h.SysFlag, h.Flag, h.BornTimestamp
	q.Reconsume, q.MaxReconsume = h.ReconsumeTimes, h.MaxReconsumeTimes
	q.UnitMode, q.Batch = h.UnitMode, h.Batch
	q.BornHost, q.Body = s.conn.SocketRemote(), r.Body
	s.sayBy(q, r)
	s.flushFull()
}

// flushFull hands over a burst that has reached its limit.
func (s *session) flushFull() {
	if b := s.burst; b != nil && len(b.to)+len(b.endTo) >= maxBurst {
		s.flushSends()
	}
}
