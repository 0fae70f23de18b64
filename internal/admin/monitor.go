package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

func monitorCommand() Command {
	return Command{
		Name: "startMonitoring", About: "Report what groups have not consumed, and consumers that do not get on, again and again", Run: monitor,
		Flags: []Flag{opt("", "every", "time between two rounds, default 60s"), opt("", "count", "end after so many rounds").num(32)},
	}
}

// undone is what a group has not consumed of a topic (Java UndoneMsgs).
type undone struct {
	Group string `json:"consumerGroup"`
	Topic string `json:"topic"`
	Total int64  `json:"undoneMsgsTotal"`
	Most  int64  `json:"undoneMsgsSingleMQ"` // in one queue
	Delay int64  `json:"undoneMsgsDelayTimeMills"`
}

// monitor differs from Java: its tool writes into its log and waits 20 s for the first round; here the rounds are printed, and the first
// one begins at once. It also reports what is sent to the topic OFFSET_MOVED_EVENT, for which there is cometmq admin tail.
func monitor(c *Call) error {
	every := time.Minute
	if v := c.Str("every"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return usage("startMonitoring: --every %q: want a time such as 30s", v)
		}
		every = d
	}
	c.streams = true
	for round := int32(1); ; round++ {
		if err := c.monitorOnce(); err != nil {
			return err
		}
		if n := c.Int32("count", 0); n > 0 && round >= n {
			return nil
		}
		for _, err := range c.errs { // of this round: they do not end it
			fmt.Fprintf(c.env.Err, "%s: %v\n", c.env.Prog, err)
		}
		c.errs = nil
		select {
		case <-c.Ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func (c *Call) monitorOnce() error {
	groups, err := c.allGroups()
	if err != nil {
		return err
	}
	stamp := func() string { return millis(c.env.Now().UnixMilli()) }
	c.Say("%s [MONITOR] =========================================beginRound\n", stamp())
	for i, group := range groups {
		c.working("groups", i, len(groups))
		holders, err := c.groupHolders(group)
		if err != nil {
			c.Failed(err)
			continue
		}
		list, problems := c.monitorGroup(group, holders)
		for _, u := range list {
			if err := c.Stream(u, "%s [MONITOR] reportUndoneMsgs: UndoneMsgs [consumerGroup=%s, topic=%s, undoneMsgsTotal=%d, undoneMsgsSingleMQ=%d, undoneMsgsDelayTimeMills=%d]\n",
				stamp(), u.Group, u.Topic, u.Total, u.Most, u.Delay); err != nil {
				return err
			}
		}
		for _, p := range problems {
			if err := c.Stream(map[string]string{"consumerGroup": group, "problem": p}, "%s [MONITOR]  [NOTIFY] reportConsumerRunningInfo: ConsumerGroup: %s, %s\n", stamp(), group, p); err != nil {
				return err
			}
		}
	}
	c.Say("%s [MONITOR] =========================================endRound\n", stamp())
	return c.out.Flush()
}

// monitorGroup looks at one group. Nobody consuming is nothing to report, as in Java.
func (c *Call) monitorGroup(group string, holders []target) ([]undone, []string) {
	var out []undone
	online := map[string]*target{} // clients
	for i := range holders {
		h := &holders[i]
		g, err := h.broker.Consumers(c.Ctx, group)
		if err != nil {
			continue // not online there
		}
		for _, conn := range g.Connections {
			online[conn.ClientID] = h
		}
	}
	if len(online) == 0 {
		return nil, nil
	}
	at := func(topic string) *undone {
		i := slices.IndexFunc(out, func(u undone) bool { return u.Topic == topic })
		if i < 0 {
			i = len(out)
			out = append(out, undone{Group: group, Topic: topic})
		}
		return &out[i]
	}
	for i := range holders {
		st, err := holders[i].broker.ConsumeStats(c.Ctx, group, "", nil)
		if err != nil {
			c.Failed(err)
			continue
		}
		for _, q := range st.Queues {
			u, n := at(q.Queue.Topic), int64(q.End-q.Committed)
			u.Most, u.Total = max(u.Most, n), u.Total+max(n, 0)
			if q.LastConsume > 0 && q.End > 0 {
				u.Delay = max(u.Delay, c.newest(&holders[i], &q)-q.LastConsume)
			}
		}
	}
	return out, c.stuck(group, online)
}

// newest is when the last message of a queue was stored, in ms; 0 when it cannot be read.
func (c *Call) newest(h *target, q *mq.ConsumeProgress) (ms int64) {
	s := source{*h, q.Queue.Topic, q.Queue.ID}
	if _, _, err := s.read(c.Ctx, "*", q.End-1, q.End, func(m *message) error {
		ms = m.Stored
		return nil
	}); err != nil {
		c.Failed(err)
	}
	return ms
}

// runningInfo is what of a client's answer tells that it does not get on.
type runningInfo struct {
	Properties map[string]any `json:"properties"`
	Subs       []struct {
		Topic string `json:"topic"`
		Expr  string `json:"subString"`
	} `json:"subscriptionSet"`
}

// stuck asks the clients of a group how they are: whether they have the same subscriptions, and whether they consume what they have
// fetched (Java ConsumerRunningInfo.analyzeSubscription and analyzeProcessQueue).
func (c *Call) stuck(group string, online map[string]*target) []string {
	var out []string
	first, differ := "", false
	now := c.env.Now().UnixMilli()
	for _, id := range sortedNames(online) {
		a, err := online[id].broker.Ask(c.Ctx, &mq.RunningInfoRequest{Group: group, ClientID: id})
		if err != nil {
			continue // gone meanwhile, or too old for the question
		}
		info, queues := readRunningInfo(a.Body)
		if text(info.Properties["PROP_CONSUME_TYPE"]) != "CONSUME_PASSIVELY" {
			continue
		}
		var subs []string
		for _, s := range info.Subs {
			subs = append(subs, s.Topic+" "+s.Expr)
		}
		slices.Sort(subs)
		all := strings.Join(subs, "\n")
		differ = differ || first != "" && all != first
		first = all
		ordered := text(info.Properties["PROP_CONSUMEORDERLY"]) == "true"
		for _, q := range queues {
			switch {
			case ordered && !q.Locked:
				out = append(out, fmt.Sprintf("ClientId: %s, %s can't lock for a while, %dms", id, q.name(), now-q.LastLock))
			case ordered && q.Dropped && q.TryUnlock > 0:
				out = append(out, fmt.Sprintf("ClientId: %s, %s unlock %d times, still failed", id, q.name(), q.TryUnlock))
			case !ordered && now-q.LastConsume > 60_000 && q.Cached > 0:
				out = append(out, fmt.Sprintf("ClientId: %s, %s can't consume for a while, maybe blocked, %dms", id, q.name(), now-q.LastConsume))
			}
		}
	}
	if differ {
		out = append([]string{"Subscription different"}, out...)
	}
	return out
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// readRunningInfo reads a client's answer, whose table of queues has objects as keys. What cannot be read is left out.
func readRunningInfo(body []byte) (runningInfo, []clientQueue) {
	queues := clientQueues(body, `"mqTable":{`)
	var info runningInfo
	for name, into := range map[string]any{`"properties":`: &info.Properties, `"subscriptionSet":`: &info.Subs} {
		if _, rest, ok := strings.Cut(string(body), name); ok {
			_ = json.NewDecoder(strings.NewReader(rest)).Decode(into)
		}
	}
	return info, queues
}
