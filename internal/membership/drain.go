package membership

import (
	"context"
	"sync"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Drain has the name servers send producers elsewhere: routes show this broker's set as one that can only be read, and registrations
// from now on say so, too. Consumers still find what is left. It returns how many name servers took it; those that did not
// are waited for until ctx ends and go on as before. The broker itself still stores what comes.
func (r *Registrar) Drain(ctx context.Context) int {
	as := r.as.Load()
	r.Retune(mq.PermRead, as.period)
	taken := make(chan struct{}, len(r.servers()))
	var wg sync.WaitGroup
	for _, s := range r.servers() {
		wg.Go(func() {
			cmd := &remoting.Command{
				Code: protocol.ReqWipeWritePermOfBroker, Header: &protocol.WipeWritePermOfBrokerRequestHeader{BrokerName: r.o.Name},
			}
			call, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			if err := s.call(call, cmd, nil); err != nil {
				r.o.Log.Warn("a name server goes on sending producers here", "peer", s.addr, "err", err)
				return
			}
			taken <- struct{}{}
		})
	}
	wg.Wait()
	return len(taken)
}
