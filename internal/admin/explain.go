package admin

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// story is all that explain finds out.
type story struct {
	*message
	State  string       `json:"state"`
	Groups []groupStory `json:"groups"`
	Copies []*message   `json:"copies,omitempty"`
}

type groupStory struct {
	Group    string `json:"group"`
	Verdict  string `json:"verdict"`
	Position int64  `json:"position"`
	Why      string `json:"why"`
}

// explain tells where a message is and how each group stands to it.
func explain(c *Call) error {
	id := c.Str("i")
	m, holders, err := c.locate(id)
	if err != nil {
		return err
	}
	s := story{message: m, State: stateOf(m)}
	topic := m.Topic
	if real := m.Props["REAL_TOPIC"]; real != "" && real != topic {
		topic = real
		if _, list, err := c.holders(topic); err == nil {
			holders = list
		}
	}
	groups := map[string]bool{}
	for _, h := range holders {
		list, err := h.broker.TopicConsumers(c.Ctx, topic)
		c.Failed(err)
		for _, g := range list {
			groups[g] = true
		}
	}
	for _, g := range sortedKeys(groups) {
		s.Groups = append(s.Groups, c.groupStory(m, g, holders))
		s.Copies = append(s.Copies, c.copies(m, g)...)
	}
	c.Only(s, "message   %s\n", m.ID)
	c.Say("where     topic %s, broker %s (%s), queue %d, position %d, log offset %d\n", m.Topic, m.Broker, m.StoreHost, m.Queue, m.Index, m.Offset)
	c.Say("when      sent %s by %s, stored %s\n", millis(m.Born), m.BornHost, millis(m.Stored))
	c.Say("what      %d bytes, tags %s, keys %s\n", len(m.raw), orNull(m.Props, "TAGS"), orNull(m.Props, "KEYS"))
	c.Say("state     %s\n", s.State)
	if len(s.Groups) == 0 {
		c.Say("groups    none: nobody subscribes to %s, and nobody has a position in it\n", topic)
	}
	for _, g := range s.Groups {
		c.Say("group     %s: %s: %s\n", g.Group, g.Verdict, g.Why)
	}
	for _, k := range s.Copies {
		c.Say("copy      topic %s, broker %s, queue %d, position %d, attempt %d, stored %s\n", k.Topic, k.Broker, k.Queue, k.Index, k.Reconsume, millis(k.Stored))
	}
	return nil
}

// stateOf says what kind of place a message is in.
func stateOf(m *message) string {
	real := m.Props["REAL_TOPIC"]
	switch {
	case m.Topic == "SCHEDULE_TOPIC_XXXX":
		return fmt.Sprintf("delayed with level %s, goes to %s", orNull(m.Props, "DELAY"), real)
	case m.Topic == "rmq_sys_wheel_timer":
		return "waits for its time, goes to " + real
	case m.Topic == "RMQ_SYS_TRANS_HALF_TOPIC":
		return "half message of a transaction, its producer has not decided or has; goes to " + real
	case strings.HasPrefix(m.Topic, retryPrefix):
		return fmt.Sprintf("attempt %d of group %s", m.Reconsume, strings.TrimPrefix(m.Topic, retryPrefix))
	case strings.HasPrefix(m.Topic, dlqPrefix):
		return "dead letter of group " + strings.TrimPrefix(m.Topic, dlqPrefix) + ": `replay -g` sends it again"
	}
	return "stored, may be consumed"
}

// locate finds a message by either kind of id.
func (c *Call) locate(id string) (*message, []target, error) {
	topic := c.Str("t")
	if len(id) == 32 || len(id) == 56 {
		if m, holders, err := c.locateAt(id); err == nil {
			return m, holders, nil
		}
	}
	topics := []string{topic}
	if topic == "" {
		var err error
		if topics, err = c.NameServer("").Topics(c.Ctx); err != nil {
			return nil, nil, err
		}
		slices.Sort(topics)
	}
	for _, t := range topics {
		list, holders, err := c.find(mq.KeyQuery{Topic: t, Key: id, Max: 32, End: math.MaxInt64, Unique: true}, "")
		if err != nil {
			if topic != "" {
				return nil, nil, err
			}
			continue // a topic that is just going
		}
		if len(list) > 0 {
			return list[0], holders, nil
		}
	}
	return nil, nil, fmt.Errorf("no message has the id %s: it was never stored, it has expired, or its broker is not reachable", id)
}

