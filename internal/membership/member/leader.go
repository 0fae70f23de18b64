package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

const (
	findAgain  = 200 * time.Millisecond // between searches for a leader while there is none
	findMost   = 2 * time.Second
	findCall   = time.Second     // Java waits 3 s for each controller in turn
	lookupEach = 2 * time.Minute // between look-ups of the controllers' hosts
)

// watchLeader finds the leader of the controllers again and again.
func (m *Member) watchLeader(ctx context.Context) {
	var said complaint
	var looked time.Time
	back := findAgain
	for {
		if m.o.Lookup != nil && (looked.IsZero() || time.Since(looked) >= lookupEach) {
			if err := m.lookup(ctx); err != nil {
				said.note(ctx, m.o.Log, "find the controllers", err)
			} else {
				looked = time.Now()
			}
		}
		err := m.findLeader(ctx)
		said.note(ctx, m.o.Log, "find the leader of the controllers", err)
		pause := m.o.SyncControllers
		if err != nil {
			pause, back = back, min(2*back, findMost)
		} else {
			back = findAgain
		}
		// A kick does not shorten the pause between failures: the failure is why it came.
		wake := m.find
		if err != nil {
			wake = nil
		}
		if !wait(ctx, pause, wake) {
			return
		}
		if !wait(ctx, findAgain/4, nil) { // kicks that come together are one
			return
		}
	}
}

// lookup finds the addresses of the controllers' hosts.
func (m *Member) lookup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.Call)
	defer cancel()
	var found []string
	for _, c := range m.o.Controllers {
		host, port, err := net.SplitHostPort(c)
		if err != nil {
			return err
		}
		ips, err := m.o.Lookup(ctx, host)
		if err != nil {
			return fmt.Errorf("look up %s: %w", host, err)
		}
		for _, ip := range ips {
			found = append(found, net.JoinHostPort(ip, port))
		}
	}
	if len(found) == 0 {
		return errors.New("the controllers' hosts have no address")
	}
	slices.Sort(found)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.controllers = slices.Compact(found)
	return nil
}

// addresses are where heartbeats go: to all controllers, each of which may be the next leader.
func (m *Member) addresses() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.controllers)
	if m.leader != "" && !slices.Contains(all, m.leader) {
		all = append(all, m.leader)
	}
	return all
}

// forget drops a leader that says that it is none.
func (m *Member) forget(leader string) {
	m.mu.Lock()
	if m.leader == leader {
		m.leader = ""
	}
	m.mu.Unlock()
	kick(m.find)
}

// nominee is what one controller says about who leads.
type nominee struct {
	leader string
	self   bool // the one that said it is the leader
	err    error
}

// findLeader asks all controllers at once who their leader is, and takes the one that more than half of them name, or else, when all
// have had their time, the one that says so itself or that most name: one that was cut off may take itself for the leader for a while.
func (m *Member) findLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, findCall)
	all := m.addresses()
	answers := make(chan nominee, len(all))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, addr := range all {
		wg.Go(func() { answers <- m.askLeader(ctx, addr) })
	}
	votes := map[string]int{}
	var errs []error
	for range all {
		n := <-answers
		if n.err != nil {
			errs = append(errs, n.err)
			continue
		}
		if votes[n.leader] += 2; n.self {
			votes[n.leader]++
		}
		if votes[n.leader] > len(all)+1 {
			m.setLeader(n.leader)
			return nil
		}
	}
	best := ""
	for addr, n := range votes {
		if best == "" || cmp.Or(cmp.Compare(n, votes[best]), cmp.Compare(best, addr)) > 0 {
			best = addr
		}
	}
	if best == "" {
		return errors.Join(errs...)
	}
	m.setLeader(best)
	return nil
}

func (m *Member) setLeader(addr string) {
	m.mu.Lock()
	was := m.leader
	m.leader = addr
	m.mu.Unlock()
	if was != addr {
		m.o.Log.Info("the controllers have a leader", "peer", addr, "was", was)
		m.Ask()
	}
}

func (m *Member) askLeader(ctx context.Context, addr string) nominee {
	resp, err := m.o.Client.Invoke(ctx, addr, &remoting.Command{Code: protocol.ReqControllerGetMetadataInfo})
	if err != nil {
		return nominee{err: fmt.Errorf("controller %s: %w", addr, err)}
	}
	var h protocol.GetMetaDataResponseHeader
	if err := h.Decode(resp.Fields); err != nil {
		return nominee{err: fmt.Errorf("controller %s: %w", addr, err)}
	}
	if resp.Code != protocol.RespSuccess || h.ControllerLeaderAddress == "" {
		return nominee{err: fmt.Errorf("controller %s knows no leader (code %d %s)", addr, resp.Code, resp.Remark)}
	}
	return nominee{leader: h.ControllerLeaderAddress, self: h.Leader}
}
