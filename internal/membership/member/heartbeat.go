package member

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// errSilent closes a connection on which heartbeats were not answered for so long that the controller takes this broker for dead.
var errSilent = errors.New("heartbeats are not answered")

// beat sends a heartbeat to each controller in each interval. One that does not answer does not hold up the others.
func (m *Member) beat(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	pulses := map[string]*pulse{}
	for t := time.Duration(0); wait(ctx, t, nil); t = m.o.Heartbeat {
		cmd := m.heartbeat()
		if cmd == nil {
			continue
		}
		for _, addr := range m.addresses() {
			p := pulses[addr]
			if p == nil {
				p = &pulse{m: m, addr: addr, free: make(chan struct{}, 1), good: time.Now()}
				p.free <- struct{}{}
				pulses[addr] = p
			}
			select {
			case <-p.free:
				one := *cmd // Invoke does not change it, but it may be at work when the next is made
				wg.Go(func() { p.send(ctx, &one) })
			default: // the one before is still under way
			}
		}
	}
}

// pulse is the heartbeats to one controller.
type pulse struct {
	m    *Member
	addr string
	free chan struct{} // a token: nothing is under way
	good time.Time     // of the last answer, or of the last new connection; for the holder of the token
	said complaint
}

func (p *pulse) send(ctx context.Context, cmd *remoting.Command) {
	defer func() { p.free <- struct{}{} }()
	err := p.m.beatOnce(ctx, p.addr, cmd)
	p.said.note(ctx, p.m.o.Log, "heartbeat to controller "+p.addr, err)
	switch {
	case err == nil:
		p.good = time.Now()
	case time.Since(p.good) >= p.m.o.Expire && ctx.Err() == nil:
		// A dead connection is not found out for minutes otherwise. Earlier it would do harm: a controller takes a broker whose
		// connection ends for dead.
		p.m.o.Client.Disconnect(p.addr, errSilent)
		p.good = time.Now()
	}
}

// heartbeat returns the next heartbeat; nil as long as this broker is not registered.
func (m *Member) heartbeat() *remoting.Command {
	m.mu.Lock()
	id, registered := m.id, m.registered
	m.mu.Unlock()
	if !registered {
		return nil
	}
	s := m.o.Status()
	h := &protocol.BrokerHeartbeatRequestHeader{}
	h.SetDefaults()
	h.ClusterName, h.BrokerName, h.BrokerAddr = m.o.Cluster, m.o.Name, m.o.Addr
	h.BrokerID, h.HasBrokerID = id, true
	h.Epoch, h.MaxOffset, h.ConfirmOffset = s.Epoch, s.MaxOffset, s.Confirmed
	h.HeartbeatTimeoutMills = m.o.Expire.Milliseconds()
	if m.o.Priority != 0 {
		h.ElectionPriority = m.o.Priority
	}
	return &remoting.Command{Code: protocol.ReqBrokerHeartbeat, Header: h}
}

// beatOnce sends a heartbeat and waits for the answer.
func (m *Member) beatOnce(ctx context.Context, addr string, cmd *remoting.Command) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.HeartbeatCall)
	defer cancel()
	sent := time.Now()
	resp, err := m.o.Client.Invoke(ctx, addr, cmd)
	if err != nil {
		return err
	}
	if resp.Code != protocol.RespSuccess {
		return fmt.Errorf("answered with code %d: %s", resp.Code, resp.Remark)
	}
	m.mu.Lock()
	leads := m.leader == addr
	m.mu.Unlock()
	if leads {
		m.lease.heartbeat(sent)
	}
	return nil
}

// beatLeader makes the leader know at once that this broker lives: it elects only such ones.
func (m *Member) beatLeader(ctx context.Context) {
	m.mu.Lock()
	leader := m.leader
	m.mu.Unlock()
	cmd := m.heartbeat()
	if leader == "" || cmd == nil {
		return
	}
	if err := m.beatOnce(ctx, leader, cmd); err != nil && ctx.Err() == nil {
		m.o.Log.Debug("heartbeat before an election", "peer", leader, "err", err)
	}
}
