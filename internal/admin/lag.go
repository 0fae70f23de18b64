package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// lagRow is how far a group is behind in a topic.
type lagRow struct {
	Group   string  `json:"group"`
	Topic   string  `json:"topic"`
	Behind  int64   `json:"behind"`
	Worst   int64   `json:"worstQueue"`
	Seconds float64 `json:"behindSeconds"` // since the last message that was consumed was stored, -1 = unknown
	Queues  int     `json:"queues"`
	Clients int     `json:"clients"`
	TPS     float64 `json:"tps"`
}

// lags collects the lag of one group, of one topic if topic is not empty.
func (c *Call) lags(group, topic string) ([]lagRow, error) {
	holders, err := c.groupHolders(group)
	if err != nil {
		return nil, err
	}
	clients := 0
	for _, h := range holders {
		g, err := h.broker.Consumers(c.Ctx, group)
		if err != nil && mq.KindOf(err) != mq.KindConsumerNotOnline {
			return nil, err
		}
		clients = max(clients, len(g.Connections))
	}
	rows, tps := c.groupProgress(group, topic, holders)
	by := map[string]*lagRow{}
	var names []string
	now := c.env.Now().UnixMilli()
	for i := range rows {
		r := &rows[i]
		if topic != "" && r.Topic != topic {
			continue
		}
		l := by[r.Topic]
		if l == nil {
			l = &lagRow{Group: group, Topic: r.Topic, Clients: clients, TPS: tps}
			by[r.Topic] = l
			names = append(names, r.Topic)
		}
		l.Queues++
		if r.Diff <= 0 {
			continue
		}
		l.Behind += r.Diff
		l.Worst = max(l.Worst, r.Diff)
		switch {
		case r.LastConsume <= 0 && l.Seconds == 0:
			l.Seconds = -1
		case r.LastConsume > 0:
			l.Seconds = max(l.Seconds, float64(now-r.LastConsume)/1000)
		}
	}
	out := make([]lagRow, 0, len(names))
	for _, n := range names {
		out = append(out, *by[n])
	}
	return out, nil
}

// allGroups are the groups that have a retry topic.
func (c *Call) allGroups() ([]string, error) {
	topics, err := c.NameServer("").Topics(c.Ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range topics {
		if g, ok := strings.CutPrefix(t, retryPrefix); ok {
			out = append(out, g)
		}
	}
	slices.Sort(out)
	return out, nil
}

func ageText(s float64) string {
	if s < 0 {
		return "unknown"
	}
	return (time.Duration(s) * time.Second).String()
}

func lag(c *Call) error {
	groups := []string{c.Str("g")}
	if !c.Has("g") {
		var err error
		if groups, err = c.allGroups(); err != nil {
			return err
		}
	}
	over := c.Int("over", -1)
	found := 0
	const row = "%-40s  %-40s  %12v  %12v  %12v  %7v  %7v\n"
	c.Say(row, "#Group", "#Topic", "#Behind", "#Worst queue", "#Time", "#Queues", "#Clients")
	for _, g := range groups {
		list, err := c.lags(g, c.Str("t"))
		if err != nil {
			c.Failed(err)
			continue
		}
		for i := range list {
			l := &list[i]
			if l.Behind <= over {
				continue
			}
			found++
			c.Row(l, row, cut(l.Group, 40), cut(l.Topic, 40), l.Behind, l.Worst, ageText(l.Seconds), l.Queues, l.Clients)
		}
	}
	if c.Has("over") && found > 0 {
		return fmt.Errorf("%d are more than %d messages behind", found, over)
	}
	return nil
}
