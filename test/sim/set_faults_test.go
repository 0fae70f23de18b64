package sim

import (
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// trouble is a fault that lasts.
type trouble struct {
	until time.Time
	end   func()
}

// storm lets n faults happen, some of them at the same time.
func (f *fleet) storm(n int) {
	f.Helper()
	var open []trouble
	over := func() { // ends what is over
		open = slices.DeleteFunc(open, func(t trouble) bool {
			if time.Now().Before(t.until) {
				return false
			}
			t.end()
			return true
		})
	}
	for range n {
		for end := time.Now().Add(time.Duration(100+f.rng.IntN(5000)) * time.Millisecond); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			over()
		}
		last := time.Duration(200+f.rng.IntN(12_000)) * time.Millisecond
		if f.rng.IntN(4) == 0 {
			last += 12 * time.Second // longer than a master may go on without controllers
		}
		if end := f.fault(); end != nil {
			open = append(open, trouble{time.Now().Add(last), end})
		}
	}
	for len(open) > 0 {
		time.Sleep(100 * time.Millisecond)
		over()
	}
}

// any returns one of list that runs, nil when none does.
func (f *fleet) any(list []*machine) *machine {
	on := slices.DeleteFunc(slices.Clone(list), func(m *machine) bool { return m.node == nil })
	if len(on) == 0 {
		return nil
	}
	return on[f.rng.IntN(len(on))]
}

// target is the master, or any broker.
func (f *fleet) target() *machine {
	if f.rng.IntN(3) > 0 {
		if m := f.master(); m != nil {
			return m
		}
	}
	return f.any(f.brokers)
}

// leader is the controller that leads, or any.
func (f *fleet) leader() *machine {
	if _, c, _ := f.state(); c != nil {
		return c
	}
	return f.any(f.ctl)
}

// down kills machines; the result starts them again.
func (f *fleet) down(power bool, list ...*machine) func() {
	list = slices.DeleteFunc(slices.Clone(list), func(m *machine) bool { return m == nil || m.node == nil })
	for _, m := range list {
		m.kill(power)
	}
	return func() {
		for _, m := range list {
			m.revive()
		}
	}
}

// apart holds back what goes from m to the others, or from them to m, or both.
func (f *fleet) apart(m *machine, from ...string) func() {
	if m == nil {
		return nil
	}
	way := f.rng.IntN(4)
	f.note("cut %s off from %v, way %d", m.ip, from, way)
	for _, o := range from {
		switch {
		case o == m.ip:
		case way == 0:
			f.net.PartitionOneWay(m.ip, o)
		case way == 1:
			f.net.PartitionOneWay(o, m.ip)
		default:
			f.net.Partition(m.ip, o)
		}
	}
	node := m.node
	return func() {
		if m.node != node { // it is down, or was: then its links are well again
			return
		}
		f.note("heal %s and %v", m.ip, from)
		for _, o := range from {
			if !f.off(o) && o != m.ip {
				f.net.Heal(m.ip, o)
			}
		}
	}
}

// off reports whether the machine at ip is down: its links stay cut until it is back.
func (f *fleet) off(ip string) bool {
	return slices.ContainsFunc(f.machines(), func(m *machine) bool { return m.ip == ip && m.node == nil })
}

func hosts(list []*machine) []string {
	var all []string
	for _, m := range list {
		all = append(all, m.ip)
	}
	return all
}

// power says whether a machine that dies takes its disk's cache with it, where that may happen to any number of machines. Without sync
// flush logs would have holes afterwards, each in other places.
func (f *fleet) power() bool { return f.sync && f.rng.IntN(2) == 0 }

// accident is a kind of fault. What it returns ends it; nil: it is over.
type accident struct {
	name   string
	weight int
	begin  func() (end func())
}

