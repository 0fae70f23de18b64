package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_MESSAGE: by key, or by unique key with _UNIQUE_KEY_QUERY=true. indexType and lastKey (RocksDB index) are not read.
func queryMessage(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryMessageRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	q := mq.KeyQuery{
		Topic: strings.Clone(h.Topic), Key: strings.Clone(h.Key), Max: int(h.MaxNum),
		Begin: h.BeginTimestamp, End: h.EndTimestamp, Unique: h.UniqueKeyQuery,
	}
	to := r.ReplyTo()
	s.later(to, func() {
		res, err := a.svc.QueryByKey(a.ctx, &q)
		if err != nil {
			s.failLater(to, err)
			return
		}
		head := &protocol.QueryMessageResponseHeader{
			IndexLastUpdateTimestamp: res.LastUpdateTime, IndexLastUpdatePhyoffset: int64(res.LastUpdateAt),
		}
		if res.Count == 0 {
			s.conn.Reply(to, protocol.RespQueryNotFound, "can not find message, maybe time range not correct", head, nil)
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", head, res.Records)
	})
}

// failLater answers a request whose handler has returned.
func (s *session) failLater(to remoting.ReplyTo, err error) {
	code, remark := failure(err)
	s.conn.Reply(to, code, remark, nil, nil)
}
