package admin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

func clusterCommands() []Command {
	return []Command{
		{
			Name: "clusterList", About: "List clusters and their brokers", Run: clusterList,
			Flags: []Flag{
				flag("m", "moreStats", "totals of yesterday and today"), opt("i", "interval", "print again after so many seconds").num(32),
				opt("c", "clusterName", "only this cluster"),
			},
		},
		{
			Name: "brokerStatus", About: "Runtime data of brokers", Flags: []Flag{toBroker, toCluster}, OneOf: either, Run: brokerStatus,
		},
		{
			Name: "brokerConsumeStats", About: "How far all groups of a broker are", Run: brokerConsumeStats,
			Flags: []Flag{
				need("b", "brokerAddr", "the broker's address"), opt("t", "timeoutMillis", "bound of the call").num(64),
				opt("l", "level", "only queues that are more than so many messages behind").num(64), opt("o", "order", "ordered topics"),
			},
		},
		{
			Name: "wipeWritePerm", About: "Take the write permission of a broker away, in all name servers", Changes: true, Destroys: true,
			Flags: []Flag{need("b", "brokerName", "broker name")}, Run: func(c *Call) error { return writePerm(c, false) },
		},
		{
			Name: "addWritePerm", About: "Give a broker its write permission back, in all name servers", Changes: true,
			Flags: []Flag{need("b", "brokerName", "broker name")}, Run: func(c *Call) error { return writePerm(c, true) },
		},
		{
			Name: "cleanExpiredCQ", About: "Delete consume queues whose messages are gone", Changes: true, Destroys: true, Flags: []Flag{toBroker, cleanCluster},
			Run: func(c *Call) error { return clean(c, mq.CleanExpiredQueues) },
		},
		{
			Name: "deleteExpiredCommitLog", About: "Delete commit log files that have expired", Changes: true, Destroys: true, Flags: []Flag{toBroker, cleanCluster},
			Run: func(c *Call) error { return clean(c, mq.CleanExpiredLog) },
		},
		{
			Name: "cleanUnusedTopic", About: "Delete what is left of topics that are gone", Changes: true, Destroys: true, Flags: []Flag{toBroker, cleanCluster},
			Run: func(c *Call) error { return clean(c, mq.CleanUnusedTopics) },
		},
	}
}

var cleanCluster = opt("c", "cluster", "all masters of this cluster")

// brokerRow is one broker of clusterList.
type brokerRow struct {
	Cluster      string  `json:"cluster"`
	Broker       string  `json:"broker"`
	ID           int64   `json:"id"`
	Addr         string  `json:"addr"`
	Version      string  `json:"version,omitempty"`
	InTPS        float64 `json:"inTps"`
	OutTPS       float64 `json:"outTps"`
	Hours        float64 `json:"hours"`
	Disk         float64 `json:"disk"`
	Active       bool    `json:"active"`
	Error        string  `json:"error,omitempty"`
	InToday      int64   `json:"inToday"`
	OutToday     int64   `json:"outToday"`
	InYesterday  int64   `json:"inYesterday"`
	OutYesterday int64   `json:"outYesterday"`

	runtime map[string]string
}

func clusterList(c *Call) error { return c.again(func() error { return clusterListOnce(c) }) }