func (f *fleet) accidents() []accident {
	return []accident{
		{"broker killed", 4, func() func() { return f.down(f.power(), f.target()) }},
		{"all brokers killed", 1, func() func() { return f.down(f.power(), f.brokers...) }},
		{"two brokers killed", 1, func() func() { return f.down(f.power(), f.target(), f.target()) }},
		{"controller killed", 1, func() func() { return f.down(f.rng.IntN(2) == 0, f.leader()) }},
		{"most controllers killed", 1, func() func() { return f.down(f.rng.IntN(2) == 0, f.leader(), f.any(f.ctl), f.any(f.ctl)) }},
		{"master and leading controller killed", 2, func() func() { return f.down(f.power(), f.leader(), f.target()) }},
		{"name server killed", 1, func() func() { return f.down(false, f.any(f.names)) }},
		{"broker paused", 3, func() func() {
			m := f.target()
			if m == nil {
				return nil
			}
			return f.apart(m, m.others()...)
		}},
		{"broker cut off from the others", 2, func() func() { return f.apart(f.target(), hosts(f.brokers)...) }},
		{"broker cut off from controllers", 3, func() func() { return f.apart(f.target(), hosts(f.ctl)...) }},
		{"broker cut off from all but clients", 3, func() func() { return f.apart(f.target(), hosts(f.machines())...) }},
		{"broker cut off from name servers", 1, func() func() { return f.apart(f.target(), hosts(f.names)...) }},
		{"controller cut off", 2, func() func() { return f.apart(f.leader(), hosts(f.machines())...) }},
		{"controller cut off from controllers", 1, func() func() { return f.apart(f.leader(), hosts(f.ctl)...) }},
		{"a link fails", 3, func() func() { return f.apart(f.any(f.machines()), f.anyHost()) }},
		{"connections break", 2, func() func() {
			f.net.Cut(f.anyHost(), f.anyHost())
			if m := f.target(); m != nil {
				for _, o := range m.others() {
					f.net.Cut(m.ip, o)
				}
			}
			return nil
		}},
		{"a connection breaks inside a frame", 2, func() func() {
			if m := f.any(f.brokers); m != nil {
				f.must(f.net.CutAfter(m.ip, f.any(f.brokers).ip, f.rng.IntN(3000)))
			}
			return nil
		}},
		{"slow link", 2, func() func() {
			a, b := f.anyHost(), f.anyHost()
			f.net.Delay(a, b, time.Duration(1+f.rng.IntN(400))*time.Millisecond)
			return func() { f.net.Delay(a, b, 0) }
		}},
		{"slow disk", 2, func() func() {
			m := f.any(f.brokers)
			if m == nil {
				return nil
			}
			m.slow.Store(1 + f.rng.Int64N(2000))
			return func() { m.slow.Store(0) }
		}},
		{"slow disk, then a kill", 1, func() func() {
			m := f.target()
			if m == nil {
				return nil
			}
			m.slow.Store(1 + f.rng.Int64N(2000))
			time.Sleep(time.Duration(f.rng.IntN(2000)) * time.Millisecond)
			return f.down(f.power(), m)
		}},
		{"another master asked for", 2, f.elect},
		{"disk lost", 1, f.loseDisk},
		{"power lost without sync flush", 1, f.losePower},
	}
}

func (f *fleet) anyHost() string {
	all := append(hosts(f.machines()), f.clients...)
	return all[f.rng.IntN(len(all))]
}

// fault lets one accident happen.
func (f *fleet) fault() (end func()) {
	list := f.accidents()
	sum := 0
	for _, a := range list {
		sum += a.weight
	}
	n := f.rng.IntN(sum)
	for _, a := range list {
		if n -= a.weight; n < 0 {
			f.note("fault: %s", a.name)
			f.did[a.name]++
			return a.begin()
		}
	}
	return nil
}

// elect asks the controllers for another master, as an operator does.
func (f *fleet) elect() func() {
	s, c, _ := f.state()
	if c == nil || len(s.InSync) == 0 {
		return nil
	}
	to := s.InSync[f.rng.IntN(len(s.InSync))]
	_, err := f.ask(c.addr(), protocol.ReqControllerElectMaster, &protocol.ElectMasterRequestHeader{
		ClusterName: "DefaultCluster", BrokerName: setName, BrokerID: to.BrokerID, DesignateElect: true,
	}, nil)
	f.note("elect %s: %v", to.BrokerAddress, err)
	return nil
}

// alone is for accidents that nothing else may go with: all are in sync before and after.
func (f *fleet) alone(do func()) {
	f.Helper()
	f.calm()
	do()
	f.calm()
}

// loseDisk gives a slave an empty disk: it comes back under a new number.
func (f *fleet) loseDisk() func() {
	f.Helper()
	f.alone(func() {
		master := f.master()
		for _, i := range f.rng.Perm(len(f.brokers)) {
			if m := f.brokers[i]; master != nil && m != master && m.node != nil {
				m.kill(f.rng.IntN(2) == 0)
				f.losePositions()
				m.wipe()
				time.Sleep(time.Duration(f.rng.IntN(12_000)) * time.Millisecond)
				m.revive()
				return
			}
		}
	})
	return nil
}

// losePower takes the power from one broker, whatever its way of flushing: the others have what it loses.
func (f *fleet) losePower() func() {
	f.Helper()
	f.alone(func() {
		if m := f.target(); m != nil {
			m.kill(true)
			time.Sleep(time.Duration(f.rng.IntN(15_000)) * time.Millisecond)
			m.revive()
		}
	})
	return nil
}
