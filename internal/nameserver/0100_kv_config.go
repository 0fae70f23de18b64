package nameserver

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// PUT_KV_CONFIG 100, GET_KV_CONFIG 101, DELETE_KV_CONFIG 102 and GET_KVLIST_BY_NAMESPACE 219.
//
// Differs from Java: a change that cannot be written to kvConfig.json is refused with code 1 instead of being lost
// with the next restart.

func (s *Server) putKV(c *remoting.Conn, r *remoting.Request) {
	to := r.ReplyTo()
	namespace, okNS := field(r, "namespace")
	key, okKey := field(r, "key")
	if !okNS || !okKey {
		c.Reply(to, protocol.RespSystemError, "namespace or key is null", nil, nil)
		return
	}
	value, okValue := field(r, "value")
	c.GoReply(to, func() {
		if !okValue {
			s.replyWritten(c, to, s.kv.touch(namespace, key))
			return
		}
		s.replyWritten(c, to, s.kv.put(namespace, key, value))
	})
}

func (s *Server) deleteKV(c *remoting.Conn, r *remoting.Request) {
	to := r.ReplyTo()
	namespace, key := text(r, "namespace"), text(r, "key")
	c.GoReply(to, func() { s.replyWritten(c, to, s.kv.remove(namespace, key)) })
}

func (s *Server) replyWritten(c *remoting.Conn, to remoting.ReplyTo, err error) {
	if err != nil {
		s.log.Error("write the key-value table", "err", err)
		c.Reply(to, protocol.RespSystemError, err.Error(), nil, nil)
		return
	}
	c.Reply(to, protocol.RespSuccess, "", nil, nil)
}

func (s *Server) getKV(c *remoting.Conn, r *remoting.Request) {
	namespace, key := text(r, "namespace"), text(r, "key")
	value, ok := s.kv.get(namespace, key)
	if !ok {
		c.Reply(r.ReplyTo(), protocol.RespQueryNotFound, "No config item, Namespace: "+namespace+" Key: "+key, nil, nil)
		return
	}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", valueHeader(value), nil)
}

// valueHeader is the response header of GET_KV_CONFIG; an empty value is there, too.
type valueHeader string

func (v valueHeader) AppendTo(w *protocol.FieldWriter) { w.Str("value", string(v)) }

func (s *Server) listKV(c *remoting.Conn, r *remoting.Request) {
	namespace := text(r, "namespace")
	body, ok := s.kv.list(namespace)
	if !ok {
		c.Reply(r.ReplyTo(), protocol.RespQueryNotFound, "No config item, Namespace: "+namespace, nil, nil)
		return
	}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, body)
}
