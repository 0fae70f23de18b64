package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Timing of a set in which slaves may act as the master. Java's, where it has one.
const (
	setPoll      = time.Second // syncBrokerMemberGroupPeriod
	setCall      = 3 * time.Second
	onlineRetry  = time.Second
	onlineWait   = 10 * time.Second // for a connection of replication
	onlineSlave  = 30 * time.Second // for one slave, then the master goes on without it
	handoverWait = 30 * time.Second // how long a slave waits for the master that has announced itself
	actEnds      = 2 * time.Second
)

// SetHost is the broker that a SetMember drives.
type SetHost interface {
	// Act begins or ends what only one broker of a set may do, as broker.Broker.Act.
	Act(ctx context.Context, on bool) error
	// Online registers the broker with the name servers. Until then nobody knows it.
	Online()
	// Follow tells a slave where its master serves clients and slaves.
	Follow(addr, haAddr string)
	// Copying reports whether a slave has a connection to its master, over which the log comes.
	Copying() bool
	// Copied reports whether a slave at host has such a connection to this master.
	Copied(host string) bool
	// Start is where the log ended when the broker was started.
	Start() mq.Offset
	// Resume takes over what a slave did that acted as the master, as broker.Broker.Resume.
	Resume(offsets, delays []byte, timer *mq.TimerProgress) error
}

// SetOptions configure a SetMember.
type SetOptions struct {
	NameServers []string
	Client      Client
	Host        SetHost

	Cluster, Name string
	ID            int64
	Addr          string // what clients connect to, host:port
	HAAddr        string // what slaves connect to
	// Direct: the broker goes online without looking for the others first: skipPreOnline, or totalReplicas = 1.
	Direct bool
	Poll   time.Duration // syncBrokerMemberGroupPeriod, 1 s
	Log    *slog.Logger
}

// SetMember is a broker's part in a set in which a slave acts as the master when that is gone (enableSlaveActingMaster). It knows
// from the name servers who is there: the broker with the smallest id acts.
//
// Before a broker is known to the name servers it looks for the others. A slave connects to its master first, so that nobody
// reads from one that is behind. A master that comes back while a slave acts tells the slaves where it is, waits for them to
// connect, and takes over how far the acting one is.
//
// Differs from Java in four things. A broker whose id another one has that answers does not go online; Java's takes the other one's
// place. A slave acts only when none of the name servers that answer knows a broker with a smaller id;
// Java asks one of them. A slave stops acting as soon as its master has announced itself, and before that one asks how far it
// is; Java's goes on until it hears of the new registration, and what it delivers in between is delivered again. And a master waits
// 30 s for each slave, then goes on without it; Java's waits for ever.
type SetMember struct {
	o       SetOptions
	poke    chan struct{}
	servers atomic.Pointer[[]string] // the name servers of the moment

	alive   atomic.Int32
	settled atomic.Bool // a slave's master is known to be the master
	online  atomic.Bool

	mu    sync.Mutex // guards yield
	yield time.Time  // until then a slave leaves acting to the master that has announced itself
}

// NewSetMember returns a SetMember; Run makes it work.
func NewSetMember(o SetOptions) *SetMember {
	if o.Poll <= 0 {
		o.Poll = setPoll
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &SetMember{o: o, poke: make(chan struct{}, 1)}
	m.alive.Store(1)
	m.Use(o.NameServers)
	return m
}

// Use replaces the name servers that are asked who is there.
func (m *SetMember) Use(addrs []string) { m.servers.Store(&addrs) }

func (m *SetMember) names() []string { return *m.servers.Load() }

// Alive is how many brokers of the set there are, this one included.
func (m *SetMember) Alive() int { return int(m.alive.Load()) }

// MayFollow reports whether a slave may take over its master's tables. While it acts, and until its master is known to have heard
// how far it was, they are older than its own.
func (m *SetMember) MayFollow() bool { return m.o.ID == 0 || m.settled.Load() }

// Run goes online, then watches the set, until ctx ends.
func (m *SetMember) Run(ctx context.Context) error {
	m.goOnline(ctx)
	t := time.NewTicker(m.o.Poll)
	defer t.Stop()
	said := false
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.poke:
		case <-t.C:
		}
		members, err := m.members(ctx)
		if err != nil && ctx.Err() == nil && !said {
			m.o.Log.Warn("no name server tells who is in this broker's set", "err", err)
		}
		if said = err != nil; said || len(members) == 0 {
			continue
		}
		m.note(ctx, members)
	}
	return ctx.Err()
}

// note acts on who is there.
func (m *SetMember) note(ctx context.Context, members map[int64]string) {
	n := len(members)
	if _, ok := members[m.o.ID]; !ok {
		n++
	}
	m.alive.Store(int32(n))
	if m.o.ID == 0 {
		m.act(ctx, true) // perhaps the broker was opened anew
		return
	}
	low := lowest(members)
	if low == 0 {
		m.setYield(time.Time{})
	}
	if low != m.o.ID || m.yields() {
		m.act(ctx, false)
	} else {
		m.settled.Store(false)
		m.act(ctx, true)
	}
	if low == 0 && !m.settled.Load() {
		m.meet(ctx, members[0])
	}
}

