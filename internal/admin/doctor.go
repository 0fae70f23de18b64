package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// finding is one thing that doctor has looked at.
type finding struct {
	Level string `json:"level"` // ok, warn, fault
	Where string `json:"where"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"`
}

type doctoring struct {
	c      *Call
	faults int
}

func (d *doctoring) say(level, where, do, format string, args ...any) {
	f := finding{level, where, fmt.Sprintf(format, args...), do}
	if level == "fault" {
		d.faults++
	}
	d.c.Row(f, "%-6s %-28s %s\n", strings.ToUpper(level), where, f.What)
	if do != "" {
		d.c.Say("%-6s %-28s -> %s\n", "", "", do)
	}
}

// doctor walks the way that a client goes: name server, route, broker.
func doctor(c *Call) error {
	d := &doctoring{c: c}
	info, ok := d.nameServers()
	if ok {
		d.brokers(&info)
		if t := c.Str("t"); t != "" {
			d.topic(t, &info)
		}
		d.loneTopics(&info)
		if g := c.Str("g"); g != "" {
			d.group(g)
		}
	}
	if d.faults > 0 {
		return fmt.Errorf("%d faults", d.faults)
	}
	return nil
}

// why turns an error of a call into what an operator can do.
func why(err error, addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	switch ce, _ := errors.AsType[*mq.CallError](err); {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is the process running, and is " + port + " its port?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no way to " + host + " from here: the address that was advertised may be one of another network (brokerIP1)"
	case errors.Is(err, context.DeadlineExceeded), ce != nil && ce.Code == 0 && strings.Contains(err.Error(), "no answer"), strings.Contains(err.Error(), "i/o timeout"):
		return "packets are dropped (firewall, wrong address) or the process hangs"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed at once: the port may want TLS, or speak another protocol"
	case mq.KindOf(err) == mq.KindNoPermission:
		return "access is denied: the broker wants credentials (aclEnable, authenticationEnabled)"
	}
	return ""
}

// nameServers asks each of them and compares what they know.
func (d *doctoring) nameServers() (info mq.ClusterInfo, ok bool) {
	var seen string
	var from string
	for _, addr := range d.c.NameServers() {
		began := d.c.env.Now()
		got, err := d.c.NameServer(addr).ClusterInfo(d.c.Ctx)
		if err != nil {
			d.say("fault", "name server "+addr, why(err, addr), "%v", err)
			continue
		}
		d.say("ok", "name server "+addr, "", "answers in %s, knows %d brokers of %d clusters", d.c.env.Now().Sub(began).Round(100*time.Microsecond), len(got.Brokers), len(got.Clusters))
		view := viewOf(&got)
		if ok && view != seen {
			d.say("fault", "name server "+addr, "a broker that does not name all name servers in namesrvAddr, or cannot reach this one",
				"does not know the same brokers as %s:\n%36s%s\n%36sinstead of\n%36s%s", from, "", view, "", "", seen)
		}
		if !ok {
			info, ok, seen, from = got, true, view, addr
		}
	}
	if ok && len(info.Brokers) == 0 {
		d.say("fault", "cluster", "start a broker with namesrvAddr="+from+", or look into its log for failed registrations", "no broker is registered")
	}
	return info, ok
}

// viewOf is what a name server knows, to compare.
func viewOf(info *mq.ClusterInfo) string {
	sets := info.In("")
	list := make([]string, 0, len(sets))
	for _, s := range sets {
		list = append(list, s.Name+addrsText(s.Addrs))
	}
	return strings.Join(list, " ")
}

