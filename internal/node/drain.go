package node

import (
	"context"
	"time"
)

// quickDrain is how long draining takes when nobody produces: a producer may be looking up its route just now.
const quickDrain = 5 * time.Second

// drain lets producers go elsewhere before the broker ends. Only a master does, and only if it is told to (drainTimeSeconds): its
// name servers show it as one that can only be read, and clients look for routes every 30 s. hurry ends the wait.
func (p *brokerPart) drain(ctx context.Context, hurry <-chan struct{}) {
	wait := p.options().Broker.Process.Drain
	e := p.now()
	role := e.now()
	if wait <= 0 || role.Kind == Slave || role.Kind == Fenced {
		return
	}
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
