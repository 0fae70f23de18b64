package nameserver

import (
	"github.com/cometmq/cometmq/internal/liveprops"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UPDATE_NAMESRV_CONFIG 318 and GET_NAMESRV_CONFIG 319. The body is Java properties text. A change takes effect at once
// and is written to configStorePath; when that fails the change stays until the next start, as in Java.

func (s *Server) updateConfig(c *remoting.Conn, r *remoting.Request) {
	to := r.ReplyTo()
	if len(r.Body) == 0 {
		c.Reply(to, protocol.RespSuccess, "", nil, nil)
		return
	}
	changes, err := liveprops.Parse(r.Body)
	if err != nil {
		s.log.Warn("update configuration", "peer", c.Remote(), "err", err)
		c.Reply(to, protocol.RespSystemError, "string2Properties error", nil, nil)
		return
	}
	if s.conf().Locked(changes, lockedKeys) {
		c.Reply(to, protocol.RespNoPermission, "Can not update config in black list.", nil, nil)
		return
	}
	s.log.Info("configuration changed", "peer", c.Remote(), "changes", changes)
	c.GoReply(to, func() {
		s.change(changes)
		c.Reply(to, protocol.RespSuccess, "", nil, nil)
	})
}

// change applies and stores a change of the configuration.
func (s *Server) change(changes map[string]string) {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	next := s.conf().update(changes)
	s.mu.Lock()
	s.settings.Store(next)
	s.routes.reconsider()
	s.mu.Unlock()
	name := next.Get("configStorePath")
	if s.fs == nil || name == "" {
		return
	}
	if err := next.Store(s.fs, name, changes, s.edit); err != nil {
		s.log.Error("store the changed configuration", "err", err)
	}
}

func (s *Server) showConfig(c *remoting.Conn, r *remoting.Request) {
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, s.conf().Text())
}
