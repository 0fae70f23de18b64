package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// groupHolders are the brokers that know a group: those of its retry topic, or all of them when it has none.
func (c *Call) groupHolders(group string) ([]target, error) {
	_, list, err := c.holders(retryPrefix + group)
	return list, err
}

// groupProgress asks all brokers of a group and joins what they say. It is empty when nobody has positions.
func (c *Call) groupProgress(group, topic string, holders []target) (rows []progressRow, tps float64) {
	for _, h := range holders {
		st, err := h.broker.ConsumeStats(c.Ctx, group, topic, nil)
		if err != nil {
			c.Failed(err)
			continue
		}
		tps += st.TPS
		rows = append(rows, c.progress(group, st.Queues)...)
	}
	slices.SortFunc(rows, func(a, b progressRow) int {
		return compareQueues(a.Topic, b.Topic, a.Broker, b.Broker, a.Queue, b.Queue)
	})
	return rows, tps
}

func consumerProgress(c *Call) error {
	if !c.Has("g") {
		return allProgress(c)
	}
	group := c.Str("g")
	var holders []target
	var err error
	if via := c.Str("c"); via != "" {
		_, holders, err = c.holders(via)
	} else {
		holders, err = c.groupHolders(group)
	}
	if err != nil {
		return err
	}
	rows, tps := c.groupProgress(group, c.Str("t"), holders)
	if rows == nil {
		if len(c.errs) > 0 {
			return nil
		}
		return errors.New("Not found the consumer group consume stats, because return offset table is empty, maybe the consumer not online") //nolint:staticcheck // Java's text
	}
	clients := c.Bool("s", false) || c.Wide()
	if clients {
		c.queueOwners(group, holders, rows)
		c.Say("%-64s  %-32s  %-4s  %-20s  %-20s  %-20s %-20s %-20s%s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset",
			"#Client IP", "#Diff", "#Inflight", "#LastTime")
	} else {
		c.Say("%-64s  %-32s  %-4s  %-20s  %-20s  %-20s %-20s%s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", "#Diff",
			"#Inflight", "#LastTime")
	}
	var diff, inflight int64
	for i := range rows {
		r := &rows[i]
		diff, inflight = diff+r.Diff, inflight+r.Inflight
		if clients {
			c.Row(r, "%-64s  %-32s  %-4d  %-20d  %-20d  %-20s %-20d %-20d %s\n", cut(r.Topic, 64), cut(r.Broker, 32), r.Queue, r.End, r.Committed,
				cmp.Or(r.Client, "N/A"), r.Diff, r.Inflight, r.last())
		} else {
			c.Row(r, "%-64s  %-32s  %-4d  %-20d  %-20d  %-20d %-20d %s\n", cut(r.Topic, 64), cut(r.Broker, 32), r.Queue, r.End, r.Committed, r.Diff,
				r.Inflight, r.last())
		}
	}
	c.Say("\nConsume TPS: %.2f\nConsume Diff Total: %d\nConsume Inflight Total: %d\n", tps, diff, inflight)
	return nil
}

// queueOwners fills in which client has which queue, as far as the clients say it.
func (c *Call) queueOwners(group string, holders []target, rows []progressRow) {
	for _, h := range holders {
		g, err := h.broker.Consumers(c.Ctx, group)
		if err != nil {
			continue // nobody is there: the column says N/A
		}
		for _, conn := range g.Connections {
			a, err := h.broker.Ask(c.Ctx, &mq.RunningInfoRequest{Group: group, ClientID: conn.ClientID})
			if err != nil {
				continue
			}
			for _, q := range ownedQueues(a.Body) {
				for i := range rows {
					if rows[i].Topic == q.Topic && rows[i].Broker == q.Broker && rows[i].Queue == q.ID {
						rows[i].Client, _, _ = strings.Cut(conn.ClientID, "@")
					}
				}
			}
		}
	}
}

