package node

import (
	"context"
	"time"
)

// quickDrain is how long draining takes when nobody produces: a producer may be looking up its route just now.
const quickDrain = 5 * time.Second

// drains reports whether the broker has anything to drain, and is told to.
func (p *brokerPart) drains() bool {
	kind := p.now().now().Kind
	return p.options().Broker.Process.Drain > 0 && kind != Slave && kind != Fenced
}

// drain lets producers go elsewhere before the broker ends (drainTimeSeconds): its
// name servers show it as one that can only be read, and clients look for routes every 30 s. hurry ends the wait.
func (p *brokerPart) drain(ctx context.Context, hurry <-chan struct{}) {
	wait := p.options().Broker.Process.Drain
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	n := p.registrar.Drain(ctx)
	if n == 0 {
		p.log.Info("not draining: no name server sends producers elsewhere")
		return
	}
	if _, _, producers := p.clients.Counts(); producers == 0 {
		wait = min(wait, quickDrain)
	}
	p.log.Info("draining: producers go elsewhere, a second signal ends the wait", "wait", wait, "name_servers", n)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-hurry:
		p.log.Info("draining was cut short")
	case <-p.served: // it has failed meanwhile
	}
}