func clusterListOnce(c *Call) error {
	sets, err := c.inCluster(c.Str("c"))
	if err != nil {
		return err
	}
	var rows []*brokerRow
	for _, s := range sets {
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			if !c.Has("m") || id == 0 {
				rows = append(rows, &brokerRow{Cluster: s.Cluster, Broker: s.Name, ID: id, Addr: s.Addrs[id]})
			}
		}
	}
	errs := make([]error, len(rows))
	var wg sync.WaitGroup
	for i, r := range rows {
		wg.Go(func() {
			r.runtime, errs[i] = c.Broker(r.Addr).RuntimeInfo(c.Ctx)
			r.fill(c.env.Now())
		})
	}
	wg.Wait()
	if c.Has("m") {
		c.Say("%-16s  %-32s %14s %14s %14s %14s\n", "#Cluster Name", "#Broker Name", "#InTotalYest", "#OutTotalYest", "#InTotalToday", "#OutTotalToday")
	} else {
		c.Say("%-22s  %-22s  %-4s  %-22s %-16s  %16s  %30s  %-22s  %-11s  %-12s  %-8s  %-10s\n", "#Cluster Name", "#Broker Name", "#BID", "#Addr",
			"#Version", "#InTPS(LOAD)", "#OutTPS(LOAD)", "#Timer(Progress)", "#PCWait(ms)", "#Hour", "#SPACE", "#ACTIVATED")
	}
	for i, r := range rows {
		if errs[i] != nil {
			r.Error = errs[i].Error()
			c.Failed(errs[i])
		}
		if c.Has("m") {
			c.Row(r, "%-16s  %-32s %14d %14d %14d %14d\n", r.Cluster, r.Broker, r.InYesterday, r.OutYesterday, r.InToday, r.OutToday)
			continue
		}
		t := r.runtime
		number := func(key string) string {
			if v, ok := t[key]; ok {
				return v
			}
			return "0"
		}
		long := func(key string) int64 { return int64(float(t[key])) }
		c.Row(r, "%-22s  %-22s  %-4d  %-22s %-16s  %16s  %30s  %-22s  %11s  %-12s  %-8s  %10t\n", r.Cluster, r.Broker, r.ID, r.Addr, r.Version,
			fmt.Sprintf("%9.2f(%s,%sms)", r.InTPS, number("sendThreadPoolQueueSize"), number("sendThreadPoolQueueHeadWaitTimeMills")),
			fmt.Sprintf("%9.2f(%s,%sms|%s,%sms)", r.OutTPS, number("pullThreadPoolQueueSize"), number("pullThreadPoolQueueHeadWaitTimeMills"),
				number("ackThreadPoolQueueSize"), number("ackThreadPoolQueueHeadWaitTimeMills")),
			fmt.Sprintf("%d-%d(%.1fw, %.1f, %.1f)", long("timerReadBehind"), long("timerOffsetBehind"), float(t["timerCongestNum"])/10000,
				float(t["timerEnqueueTps"]), float(t["timerDequeueTps"])),
			number("pageCacheLockTimeMills"), fmt.Sprintf("%2.2f", r.Hours), fmt.Sprintf("%.4f", r.Disk), r.Active)
		if c.Wide() && errs[i] == nil {
			c.Say("  runtime %s, log %s to %s, behind in dispatch %s bytes\n", t["runtime"], t["commitLogMinOffset"], t["commitLogMaxOffset"], t["dispatchBehindBytes"])
		}
	}
	return nil
}

// float reads a number, 0 when it is none.
func float(s string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return 0
	}
	return v
}

// first is the first of several numbers with spaces between: the last ten seconds of a rate.
func first(s string) float64 {
	v, _, _ := strings.Cut(s, " ")
	return float(v)
}

func (r *brokerRow) fill(now time.Time) {
	t := r.runtime
	if t == nil {
		return
	}
	r.Version, r.Active = t["brokerVersionDesc"], t["brokerActive"] == "true"
	r.InTPS, r.OutTPS = first(t["putTps"]), first(t["getTransferredTps"])
	if earliest := float(t["earliestMessageTimeStamp"]); t["earliestMessageTimeStamp"] != "" {
		r.Hours = (float64(now.UnixMilli()) - earliest) / 1000 / 3600
	}
	r.Disk = float(t["commitLogDiskRatio"])
	long := func(key string) int64 { return int64(float(t[key])) }
	r.InYesterday = long("msgPutTotalTodayMorning") - long("msgPutTotalYesterdayMorning")
	r.InToday = long("msgPutTotalTodayNow") - long("msgPutTotalTodayMorning")
	r.OutYesterday = long("msgGetTotalTodayMorning") - long("msgGetTotalYesterdayMorning")
	r.OutToday = long("msgGetTotalTodayNow") - long("msgGetTotalTodayMorning")
}

func brokerStatus(c *Call) error {
	targets, err := c.targets(true)
	if err != nil {
		return err
	}
	for _, t := range targets {
		info, err := t.broker.RuntimeInfo(c.Ctx)
		if err != nil {
			c.Failed(err)
			continue
		}
		if !c.Table() {
			c.Row(struct {
				Addr    string            `json:"addr"`
				Runtime map[string]string `json:"runtime"`
			}{t.addr, info}, "")
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(info)) {
			if c.Has("c") {
				c.Say("%-24s %-32s: %s\n", t.addr, k, info[k])
			} else {
				c.Say("%-32s: %s\n", k, info[k])
			}
		}
	}
	return nil
}