// clientQueue is a queue as a client has it, with what Java's ProcessQueueInfo says of it.
type clientQueue struct {
	mq.Queue
	Locked      bool  `json:"locked"`
	Dropped     bool  `json:"droped"` // Java's spelling
	TryUnlock   int64 `json:"tryUnlockTimes"`
	LastLock    int64 `json:"lastLockTimestamp"` // ms
	LastConsume int64 `json:"lastConsumeTimestamp"`
	Cached      int64 `json:"cachedMsgCount"`
}

func (q *clientQueue) name() string {
	return fmt.Sprintf("MessageQueue [topic=%s, brokerName=%s, queueId=%d]", q.Topic, q.Broker, q.ID)
}

// ownedQueues reads the queues of a client's running information.
func ownedQueues(body []byte) []mq.Queue {
	var out []mq.Queue
	for _, table := range []string{`"mqTable":{`, `"mqPopTable":{`} {
		for _, q := range clientQueues(body, table) {
			out = append(out, q.Queue)
		}
	}
	return out
}

// clientQueues reads a table of a client's running information: its keys are objects, which fastjson writes without quotes.
func clientQueues(body []byte, table string) []clientQueue {
	var out []clientQueue
	_, rest, ok := strings.Cut(string(body), table)
	for ok && strings.HasPrefix(rest, `{"`) {
		var key struct {
			Broker string `json:"brokerName"`
			ID     int32  `json:"queueId"`
			Topic  string `json:"topic"`
		}
		d := json.NewDecoder(strings.NewReader(rest))
		if d.Decode(&key) != nil {
			break
		}
		q := clientQueue{Queue: mq.Queue{Topic: key.Topic, Broker: key.Broker, ID: key.ID}}
		rest = strings.TrimPrefix(rest[d.InputOffset():], ":")
		d = json.NewDecoder(strings.NewReader(rest))
		if d.Decode(&q) != nil {
			return append(out, q)
		}
		out = append(out, q)
		rest = strings.TrimPrefix(rest[d.InputOffset():], ",")
	}
	return out
}

// groupRow is one line of consumerProgress without -g.
type groupRow struct {
	Group   string `json:"group"`
	Count   int    `json:"count"`
	Version string `json:"version"`
	Type    string `json:"type"`
	Model   string `json:"model"`
	TPS     int64  `json:"tps"`
	Diff    int64  `json:"diff"`
}

// describe fills in who consumes: nobody is no error.
func (r *groupRow) describe(g *mq.ConsumerGroup) {
	r.Version = "OFFLINE"
	if r.Count = len(g.Connections); r.Count == 0 {
		return
	}
	low := g.Connections[0].Version
	for _, conn := range g.Connections {
		low = min(low, conn.Version)
	}
	r.Version, r.Type = mq.VersionName(low), "PUSH"
	if g.Type == mq.ConsumeActively {
		r.Type = "PULL"
	}
	if g.Type == mq.ConsumePassively {
		r.Model = model(g)
	}
}

func model(g *mq.ConsumerGroup) string {
	if g.Broadcast {
		return "BROADCASTING"
	}
	return "CLUSTERING"
}

func allProgress(c *Call) error {
	topics, err := c.NameServer("").Topics(c.Ctx)
	if err != nil {
		return err
	}
	slices.Sort(topics)
	c.Say("%-64s  %-6s  %-24s %-5s  %-14s  %-7s  %s\n", "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS", "#Diff Total")
	for i, t := range topics {
		c.working("topics", i, len(topics))
		group, ok := strings.CutPrefix(t, retryPrefix)
		if !ok {
			continue
		}
		holders, err := c.groupHolders(group)
		if err != nil {
			c.Failed(err)
			continue
		}
		rows, tps := c.groupProgress(group, "", holders)
		r := groupRow{Group: group, TPS: int64(tps)}
		for k := range rows {
			r.Diff += rows[k].Diff
		}
		g, err := holders[0].broker.Consumers(c.Ctx, group)
		if err != nil && mq.KindOf(err) != mq.KindConsumerNotOnline {
			c.Failed(err)
		}
		r.describe(&g)
		c.Row(r, "%-64s  %-6d  %-24s %-5s  %-14s  %-7d  %d\n", cut(group, 64), r.Count, r.Version, r.Type, r.Model, r.TPS, r.Diff)
	}
	return nil
}
