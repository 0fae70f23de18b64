package admin

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// screen is one look of top.
type screen struct {
	Brokers []*brokerRow `json:"brokers"`
	Topics  []statRow    `json:"topics"`
	Groups  []lagRow     `json:"groups"`
}

func top(c *Call) error {
	every := 2 * time.Second
	if v := c.Str("every"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return usage("top: --every %q: want a time such as 2s", v)
		}
		every = d
	}
	c.streams = true
	for n := c.Int32("count", -1); n != 0; n-- {
		s, err := c.look()
		if err != nil {
			return err
		}
		if err := c.sayTop(s); err != nil {
			return err
		}
		if n == 1 {
			return nil
		}
		select {
		case <-c.Ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
	return nil
}

func (c *Call) look() (*screen, error) {
	sets, err := c.inCluster("")
	if err != nil {
		return nil, err
	}
	s := &screen{}
	var topics, groups []string
	for _, set := range sets {
		for _, id := range slices.Sorted(maps.Keys(set.Addrs)) {
			r := &brokerRow{Cluster: set.Cluster, Broker: set.Name, ID: id, Addr: set.Addrs[id]}
			if r.runtime, err = c.Broker(r.Addr).RuntimeInfo(c.Ctx); err != nil {
				r.Error = err.Error()
			}
			r.fill(c.env.Now())
			s.Brokers = append(s.Brokers, r)
		}
	}
	all, err := c.NameServer("").Topics(c.Ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if g, ok := strings.CutPrefix(t, retryPrefix); ok {
			groups = append(groups, g)
		} else if !strings.HasPrefix(t, dlqPrefix) {
			topics = append(topics, t)
		}
	}
	lines := int(c.Int32("lines", 10))
	for _, t := range topics {
		row := statRow{Topic: t}
		for _, set := range sets {
			if set.Master() == "" {
				continue
			}
			if st, err := c.Broker(set.Master()).Stats(c.Ctx, mq.StatTopicPutNums, t); err == nil { // no counter: no traffic
				row.InTPS, row.In24 = row.InTPS+st.Minute.TPS, row.In24+dayOf(&st)
			}
		}
		if row.In24 > 0 {
			s.Topics = append(s.Topics, row)
		}
	}
	slices.SortFunc(s.Topics, func(a, b statRow) int { return cmp.Or(cmp.Compare(b.InTPS, a.InTPS), cmp.Compare(b.In24, a.In24)) })
	s.Topics = s.Topics[:min(lines, len(s.Topics))]
	for _, g := range groups {
		if list, err := c.lags(g, ""); err == nil { // a group that goes away while we look
			s.Groups = append(s.Groups, list...)
		}
	}
	slices.SortFunc(s.Groups, func(a, b lagRow) int { return cmp.Or(cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.Group, b.Group)) })
	s.Groups = s.Groups[:min(lines, len(s.Groups))]
	return s, nil
}

func (c *Call) sayTop(s *screen) error {
	if !c.Table() {
		return c.Stream(s, "")
	}
	if c.env.Terminal {
		c.Say("\x1b[H\x1b[2J")
	}
	c.Say("%s\n%-24s %-3s %-22s %10s %10s %8s %8s\n", c.env.Now().Format(time.TimeOnly), "#Broker", "#ID", "#Addr", "#In/s", "#Out/s", "#Disk", "#Active")
	for _, b := range s.Brokers {
		if b.Error != "" {
			c.Say("%-24s %-3d %-22s %s\n", cut(b.Broker, 24), b.ID, b.Addr, b.Error)
			continue
		}
		c.Say("%-24s %-3d %-22s %10.1f %10.1f %7.0f%% %8t\n", cut(b.Broker, 24), b.ID, b.Addr, b.InTPS, b.OutTPS, b.Disk*100, b.Active)
	}
	c.Say("\n%-48s %10s %14s\n", "#Topic", "#In/s", "#In 24 h")
	for _, t := range s.Topics {
		c.Say("%-48s %10.1f %14d\n", cut(t.Topic, 48), t.InTPS, t.In24)
	}
	c.Say("\n%-40s %-40s %12s %12s %8s\n", "#Group", "#Topic", "#Behind", "#Time", "#Clients")
	for _, g := range s.Groups {
		c.Say("%-40s %-40s %12d %12s %8d\n", cut(g.Group, 40), cut(g.Topic, 40), g.Behind, ageText(g.Seconds), g.Clients)
	}
	return c.out.Flush()
}