// progressRow is how far a group is in one queue.
type progressRow struct {
	Topic       string `json:"topic"`
	Group       string `json:"group"`
	Broker      string `json:"broker"`
	Queue       int32  `json:"queue"`
	End         int64  `json:"brokerOffset"`
	Committed   int64  `json:"consumerOffset"`
	Client      string `json:"client,omitempty"`
	Diff        int64  `json:"diff"`
	Inflight    int64  `json:"inflight"`
	LastConsume int64  `json:"lastConsumeMs"`
}

func (c *Call) progress(group string, list []mq.ConsumeProgress) []progressRow {
	out := make([]progressRow, 0, len(list))
	for _, q := range list {
		out = append(out, progressRow{
			Topic: q.Queue.Topic, Group: group, Broker: q.Queue.Broker, Queue: q.Queue.ID, End: int64(q.End), Committed: int64(q.Committed),
			Diff: int64(q.End - q.Committed), Inflight: int64(q.Pulled - q.Committed), LastConsume: q.LastConsume,
		})
	}
	slices.SortFunc(out, func(a, b progressRow) int {
		return compareQueues(a.Topic, b.Topic, a.Broker, b.Broker, a.Queue, b.Queue)
	})
	return out
}

func (r *progressRow) last() string {
	if r.LastConsume == 0 {
		return "N/A"
	}
	return seconds(r.LastConsume)
}

func brokerConsumeStats(c *Call) error {
	st, err := c.Broker(c.Str("b")).GroupsStats(c.Ctx, c.Bool("o", false))
	if err != nil {
		return err
	}
	c.Say("%-64s  %-64s  %-32s  %-4s  %-20s  %-20s  %-20s  %s\n", "#Topic", "#Group", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset",
		"#Diff", "#LastTime")
	for _, g := range st.Groups {
		for _, s := range g.Stats {
			for _, r := range c.progress(g.Group, s.Queues) {
				if r.Diff < c.Int("l", 0) {
					continue
				}
				last := "-"
				if r.LastConsume > 0 {
					last = seconds(r.LastConsume)
				}
				c.Row(r, "%-64s  %-64s  %-32s  %-4d  %-20d  %-20d  %-20d  %s\n", cut(r.Topic, 64), cut(g.Group, 64), cut(r.Broker, 32), r.Queue,
					r.End, r.Committed, r.Diff, last)
			}
		}
	}
	c.Say("\nDiff Total: %d\n", st.Total)
	return nil
}

func writePerm(c *Call, writable bool) error {
	verb := "wipe"
	if writable {
		verb = "add"
	}
	broker := c.Str("b")
	for _, ns := range c.NameServers() {
		c.Change(func() error {
			n, err := c.NameServer(ns).SetWritable(c.Ctx, broker, writable)
			if err != nil {
				c.Say("%s write perm of broker[%s] in name server[%s] Failed\n", verb, broker, ns)
				return err
			}
			c.Row(map[string]any{"broker": broker, "nameServer": ns, "topics": n}, "%s write perm of broker[%s] in name server[%s] OK, %d\n", verb, broker, ns, n)
			return nil
		}, "%s the write permission of broker %s in name server %s", verb, broker, ns)
	}
	return nil
}

func clean(c *Call, what mq.Cleaning) error {
	cluster := c.Str("c")
	var targets []target
	var err error
	if c.Has("b") {
		targets, err = c.targets(false)
	} else {
		targets, err = c.clusterTargets(cluster, false)
	}
	if err != nil {
		return err
	}
	var done []string
	for _, t := range targets {
		if c.Change(func() error { return t.broker.Clean(c.Ctx, what) }, "%s on %s", c.cmd.Name, t.addr) {
			done = append(done, t.addr)
		}
	}
	switch {
	case len(c.errs) == 0 && done != nil:
		c.Only(map[string]bool{"success": true}, "success\n")
	default: // of some only
		for _, addr := range done {
			c.Row(map[string]string{"addr": addr, "state": "success"}, "success on %s\n", addr)
		}
	}
	return nil
}