// brokers asks each address that is advertised.
func (d *doctoring) brokers(info *mq.ClusterInfo) {
	local := true // all name servers are on this machine
	for _, ns := range d.c.NameServers() {
		local = local && loopback(ns)
	}
	for _, s := range info.In("") {
		if s.Master() == "" {
			level, do := "fault", "elect a master (electMaster) or start it again: nothing can be written to this set"
			if s.ActingMaster {
				level, do = "warn", "a slave acts for it: reads go on, writes go to other sets"
			}
			d.say(level, "set "+s.Name, do, "has no master, only %s", addrsText(s.Addrs))
		}
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			addr := s.Addrs[id]
			where := "broker " + s.Name + ":" + strconv.FormatInt(id, 10)
			if loopback(addr) && !local {
				d.say("fault", where, "set brokerIP1 to an address that clients reach", "advertises %s, which is every machine itself", addr)
			}
			began := d.c.env.Now()
			rt, err := d.c.Broker(addr).RuntimeInfo(d.c.Ctx)
			if err != nil {
				d.say("fault", where, why(err, addr), "%v", err)
				continue
			}
			d.say("ok", where, "", "%s answers in %s, %s", addr, d.c.env.Now().Sub(began).Round(100*time.Microsecond), rt["brokerVersionDesc"])
			d.runtime(where, rt)
			if id == 0 {
				d.replication(where, addr, &s)
			}
		}
	}
}

func loopback(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	return err == nil && a.Addr().IsLoopback() || strings.HasPrefix(addr, "localhost:")
}

// runtime judges what a broker says about itself.
func (d *doctoring) runtime(where string, rt map[string]string) {
	switch disk := float(rt["commitLogDiskRatio"]); {
	case disk >= 0.9:
		d.say("fault", where, "make room: it refuses messages, or soon will (diskSpaceWarningLevelRatio)", "the disk is %.0f%% full", disk*100)
	case disk >= 0.75:
		d.say("warn", where, "make room or shorten fileReservedTime: old messages are deleted early from here on (diskMaxUsedSpaceRatio)", "the disk is %.0f%% full", disk*100)
	}
	if v, ok := rt["brokerActive"]; ok && v != "true" {
		d.say("warn", where, "it is a slave that waits, or it is going down", "is not active")
	}
	if behind := float(rt["dispatchBehindBytes"]); behind > 64<<20 {
		d.say("warn", where, "consumers see messages late: is the disk slow?", "consume queues are %.0f MiB behind the log", behind/(1<<20))
	}
	if ms := float(rt["bootTimestamp"]); ms > 0 {
		now := float64(d.c.env.Now().UnixMilli())
		if ms-now > 1000 {
			d.say("fault", where, "set the clocks: delays, retention and offsets by time depend on them", "its clock is at least %.0f s ahead of this machine's", (ms-now)/1000)
		}
	}
	if ms := float(rt["sendThreadPoolQueueHeadWaitTimeMills"]); ms > 200 {
		d.say("warn", where, "it answers \"system busy\": more brokers, or faster disks", "sends wait for %.0f ms", ms)
	}
}

// replication compares what is promised with what is there.
func (d *doctoring) replication(where, addr string, s *mq.BrokerSet) {
	slaves := len(s.Addrs) - 1
	st, err := d.c.Broker(addr).HAStatus(d.c.Ctx)
	if err == nil {
		if len(st.Slaves) < slaves {
			d.say("fault", where, "look into the slaves' logs: haMasterAddress, port haListenPort", "%d slaves are registered, %d replicate from it", slaves, len(st.Slaves))
		}
		for _, sl := range st.Slaves {
			if !sl.InSync {
				d.say("warn", where, "it is slow or has just come; with SYNC_MASTER sends may wait", "slave %s is %d bytes behind", sl.Addr, sl.Behind)
			}
		}
	}
	list, err := d.c.Broker(addr).Config(d.c.Ctx)
	if err != nil {
		return // a broker that does not tell its configuration
	}
	conf := map[string]string{}
	for _, k := range list {
		conf[k.Key] = k.Value
	}
	if slaves > 0 && conf["brokerRole"] == "ASYNC_MASTER" && conf["enableControllerMode"] != "true" {
		d.say("warn", where, "set brokerRole=SYNC_MASTER if acknowledged messages must survive the loss of the master", "has %d slaves but acknowledges before any has the message", slaves)
	}
	if conf["brokerRole"] == "SYNC_MASTER" && slaves == 0 {
		d.say("warn", where, "start a slave, or set brokerRole=ASYNC_MASTER", "promises copies (SYNC_MASTER) and has no slave")
	}
	if want, err := strconv.Atoi(conf["inSyncReplicas"]); err == nil && want > slaves+1 {
		d.say("fault", where, "start more slaves or lower inSyncReplicas", "wants %d copies and has %d brokers", want, slaves+1)
	}
	if p := conf["brokerPermission"]; p != "" && p != "6" && p != "7" {
		d.say("warn", where, "updateBrokerConfig -k brokerPermission -v 6", "brokerPermission is %s: reading or writing is switched off", p)
	}
}

