package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UPDATE_AND_CREATE_TOPIC. force is not read: it belongs to static topics. defaultTopic is not used, as in Java.
func updateAndCreateTopic(a *API, s *session, r *remoting.Request) {
	var h protocol.CreateTopicRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	t := mq.TopicConfig{
		Name: strings.Clone(h.Topic), ReadQueues: h.ReadQueueNums, WriteQueues: h.WriteQueueNums, Perm: mq.Perm(h.Perm),
		Filter: strings.Clone(h.TopicFilterType), SysFlag: h.TopicSysFlag, Order: h.Order, Attributes: attributes(h.Attributes),
	}
	s.administer(r, func() error { return a.adm.PutTopic(a.ctx, t) })
}

// attributes parses Java's "+key=value,-key" text; the signs stay.
func attributes(text string) map[string]string {
	if text == "" {
		return nil
	}
	m := make(map[string]string)
	for kv := range strings.SplitSeq(text, ",") {
		k, v, _ := strings.Cut(kv, "=")
		m[strings.Clone(strings.TrimSpace(k))] = strings.Clone(strings.TrimSpace(v))
	}
	return m
}

// administer runs a change on the server's workers, since it waits for the disk and for name servers, and answers success
// or its error.
func (s *session) administer(r *remoting.Request, change func() error) {
	to := r.ReplyTo()
	s.later(to, func() {
		if err := change(); err != nil {
			s.failLater(to, err)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", nil, nil)
	})
}
