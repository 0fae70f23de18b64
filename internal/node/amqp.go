package node

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/cometmq/cometmq/internal/api/amqpapi"
	"github.com/cometmq/cometmq/internal/version"
)

// needAMQPTLS is what a client hears that comes without TLS where it needs it: the header of AMQP over TLS.
const needAMQPTLS = "AMQP\x02\x01\x00\x00"

// listenAMQP opens the port for AMQP, if there is to be one. It outlives the engines; that of a master serves its connections.
func (p *brokerPart) listenAMQP(ctx context.Context) error {
	c := p.o.Broker
	if !c.AMQP.On {
		return nil
	}
	l, err := listenNear(ctx, p.o, net.JoinHostPort(c.Listen.Address, strconv.Itoa(c.AMQP.Port)), p.o.Elsewhere)
	if err != nil {
		return fmt.Errorf("amqpPort=%d: %w", c.AMQP.Port, err)
	}
	p.amqp = &trunk{l: p.secure.listen(l, needAMQPTLS), what: "AMQP client", log: p.log}
	return nil
}

// openAMQP makes the door of an engine that takes messages.
func (p *brokerPart) openAMQP(e *engine) {
	if p.amqp == nil || e.role.Kind != Master && e.role.Kind != SyncMaster {
		return
	}
	c := p.o.Broker
	e.amqp = amqpapi.New(amqpapi.Options{
		Service: e.core, Admin: e.core, Auth: p.access.users(), Broker: c.Identity.Name, Version: version.Get().Version,
		CreateTopics: func() bool { return p.conf.running.Load().Topics.AutoCreate }, Queues: c.AMQP.Queues, MaxMessage: c.Topics.MaxMessage,
		ClearPasswords: c.AMQP.Plain, TextByDefault: c.AMQP.Text, MaxConnections: c.AMQP.MaxConns, Now: p.o.Now, Log: p.log.With("door", "amqp"),
	})
}

// AMQPAddr is where AMQP clients connect, "" when they cannot.
func (n *Node) AMQPAddr() string {
	if n.broker == nil || n.broker.amqp == nil {
		return ""
	}
	return reachable(n.broker.amqp.l.Addr(), "")
}
