package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UPDATE_AND_CREATE_STATIC_TOPIC: the header of code 17 and, as the body, what this broker is to know of the logical queues. order and
// attributes are not read, as in Java.
func updateStaticTopic(a *API, s *session, r *remoting.Request) {
	var h protocol.CreateTopicRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	m, err := logicqueue.Parse(r.Body)
	if err != nil {
		s.fail(r, mq.Errorf(mq.KindInternal, "mapping of a static topic: %s", err.Error()))
		return
	}
	t := mq.TopicConfig{
		Name: strings.Clone(h.Topic), ReadQueues: h.ReadQueueNums, WriteQueues: h.WriteQueueNums, Perm: mq.Perm(h.Perm),
		Filter: strings.Clone(h.TopicFilterType), SysFlag: h.TopicSysFlag, Static: m,
	}
	s.administer(r, func() error { return a.adm.PutStaticTopic(a.ctx, t, h.Force) })
}

// logicalIndex answers a question about a logical queue on the server's workers, since another broker may have to be asked.
func (s *session) logicalIndex(r *remoting.Request, borrowed string, ask func(topic string) (mq.Index, error)) {
	to, topic := r.ReplyTo(), strings.Clone(borrowed)
	s.later(to, func() {
		at, err := ask(topic)
		if err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", &protocol.GetMaxOffsetResponseHeader{Offset: int64(at)}, nil)
	})
}

// logical reads the field lo of a header: brokers that ask each other say false and mean a queue of the broker that they ask.
func logical(lo string) bool { return lo == "" || strings.EqualFold(lo, "true") }
