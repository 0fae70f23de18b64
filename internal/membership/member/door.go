package member

import (
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// handle is where handlers are registered.
type handle interface {
	Handle(code int32, h remoting.Handler)
}

// Attach registers what controllers, other members and mqadmin ask of a broker in controller mode.
func (m *Member) Attach(h handle) {
	h.Handle(protocol.ReqNotifyBrokerRoleChanged, m.notified)
	h.Handle(protocol.ReqGetBrokerEpochCache, m.tellEpochs)
}

// notified handles code 1008, with which a controller says that the master has changed. It makes the member ask; what the request
// says is not used.
func (m *Member) notified(c *remoting.Conn, r *remoting.Request) {
	m.Ask()
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, nil)
}

// tellEpochs handles code 1007.
func (m *Member) tellEpochs(c *remoting.Conn, r *remoting.Request) {
	m.mu.Lock()
	id := m.id
	if m.done.Master() {
		id = 0
	}
	m.mu.Unlock()
	list, end := m.o.Epochs()
	b := protocol.EpochEntryCache{BrokerID: id, BrokerName: m.o.Name, ClusterName: m.o.Cluster, EpochList: list, MaxOffset: end}
	c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, b.AppendTo(nil, false))
}