// topic follows the route of one topic.
func (d *doctoring) topic(topic string, info *mq.ClusterInfo) {
	where := "topic " + topic
	route, err := d.c.NameServer("").Route(d.c.Ctx, topic)
	if err != nil {
		do := ""
		if mq.KindOf(err) == mq.KindTopicNotExist {
			do = "create it with updateTopic, or autoCreateTopicEnable=true"
		}
		d.say("fault", where, do, "%v", err)
		return
	}
	writable := 0
	for _, q := range route.Queues {
		set := route.Set(q.Broker)
		switch {
		case set == nil:
			d.say("warn", where, "it comes back when the broker does", "has queues on %s, which is not registered", q.Broker)
		case !q.Perm.Writable() || !q.Perm.Readable():
			d.say("warn", where, "updateTopicPerm -p 6, or addWritePerm -b "+q.Broker, "permission on %s is %s", q.Broker, permText(q.Perm))
		case set.Master() != "":
			writable += int(q.Write)
		}
	}
	if writable == 0 {
		d.say("fault", where, "no master has it with write permission", "nobody can write to it")
	}
	if len(route.Queues) == 1 && len(info.Brokers) > 1 {
		d.say("warn", where, "create it on the other sets too: updateTopic -c", "is on %s only: when that is down, the topic is", route.Queues[0].Broker)
	}
	if writable > 0 {
		d.say("ok", where, "", "%d queues may be written, on %d broker sets", writable, len(route.Brokers))
	}
}

// loneTopics counts topics that one broker set alone has.
func (d *doctoring) loneTopics(info *mq.ClusterInfo) {
	if len(info.Brokers) < 2 {
		return
	}
	topics, err := d.c.NameServer("").Topics(d.c.Ctx)
	if err != nil {
		d.say("fault", "topics", "", "%v", err)
		return
	}
	slices.Sort(topics)
	var lone []string
	for _, t := range topics {
		if strings.HasPrefix(t, retryPrefix) || strings.HasPrefix(t, dlqPrefix) || strings.HasPrefix(t, "rmq_sys_") || info.Brokers[t].Name != "" {
			continue
		}
		if r, err := d.c.NameServer("").Route(d.c.Ctx, t); err == nil && len(r.Queues) == 1 {
			lone = append(lone, t)
		}
	}
	if len(lone) > 0 {
		d.say("warn", "topics", "when that set is down, the topic is: updateTopic -c creates it on all",
			"%d topics are on one broker set only: %s", len(lone), strings.Join(lone[:min(5, len(lone))], ", "))
	}
}

// group looks at one consumer group.
func (d *doctoring) group(group string) {
	where := "group " + group
	list, err := d.c.lags(group, "")
	if err != nil {
		do := ""
		if mq.KindOf(err) == mq.KindTopicNotExist {
			do = "no client of the group was ever connected: is its name right?"
		}
		d.say("fault", where, do, "%v", err)
		return
	}
	for i := range list {
		l := &list[i]
		switch {
		case l.Clients == 0 && l.Behind > 0:
			d.say("fault", where, "start its consumers", "no client is connected, %d messages of %s wait", l.Behind, l.Topic)
		case l.Seconds > 600:
			d.say("warn", where, "more clients (at most one a queue), or look at them with consumerStatus -g "+group, "%s behind in %s: %d messages", ageText(l.Seconds), l.Topic, l.Behind)
		case l.Clients > l.Queues && l.Queues > 0:
			d.say("warn", where, "more queues: updateTopic -r -w", "%d clients share %d queues of %s: some get nothing", l.Clients, l.Queues, l.Topic)
		default:
			d.say("ok", where, "", "%d behind in %s, %d clients", l.Behind, l.Topic, l.Clients)
		}
	}
}
