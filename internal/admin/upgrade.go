package admin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// Limits of upgrade-check.
const (
	upgradeBehind   = 16 << 20 // bytes that a slave may be behind before its master is stopped
	upgradeDisk     = 0.8      // of the disk; a start may have to write queues and index again
	upgradeDispatch = 16 << 20 // bytes of the log without queue entries: a start would write them first
)

// upgradeCommand asks whether brokers may be restarted one after another.
func upgradeCommand() Command {
	return Command{
		Name: "upgrade-check", About: "Tell whether brokers may be restarted one after another, and in which order", Ours: true, Run: upgradeCheck,
		Flags: []Flag{opt("c", "clusterName", "only this cluster")},
	}
}

func upgradeCheck(c *Call) error {
	d := &doctoring{c: c}
	info, ok := d.nameServers()
	if ok && len(c.NameServers()) == 1 {
		d.say("warn", "name servers", "run two, and name both in namesrvAddr", "there is one: while it restarts clients keep the routes that they have, and new ones find none")
	}
	var order upgradeOrder
	versions := map[string][]string{}
	sets := info.In(c.Str("c"))
	for _, s := range sets {
		var members []upgradeMember
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			m := upgradeMember{id: id, addr: s.Addrs[id]}
			if m.info, m.err = c.Broker(m.addr).RuntimeInfo(c.Ctx); m.err == nil && id == 0 {
				m.ha, m.err = c.Broker(m.addr).HAStatus(c.Ctx)
			}
			if v := m.info["brokerVersionDesc"]; v != "" {
				versions[minor(v)] = append(versions[minor(v)], s.Name+":"+strconv.FormatInt(id, 10))
			}
			members = append(members, m)
		}
		d.upgradeSet(s.Name, members, len(sets) > 1)
		order.add(s.Name, members)
	}
	if len(versions) > 1 {
		list := make([]string, 0, len(versions))
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			list = append(list, v+": "+strings.Join(versions[v], " "))
		}
		d.say("fault", "versions", "bring all brokers to one of them first", "brokers of several minor versions: %s", strings.Join(list, "; "))
	}
	if d.faults > 0 {
		return fmt.Errorf("%d faults: do not begin", d.faults)
	}
	for i, step := range order.steps() {
		d.say("ok", "step "+strconv.Itoa(i+1), "", "%s", step)
	}
	return nil
}

// upgradeMember is one broker of a set.
type upgradeMember struct {
	id   int64
	addr string
	info map[string]string
	ha   mq.HAStatus // of the master
	err  error
}

// upgradeSet judges one set: while its master restarts another broker has to have all messages.
func (d *doctoring) upgradeSet(name string, members []upgradeMember, others bool) {
	where := "set " + name
	var master *upgradeMember
	for i := range members {
		m := &members[i]
		who := "broker " + name + ":" + strconv.FormatInt(m.id, 10)
		if m.id == 0 {
			master = m
		}
		if m.err != nil {
			d.say("fault", who, why(m.err, m.addr), "%v", m.err)
			continue
		}
		if disk := float(m.info["commitLogDiskRatio"]); disk >= upgradeDisk {
			d.say("fault", who, "make room first: a start may have to write queues and index again", "the disk is %.0f%% full", disk*100)
		}
		if behind := float(m.info["dispatchBehindBytes"]); behind > upgradeDispatch {
			d.say("warn", who, "wait: a start goes through that part of the log first", "consume queues are %.0f MiB behind the log", behind/(1<<20))
		}
	}
	switch {
	case master == nil:
		d.say("fault", where, "bring its master back first", "has no master")
	case master.err != nil:
	case len(members) == 1 && others:
		d.say("warn", where, "while it restarts, producers use other sets, and its messages wait", "has no slave")
	case len(members) == 1:
		d.say("warn", where, "nobody can send or receive while it restarts: add a slave, or another set", "is the only one, and has no slave")
	default:
		d.upgradeSlaves(where, master)
	}
}

func (d *doctoring) upgradeSlaves(where string, master *upgradeMember) {
	ready := 0
	for _, s := range master.ha.Slaves {
		if s.InSync && s.Behind <= upgradeBehind {
			ready++
			continue
		}
		d.say("warn", where, "wait until it has caught up", "slave %s is %d bytes behind", s.Addr, s.Behind)
	}
	if ready == 0 {
		d.say("fault", where, "wait, or look into the slaves' logs: haMasterAddress, port haListenPort", "no slave has what the master has")
		return
	}
	d.say("ok", where, "", "%d of its slaves have what the master has", ready)
}

// upgradeOrder is who is restarted when.
type upgradeOrder struct{ slaves, masters []string }

func (o *upgradeOrder) add(name string, members []upgradeMember) {
	for _, m := range members {
		who := name + ":" + strconv.FormatInt(m.id, 10) + " at " + m.addr
		if m.id == 0 {
			o.masters = append(o.masters, who)
		} else {
			o.slaves = append(o.slaves, who)
		}
	}
}

// steps are in the order in which a newer program may meet an older one.
func (o *upgradeOrder) steps() []string {
	out := []string{"controllers, if there are any: followers first, the leader last", "name servers, one at a time"}
	for _, s := range o.slaves {
		out = append(out, "slave "+s)
	}
	for _, m := range o.masters {
		out = append(out, "master "+m+"; with drainTimeSeconds producers leave it first")
	}
	return append(out, "dashboards and tools")
}

// minor cuts V5_3_3 to V5_3.
func minor(v string) string {
	parts := strings.Split(v, "_")
	return strings.Join(parts[:min(2, len(parts))], "_")
}
