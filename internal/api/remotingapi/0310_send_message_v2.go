package remotingapi

import (
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320): the one-letter field names a..n, Java's default. A request with
// code 320 is a batch whatever its field m says.
func sendMessageV2(_ *API, s *session, r *remoting.Request) {
	h := &s.sendV2
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
	q.UnitMode, q.Batch = h.UnitMode, h.Batch || r.Code == protocol.ReqSendBatchMessage
	q.BornHost, q.Body = s.conn.SocketRemote(), r.Body
	s.sayBy(q, r)
	s.flushFull()
}
