package httpapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Levels of a check.
const (
	levelOK    = "ok"
	levelWarn  = "warn"
	levelFault = "fault"
)

// Limits of checks, those of the broker's own reactions.
const (
	diskWarn      = 0.75 // old messages are deleted early from here on
	diskFault     = 0.9  // the broker refuses messages, or soon will
	dispatchWarn  = 64 << 20
	replicaWarn   = 256 << 20
	maxLoneTopics = 5 // that are named
)

type healthCheck struct {
	Rule   string            `json:"rule"`
	Level  string            `json:"level"`
	Node   string            `json:"node,omitempty"`
	Code   string            `json:"code"`
	Detail string            `json:"detail"`
	Values map[string]string `json:"values,omitempty"`
}

// health collects checks.
type health struct {
	checks []healthCheck
	errs   []*nodeError
}

func (h *health) say(rule, level, node, code string, values map[string]string, format string, args ...any) {
	h.checks = append(h.checks, healthCheck{rule, level, node, code, fmt.Sprintf(format, args...), values})
}

func getHealth(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	h := &health{checks: []healthCheck{}}
	h.nameServers(c, k)
	h.masters(k)
	h.brokers(c, k)
	h.replication(c.ctx, k)
	h.loneTopics(c.ctx, k)
	verdict := levelOK
	for i := range h.checks {
		switch h.checks[i].Level {
		case levelFault:
			verdict = levelFault
		case levelWarn:
			if verdict == levelOK {
				verdict = levelWarn
			}
		}
	}
	return &struct {
		Verdict string        `json:"verdict"`
		Checks  []healthCheck `json:"checks"`
		At      int64         `json:"checkedAt"`
		partial
	}{verdict, h.checks, c.a.now().UnixMilli(), partialOf(h.errs)}, nil
}

func (h *health) nameServers(c *call, k *cluster) {
	for _, addr := range k.NameServers() {
		info, err := k.NameServer(addr).ClusterInfo(c.ctx)
		if err != nil {
			h.say("nameServers", levelFault, addr, problemOf(err).Code, nil, "%v", err)
			continue
		}
		missing := []string{}
		for _, s := range k.sets {
			if _, ok := info.Brokers[s.Name]; !ok {
				missing = append(missing, s.Name)
			}
		}
		if len(missing) > 0 {
			h.say("nameServers", levelWarn, addr, "brokersMissing", map[string]string{"brokers": strings.Join(missing, ", ")},
				"it does not know %s: the broker does not name it in namesrvAddr, or cannot reach it", strings.Join(missing, ", "))
			continue
		}
		h.say("nameServers", levelOK, addr, "reachable", nil, "it answers")
	}
}

func (h *health) masters(k *cluster) {
	for _, s := range k.sets {
		switch {
		case s.Master() != "":
			h.say("masters", levelOK, s.Name, "hasMaster", nil, "the master is %s", s.Master())
		case s.ActingMaster:
			h.say("masters", levelWarn, s.Name, "actingMaster", nil, "it has no master: a slave acts for it, and writes go to other sets")
		default:
			h.say("masters", levelFault, s.Name, "noMaster", nil, "it has no master: nothing can be written to it")
		}
	}
}

func (h *health) brokers(c *call, k *cluster) {
	answers, errs := ask(c.ctx, k.all(), func(ctx context.Context, n *node) (map[string]string, error) { return n.RuntimeInfo(ctx) })
	h.errs = append(h.errs, errs...)
	for _, e := range errs {
		h.say("masters", levelFault, e.Node, e.Code, nil, "%s", e.Detail)
	}
	now := c.a.now().UnixMilli()
	for _, a := range answers {
		name := a.node.String()
		b := brokerOf(&a.node, a.v)
		full := value(b.DiskRatio)
		percent := fmt.Sprintf("%.0f", full*100)
		values := map[string]string{"percent": percent}
		switch {
		case full >= diskFault:
			h.say("disk", levelFault, name, "diskFull", values, "the disk is %s%% full: the broker refuses messages, or soon will", percent)
		case full >= diskWarn:
			h.say("disk", levelWarn, name, "diskFilling", values, "the disk is %s%% full: old messages are deleted early", percent)
		default:
			h.say("disk", levelOK, name, "diskOK", values, "the disk is %s%% full", percent)
		}
		if behind := int64(value(b.DispatchBehind)); behind > dispatchWarn {
			h.say("dispatch", levelWarn, name, "dispatchBehind", map[string]string{"bytes": strconv.FormatInt(behind, 10)}, "its queues are %d MiB behind the log: consumers see messages late", behind>>20)
		}
		if b.Started-now > 1000 {
			h.say("clock", levelFault, name, "clockAhead", nil, "its clock is at least %d s ahead of this machine's", (b.Started-now)/1000)
		}
	}
}

func (h *health) replication(ctx context.Context, k *cluster) {
	for i := range k.sets {
		s := &k.sets[i]
		if len(s.Addrs) < 2 || s.Master() == "" {
			continue
		}
		st, err := k.Broker(s.Master()).HAStatus(ctx)
		if err != nil {
			continue // brokers has said it, or the broker cannot tell
		}
		if len(st.Slaves) < len(s.Addrs)-1 {
			h.say("replication", levelFault, s.Name, "slavesMissing", map[string]string{"registered": strconv.Itoa(len(s.Addrs) - 1), "connected": strconv.Itoa(len(st.Slaves))},
				"%d slaves are registered, %d replicate", len(s.Addrs)-1, len(st.Slaves))
		}
		for _, sl := range st.Slaves {
			switch {
			case !sl.InSync, sl.Behind > replicaWarn:
				h.say("replication", levelWarn, s.Name, "slaveBehind", map[string]string{"slave": sl.Addr, "bytes": strconv.FormatInt(sl.Behind, 10)}, "slave %s is %d bytes behind", sl.Addr, sl.Behind)
			default:
				h.say("replication", levelOK, s.Name, "slaveInSync", map[string]string{"slave": sl.Addr}, "slave %s is in sync", sl.Addr)
			}
		}
	}
}

// loneTopics names topics that one of several broker sets alone has.
func (h *health) loneTopics(ctx context.Context, k *cluster) {
	if len(k.sets) < 2 {
		return
	}
	all, errs := k.topics(ctx)
	if len(errs) > 0 {
		return // a set that does not answer has topics that nobody knows of
	}
	var lone []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if t := all[name]; len(t.Brokers) == 1 && !hiddenTopic(t.Type) {
			lone = append(lone, name)
		}
	}
	if len(lone) > 0 {
		first := strings.Join(lone[:min(maxLoneTopics, len(lone))], ", ")
		h.say("loneTopics", levelWarn, "", "loneTopics", map[string]string{"count": strconv.Itoa(len(lone)), "topics": first},
			"%d topics are on one broker set only: %s", len(lone), first)
	}
}
