package controller

import (
	"github.com/cometmq/cometmq/internal/liveprops"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// UPDATE_CONTROLLER_CONFIG 1009 and GET_CONTROLLER_CONFIG 1010: the body is Java properties text, each controller has its
// own. A change takes effect at once and is written to configStorePath; when that fails it stays until the next start, as in
// Java.

func (c *Controller) updateConfig(conn *remoting.Conn, r *remoting.Request) {
	to := r.ReplyTo()
	if len(r.Body) == 0 {
		conn.Reply(to, protocol.RespSuccess, "", nil, nil)
		return
	}
	changes, err := liveprops.Parse(r.Body)
	if err != nil {
		c.log.Warn("update configuration", "peer", conn.Remote(), "err", err)
		conn.Reply(to, protocol.RespSystemError, "string2Properties error", nil, nil)
		return
	}
	if c.settings.Load().Locked(changes, lockedKeys) {
		conn.Reply(to, protocol.RespNoPermission, "Can not update config in black list.", nil, nil)
		return
	}
	c.log.Info("configuration changed", "peer", conn.Remote(), "changes", changes)
	conn.GoReply(to, func() {
		c.change(changes)
		conn.Reply(to, protocol.RespSuccess, "", nil, nil)
	})
}

// change applies and stores a change of the configuration.
func (c *Controller) change(changes map[string]string) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	next := c.settings.Load().update(changes)
	c.settings.Store(next)
	c.look()
	name := next.Get("configStorePath")
	if c.opts.FS == nil || name == "" {
		return
	}
	if err := next.Store(c.opts.FS, name, changes, c.opts.Edit); err != nil {
		c.log.Error("store the changed configuration", "err", err)
	}
}

func (c *Controller) showConfig(conn *remoting.Conn, r *remoting.Request) {
	conn.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, c.settings.Load().Text())
}