// meet tells a slave about a master that is online.
func (m *SetMember) meet(ctx context.Context, addr string) {
	info, err := m.ask(ctx, addr)
	if err != nil {
		m.o.Log.Warn("the master does not say where it serves slaves, will ask again", "peer", addr, "err", err)
		return
	}
	m.settled.Store(true)
	m.o.Host.Follow(addr, info.HAAddr)
}

func (m *SetMember) act(ctx context.Context, on bool) {
	ctx, cancel := context.WithTimeout(ctx, actEnds)
	defer cancel()
	if err := m.o.Host.Act(ctx, on); err != nil && !on {
		m.o.Log.Warn("what this slave did as the master has not ended yet", "err", err)
	}
}

func (m *SetMember) setYield(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.yield = until
}

func (m *SetMember) yields() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.yield)
}

// TakeHAInfo is what a slave does when its master announces itself (EXCHANGE_BROKER_HA_INFO): it stops acting, and connects. When
// it returns the master may ask how far it was.
func (m *SetMember) TakeHAInfo(ctx context.Context, info mq.HAInfo) error {
	if m.o.ID == 0 {
		return errors.New("this broker is the master of its set")
	}
	if _, _, err := net.SplitHostPort(info.HAAddr); err != nil {
		return fmt.Errorf("masterHaAddress: %w", err)
	}
	m.setYield(time.Now().Add(handoverWait))
	m.settled.Store(false)
	m.o.Log.Info("the master has announced itself", "peer", info.Addr, "ha", info.HAAddr, "end", info.Start)
	ctx, cancel := context.WithTimeout(ctx, actEnds)
	defer cancel()
	err := m.o.Host.Act(ctx, false)
	m.o.Host.Follow(info.Addr, info.HAAddr)
	if err != nil {
		return fmt.Errorf("what this slave did as the master has not ended yet: %w", err)
	}
	return nil
}

// MinChanged is what a name server's notice causes (NOTIFY_MIN_BROKER_ID_CHANGE): the name servers are asked at once.
func (m *SetMember) MinChanged() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// HAInfo is what a slave is told about this master.
func (m *SetMember) HAInfo() (mq.HAInfo, bool) {
	return mq.HAInfo{HAAddr: m.o.HAAddr, Addr: m.o.Addr, Start: m.o.Host.Start()}, m.o.ID == 0
}

// members asks the name servers who is in the set, and returns all that those know which answer. An error: none did.
func (m *SetMember) members(ctx context.Context) (map[int64]string, error) {
	all := map[int64]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	names := m.names()
	errs := make([]error, len(names))
	for i, ns := range names {
		wg.Go(func() {
			addrs, err := m.membersAt(ctx, ns)
			errs[i] = err
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all, addrs)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			return all, nil
		}
	}
	return nil, errors.Join(errs...)
}

func (m *SetMember) membersAt(ctx context.Context, ns string) (map[int64]string, error) {
	resp, err := m.call(ctx, ns, &remoting.Command{
		Code:   protocol.ReqGetBrokerMemberGroup,
		Header: &protocol.GetBrokerMemberGroupRequestHeader{ClusterName: m.o.Cluster, BrokerName: m.o.Name},
	})
	if err != nil {
		return nil, err
	}
	var body protocol.GetBrokerMemberGroupResponseBody
	if err := body.Decode(resp.Body); err != nil {
		return nil, fmt.Errorf("members of the set: %w", err)
	}
	return body.BrokerAddrs, nil
}

// ask asks a master where it serves slaves.
func (m *SetMember) ask(ctx context.Context, addr string) (mq.HAInfo, error) {
	resp, err := m.call(ctx, addr, &remoting.Command{Code: protocol.ReqExchangeBrokerHAInfo, Header: &protocol.ExchangeHAInfoRequestHeader{}})
	if err != nil {
		return mq.HAInfo{}, err
	}
	start, _ := parseOffset(resp.Ext["masterFlushOffset"])
	return mq.HAInfo{HAAddr: resp.Ext["masterHaAddress"], Addr: resp.Ext["masterAddress"], Start: start}, nil
}

func (m *SetMember) call(ctx context.Context, addr string, cmd *remoting.Command) (*remoting.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, setCall)
	defer cancel()
	code := cmd.Code
	resp, err := m.o.Client.Invoke(ctx, addr, cmd)
	if err != nil {
		return nil, fmt.Errorf("ask %s for code %d: %w", addr, code, err)
	}
	if resp.Code != protocol.RespSuccess {
		return nil, fmt.Errorf("%s answered code %d with %d: %s", addr, code, resp.Code, resp.Remark)
	}
	return resp, nil
}

func lowest(members map[int64]string) int64 {
	low := int64(-1)
	for id := range members {
		if low < 0 || id < low {
			low = id
		}
	}
	return low
}