// locateAt reads a message at the place that its offset id names, if a broker of the cluster is there.
func (c *Call) locateAt(id string) (*message, []target, error) {
	sets, err := c.inCluster("")
	if err != nil {
		return nil, nil, err
	}
	var all []target
	for _, s := range sets {
		all = append(all, target{addr: s.Any(), set: s, broker: c.Broker(s.Any())})
	}
	m, err := c.byOffsetID(id, all)
	if err != nil {
		return nil, nil, err
	}
	if _, holders, err := c.holders(m.Topic); err == nil {
		return m, holders, nil
	}
	return m, all, nil
}

// groupStory says how one group stands to m, and why it has not consumed it.
func (c *Call) groupStory(m *message, group string, holders []target) groupStory {
	t := c.track(m, group, holders)
	g := groupStory{Group: group, Verdict: t.Type, Position: -1}
	h := named(holders, m.Broker)
	if h == nil {
		g.Why = "broker " + m.Broker + " has no queue of the topic now"
		return g
	}
	if st, err := h.broker.ConsumeStats(c.Ctx, group, m.Topic, nil); err == nil {
		for _, q := range st.Queues {
			if q.Queue.Topic == m.Topic && q.Queue.ID == m.Queue {
				g.Position = int64(q.Committed)
			}
		}
	}
	switch {
	case t.Error != "":
		g.Why = t.Error
	case t.Type == "CONSUMED":
		g.Why = fmt.Sprintf("its position in the queue is %d", g.Position)
	case t.Type == "CONSUMED_BUT_FILTERED":
		g.Why = fmt.Sprintf("passed over: tag %s is not what it subscribes to", orNull(m.Props, "TAGS"))
	case g.Position > m.Index:
		g.Why = fmt.Sprintf("nobody is there now; its position %d is behind the message: consumed or skipped before", g.Position)
	case t.Type == "NOT_ONLINE":
		g.Why = "no client of the group is connected"
		if g.Position >= 0 {
			g.Why += fmt.Sprintf("; its position is %d, %d messages before this one", g.Position, m.Index-g.Position)
		}
	case t.Type == "NOT_CONSUME_YET":
		g.Why = fmt.Sprintf("its position is %d, %d messages before this one: see `consumerStatus -g %s`", g.Position, m.Index-g.Position, group)
	default:
		g.Why = "such clients keep their positions themselves"
	}
	if cfg, _, err := h.broker.Groups(c.Ctx); err == nil {
		for i := range cfg {
			if cfg[i].Name == group && !cfg[i].ConsumeEnable {
				g.Why += "; consuming is switched off for the group (updateSubGroup -s true)"
			}
		}
	}
	return g
}

// copies are m's attempts and its dead letter of a group.
func (c *Call) copies(m *message, group string) []*message {
	key := m.Props["UNIQ_KEY"]
	var out []*message
	for _, t := range []string{retryPrefix + group, dlqPrefix + group} {
		_, holders, err := c.holders(t)
		if err != nil || key == "" {
			continue // most groups have no dead letters
		}
		for _, h := range holders {
			r, err := h.broker.QueryByKey(c.Ctx, &mq.KeyQuery{Topic: t, Key: key, Max: 32, End: math.MaxInt64, Unique: true})
			if err != nil {
				c.Failed(err)
				continue
			}
			list, err := decodeAll(h.set.Name, r.Records)
			c.Failed(err)
			for _, k := range list {
				if k.Props["UNIQ_KEY"] == key {
					out = append(out, k)
				}
			}
		}
	}
	return out
}
