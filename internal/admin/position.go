package admin

import (
	"errors"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func positionCommands() []Command {
	group := need("g", "group", "consumer group")
	via := opt("c", "cluster", "topic whose route is used, for light queues")
	return []Command{
		{
			Name: "resetOffsetByTime", About: "Set the positions of a group by time, without a restart", Changes: true, Destroys: true, Run: resetByTime,
			Flags: []Flag{
				group, ofTopic, need("s", "timestamp", "now, ms, or yyyy-MM-dd#HH:mm:ss:SSS; -1 = the end"),
				opt("f", "force", "also forward, true (default) or false"), via, opt("b", "broker", "with -q: the broker's address"),
				opt("q", "queue", "only this queue").num(32), opt("o", "offset", "with -q: to this position").num(64),
			},
		},
		{
			Name: "skipAccumulatedMessage", About: "Set the positions of a group to the end", Changes: true, Destroys: true, Run: skipAll,
			Flags: []Flag{group, ofTopic, opt("f", "force", "also forward, true (default) or false"), via},
		},
		{
			Name: "cloneGroupOffset", About: "Give a group the positions of another one", Changes: true, Destroys: true, Run: cloneOffsets,
			Flags: []Flag{
				need("s", "srcGroup", "the group that has the positions"), need("d", "destGroup", "the group that gets them"), ofTopic,
				opt("o", "offline", "not used"),
			},
		},
		{
			Name: "consumerStatus", About: "What the clients of a group are doing", Run: consumerStatus,
			Flags: []Flag{
				need("g", "consumerGroup", "consumer group"), opt("i", "clientId", "all that this client says"), opt("b", "brokerAddr", "ask this broker"),
				flag("s", "jstack", "with the stacks of its threads"),
			},
		},
		{Name: "statsAll", About: "Rates and backlog of all topics and groups", Run: statsAll, Flags: []Flag{
			flag("a", "activeTopic", "only topics with traffic"), opt("t", "topic", "only this topic"),
		}},
	}
}

// resetRow is one queue whose position was set.
type resetRow struct {
	Broker string `json:"broker"`
	Queue  int32  `json:"queueId"`
	Offset int64  `json:"offset"`
}

// reset sets positions at all masters of a topic and prints them.
func (c *Call) reset(r mq.PositionReset, via string) error {
	if via == "" {
		via = r.Topic
	}
	_, holders, err := c.holders(via)
	if err != nil {
		return err
	}
	var rows []resetRow
	for _, h := range holders {
		if h.set.Master() == "" {
			c.Failed(errors.New("broker " + h.set.Name + " has no master: its positions stay"))
			continue
		}
		c.Change(func() error {
			list, err := h.broker.ResetPositions(c.Ctx, &r)
			for _, q := range list {
				rows = append(rows, resetRow{h.set.Name, q.Queue.ID, int64(q.At)})
			}
			return err
		}, "set the positions of %s in %s on %s", r.Group, r.Topic, h.addr)
	}
	if c.Has("dry-run") {
		return nil
	}
	slices.SortFunc(rows, func(a, b resetRow) int { return compareQueues("", "", a.Broker, b.Broker, a.Queue, b.Queue) })
	c.Say("%-40s  %-40s  %-40s\n", "#brokerName", "#queueId", "#offset")
	for _, q := range rows {
		c.Row(q, "%-40s  %-40d  %-40d\n", q.Broker, q.Queue, q.Offset)
	}
	return nil
}

func resetByTime(c *Call) error {
	at, err := c.when("s")
	if err != nil {
		return err
	}
	force := c.Bool("f", true)
	r := mq.PositionReset{Group: c.Str("g"), Topic: c.Str("t"), QueueID: -1, Time: at, Force: force}
	if !c.Has("q") {
		c.Say("start reset consumer offset by specified, group[%s], topic[%s], force[%t], timestamp(string)[%s], timestamp(long)[%d]\n",
			r.Group, r.Topic, force, c.Str("s"), at)
		return c.reset(r, c.Str("c"))
	}
	addr := c.Str("b")
	if addr == "" {
		return usage("resetOffsetByTime: -q needs -b")
	}
	r.QueueID = c.Int32("q", 0)
	r.HasIndex, r.Index = c.Has("o"), mq.Index(c.Int("o", 0))
	if !r.HasIndex {
		var index mq.Index
		if at < 0 {
			index, err = c.Broker(addr).MaxIndex(c.Ctx, r.Topic, r.QueueID)
		} else {
			index, err = c.Broker(addr).IndexAtTime(c.Ctx, r.Topic, r.QueueID, at, mq.BoundaryLower)
		}
		if err != nil {
			return err
		}
		r.HasIndex, r.Index = true, index
	}
	c.Say("start reset consumer offset by specified, group[%s], topic[%s], queueId[%s], broker[%s], timestamp(string)[%s], timestamp(long)[%d]\n",
		r.Group, r.Topic, c.Str("q"), addr, c.Str("s"), at)
	if c.Change(func() error {
		_, err := c.Broker(addr).ResetPositions(c.Ctx, &r)
		return err
	}, "set the position of %s in queue %d of %s on %s to %d", r.Group, r.QueueID, r.Topic, addr, r.Index) {
		c.Only(resetRow{addr, r.QueueID, int64(r.Index)}, "reset consumer offset to %d\n", r.Index)
	}
	return nil
}

func skipAll(c *Call) error {
	return c.reset(mq.PositionReset{Group: c.Str("g"), Topic: c.Str("t"), QueueID: -1, Time: -1, Force: c.Bool("f", true)}, c.Str("c"))
}

func cloneOffsets(c *Call) error {
	from, to, topic := c.Str("s"), c.Str("d"), c.Str("t")
	_, holders, err := c.holders(topic)
	if err != nil {
		return err
	}
	n := 0
	for _, h := range holders {
		st, err := h.broker.ConsumeStats(c.Ctx, from, topic, nil)
		if err != nil {
			return err // as long as nothing of this broker was changed
		}
		for _, q := range st.Queues {
			if q.Queue.Topic != topic {
				continue
			}
			if c.Change(func() error { return h.broker.CommitIndex(c.Ctx, to, topic, q.Queue.ID, q.Committed) },
				"set the position of %s in queue %d of %s on %s to %d", to, q.Queue.ID, topic, h.addr, q.Committed) {
				n++
			}
		}
	}
	if len(c.errs) == 0 && !c.Has("dry-run") {
		c.Only(map[string]any{"srcGroup": from, "destGroup": to, "topic": topic, "queues": n},
			"clone group offset success. srcGroup[%s], destGroup=[%s], topic[%s]\n", from, to, topic)
	}
	return nil
}

func consumerStatus(c *Call) error {
	group := c.Str("g")
	holders := []target{{addr: c.Str("b"), broker: c.Broker(c.Str("b"))}}
	if !c.Has("b") {
		var err error
		if holders, err = c.groupHolders(group); err != nil {
			return err
		}
	}
	if id := c.Str("i"); id != "" {
		a, err := holders[0].broker.Ask(c.Ctx, &mq.RunningInfoRequest{Group: group, ClientID: id, Stacks: c.Has("s")})
		if err != nil {
			return err
		}
		c.Only(map[string]any{"clientId": id, "code": a.Code, "remark": a.Remark, "answer": string(a.Body)}, "%s\n", a.Body)
		return nil
	}
	g, err := holders[0].broker.Consumers(c.Ctx, group)
	if err != nil {
		return err
	}
	c.Say("%-10s %-40s %-20s %s\n", "#Index", "#ClientId", "#Version", "#ConsumerRunningInfoFile")
	same := ""
	differ := false
	for i, r := range connRows(g.Connections) {
		a, err := holders[0].broker.Ask(c.Ctx, &mq.RunningInfoRequest{Group: group, ClientID: r.Client, Stacks: c.Has("s")})
		if err != nil {
			c.Failed(err)
			continue
		}
		c.Row(struct {
			connRow
			Answer string `json:"answer"`
		}{r, string(a.Body)}, "%-10d %-40s %-20s %s\n", i+1, r.Client, r.Version, "-")
		subs := subscriptionsIn(a.Body)
		differ = differ || same != "" && same != subs
		same = subs
	}
	if differ {
		c.Say("\n\nWARN: Different subscription in the same group of consumer!!!\n")
	} else {
		c.Say("\n\nSame subscription in the same group of consumer\n")
	}
	return nil
}

// subscriptionsIn is the part of a client's running information about subscriptions, without their versions.
func subscriptionsIn(body []byte) string {
	_, rest, ok := strings.Cut(string(body), `"subscriptionSet":[`)
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "}]")
	var parts []string
	for part := range strings.SplitSeq(rest, ",") {
		if !strings.Contains(part, `"subVersion"`) {
			parts = append(parts, strings.Trim(part, "{}"))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// statRow is one line of statsAll.
type statRow struct {
	Topic  string  `json:"topic"`
	Group  string  `json:"group,omitempty"`
	Behind int64   `json:"accumulation"`
	InTPS  float64 `json:"inTps"`
	OutTPS float64 `json:"outTps"`
	In24   int64   `json:"inMsg24h"`
	Out24  int64   `json:"outMsg24h"`
}

// dayOf is the longest span that has something.
func dayOf(s *mq.Stats) int64 {
	for _, n := range []int64{s.Day.Sum, s.Hour.Sum, s.Minute.Sum} {
		if n != 0 {
			return n
		}
	}
	return 0
}

func statsAll(c *Call) error {
	topics, err := c.NameServer("").Topics(c.Ctx)
	if err != nil {
		return err
	}
	slices.Sort(topics)
	c.Say("%-64s  %-64s %12s %11s %11s %14s %14s\n", "#Topic", "#Consumer Group", "#Accumulation", "#InTPS", "#OutTPS", "#InMsg24Hour", "#OutMsg24Hour")
	for _, t := range topics {
		if strings.HasPrefix(t, retryPrefix) || strings.HasPrefix(t, dlqPrefix) || c.Has("t") && t != c.Str("t") {
			continue
		}
		c.Failed(c.statsOf(t))
	}
	return nil
}

func (c *Call) statsOf(topic string) error {
	_, holders, err := c.holders(topic)
	if err != nil {
		return err
	}
	sum := func(name, key string) (tps float64, day int64) {
		for _, h := range holders {
			if h.set.Master() == "" {
				continue
			}
			if s, err := h.broker.Stats(c.Ctx, name, key); err == nil { // a counter that is not there counts nothing
				tps, day = tps+s.Minute.TPS, day+dayOf(&s)
			}
		}
		return tps, day
	}
	row := statRow{Topic: topic}
	row.InTPS, row.In24 = sum(mq.StatTopicPutNums, topic)
	groups := map[string]bool{}
	for _, h := range holders {
		list, err := h.broker.TopicConsumers(c.Ctx, topic)
		if err != nil {
			return err
		}
		for _, g := range list {
			groups[g] = true
		}
	}
	if len(groups) == 0 {
		if !c.Has("a") || row.In24 > 0 {
			c.Row(row, "%-64s  %-64s %12d %11.2f %11s %14d %14s\n", cut(topic, 64), "", 0, row.InTPS, "", row.In24, "NO_CONSUMER")
		}
		return nil
	}
	for _, g := range sortedKeys(groups) {
		r := row
		r.Group = g
		rows, _ := c.groupProgress(g, topic, holders)
		for i := range rows {
			if rows[i].Topic == topic {
				r.Behind += max(rows[i].Diff, 0)
			}
		}
		r.OutTPS, r.Out24 = sum(mq.StatGroupGetNums, topic+"@"+g)
		if !c.Has("a") || r.In24 > 0 || r.Out24 > 0 {
			c.Row(r, "%-64s  %-64s %12d %11.2f %11.2f %14d %14d\n", cut(topic, 64), cut(g, 64), r.Behind, r.InTPS, r.OutTPS, r.In24, r.Out24)
		}
	}
	return nil
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
