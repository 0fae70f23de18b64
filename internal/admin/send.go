package admin

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func sendCommands() []Command {
	amount, size := opt("a", "amount", "messages, default 100").num(64), opt("s", "size", "bytes of a message, default 128").num(64)
	return []Command{
		{
			Name: "sendMessage", About: "Send a message", Changes: true, Run: sendMessage,
			Flags: []Flag{
				ofTopic, need("p", "body", "the body, as UTF-8"), opt("k", "key", "keys, with spaces"), opt("c", "tags", "tag"),
				opt("b", "broker", "to this broker name"), opt("i", "qid", "to this queue").num(32), opt("m", "msgTraceEnable", "not used"),
			},
		},
		{Name: "checkMsgSendRT", About: "How long sending to a topic takes", Changes: true, Flags: []Flag{ofTopic, amount, size}, Run: checkSend},
		{
			Name: "sendMsgStatus", About: "Send messages to a broker and show each answer", Changes: true, Run: sendStatus,
			Flags: []Flag{
				need("b", "brokerName", "broker name, which is a topic too"), opt("s", "messageSize", "bytes of a message, default 128").num(64),
				opt("c", "count", "messages, default 50").num(64),
			},
		},
		{
			Name: "clusterRT", About: "How long sending to each broker takes, again and again", Changes: true, Run: clusterRT,
			Flags: []Flag{
				amount, size, opt("c", "cluster", "only this cluster"), opt("p", "print log", "as lines with |, true or false (default)"),
				opt("m", "machine room", "name of the machine room, default noname"), opt("i", "interval", "seconds between rounds, default 10").num(64),
			},
		},
	}
}

// sender sends single messages with ids as Java clients make them.
type sender struct {
	c   *Call
	ids *record.UniqueIDs
}

func (c *Call) sender() *sender {
	return &sender{c, record.NewUniqueIDs(netip.AddrFrom4([4]byte{127, 0, 0, 1}), rand.IntN(1<<16))}
}

// sent is the outcome of one message.
type sent struct {
	Broker string `json:"broker"`
	Queue  int32  `json:"queueId"`
	Status string `json:"status"`
	ID     string `json:"msgId"`
	Index  int64  `json:"queueOffset"`
	MS     int64  `json:"ms"`

	offsetID string
}

func (s *sender) send(to *source, keys, tags string, body []byte) (sent, error) {
	now := s.c.env.Now()
	out := sent{Broker: to.set.Name, Queue: to.queue, ID: string(s.ids.Append(nil, now))}
	props := record.AppendProp(nil, "UNIQ_KEY", out.ID)
	props = record.AppendProp(props, "WAIT", "true")
	if keys != "" {
		props = record.AppendProp(props, "KEYS", keys)
	}
	if tags != "" {
		props = record.AppendProp(props, "TAGS", tags)
	}
	r, err := to.broker.Put(s.c.Ctx, &mq.SendRequest{Topic: to.topic, Group: "mqadmin_producer", QueueID: to.queue, Props: props, Body: body})
	out.MS = s.c.env.Now().Sub(now).Milliseconds()
	if err != nil {
		return out, err
	}
	out.Status, out.Index, out.offsetID = r.Status.String(), int64(r.Index), r.ID
	return out, nil
}

// writable are the queues of a topic that may be written, of one broker if name is not empty, on masters only.
func (c *Call) writable(topic, name string) ([]source, error) {
	route, holders, err := c.holders(topic)
	if err != nil {
		return nil, err
	}
	var out []source
	for _, h := range holders {
		for _, q := range route.Queues {
			for i := range q.Write {
				if q.Broker == h.set.Name && q.Perm.Writable() && h.set.Master() != "" && (name == "" || name == q.Broker) {
					out = append(out, source{h, topic, i})
				}
			}
		}
	}
	if out == nil {
		return nil, errors.New("topic " + topic + " has no queue that may be written")
	}
	return out, nil
}

func sendMessage(c *Call) error {
	queues, err := c.writable(c.Str("t"), c.Str("b"))
	if err != nil {
		return err
	}
	to := &queues[rand.IntN(len(queues))]
	if c.Has("i") {
		i := slices.IndexFunc(queues, func(s source) bool { return s.queue == c.Int32("i", 0) })
		if i < 0 {
			return fmt.Errorf("topic %s has no queue %d that may be written", c.Str("t"), c.Int32("i", 0))
		}
		to = &queues[i]
	}
	const row = "%-32s  %-4v  %-20s    %s\n"
	c.Change(func() error {
		r, err := c.sender().send(to, c.Str("k"), c.Str("c"), []byte(c.Str("p")))
		if err != nil {
			return err
		}
		c.Say(row, "#Broker Name", "#QID", "#Send Result", "#MsgId")
		c.Only(r, row, r.Broker, r.Queue, r.Status, r.ID)
		return nil
	}, "send %d bytes to %s", len(c.Str("p")), to.text())
	return nil
}

// filler is a body of n bytes.
func filler(n int64) ([]byte, error) {
	if n <= 0 || n > maxBody {
		return nil, usage("size %d: want 1 to %d", n, maxBody)
	}
	return bytes.Repeat([]byte("a"), int(n)), nil
}

func checkSend(c *Call) error {
	body, err := filler(c.Int("s", 128))
	if err != nil {
		return err
	}
	queues, err := c.writable(c.Str("t"), "")
	if err != nil {
		return err
	}
	if c.Has("dry-run") {
		c.Change(nil, "send %d messages to %s", c.Int("a", 100), c.Str("t"))
		return nil
	}
	const row = "%-32s  %-4v  %-20v    %v\n"
	c.Say(row, "#Broker Name", "#QID", "#Send Result", "#RT")
	s := c.sender()
	var total, n int64
	for i := range c.Int("a", 100) {
		r, bad := s.send(&queues[int(i)%len(queues)], "", "", body)
		if i > 0 { // the first opens the connection
			total, n = total+r.MS, n+1
		}
		c.Row(r, row, r.Broker, r.Queue, bad == nil, r.MS)
		c.Failed(bad)
		if err = c.Ctx.Err(); err != nil {
			return err
		}
	}
	c.Say("Avg RT: %.2f\n", float64(total)/float64(max(n, 1)))
	return nil
}

func sendStatus(c *Call) error {
	body, err := filler(c.Int("s", 128))
	if err != nil {
		return err
	}
	topic := c.Str("b")
	name := topic
	if i := strings.LastIndexByte(topic, '_'); i >= 0 {
		name = topic[i+1:]
	}
	queues, err := c.writable(topic, "")
	if err != nil {
		return err
	}
	if c.Has("dry-run") {
		c.Change(nil, "send %d messages to %s", c.Int("c", 50), name)
		return nil
	}
	s := c.sender()
	for range c.Int("c", 50) {
		r, err := s.send(&queues[0], "", "", body)
		if err != nil {
			c.Failed(err)
			continue
		}
		c.Row(r, "rt=%dms, SendResult=SendResult [sendStatus=%s, msgId=%s, offsetMsgId=%s, messageQueue=%s, queueOffset=%d, recallHandle=null]\n",
			r.MS, r.Status, r.ID, r.offsetID, queues[0].text(), r.Index)
	}
	return nil
}

func clusterRT(c *Call) error {
	body, err := filler(c.Int("s", 128))
	if err != nil {
		return err
	}
	every := time.Duration(max(c.Int("i", 10), 1)) * time.Second
	sets, err := c.inCluster(c.Str("c"))
	if err != nil {
		return err
	}
	if c.Has("dry-run") {
		c.Change(nil, "send %d messages to each of %d brokers every %s", c.Int("a", 100), len(sets), every)
		return nil
	}
	c.streams = true
	asLog := c.Bool("p", false)
	if !asLog {
		c.Say("%-24s  %-24s  %-4s  %-8s  %-8s\n", "#Cluster Name", "#Broker Name", "#RT", "#successCount", "#failCount")
	}
	s := c.sender()
	for {
		for _, set := range sets {
			queues, err := c.writable(set.Cluster, set.Name) // every broker has a topic of its cluster's name
			if err != nil {
				return err
			}
			var ok, failed, total int64
			var last error
			for range c.Int("a", 100) {
				r, bad := s.send(&queues[0], "", "", body)
				total += r.MS
				if bad != nil {
					failed, last = failed+1, bad
					continue
				}
				ok++
			}
			rt := float64(total) / float64(max(ok+failed, 1))
			v := map[string]any{"cluster": set.Cluster, "broker": set.Name, "ms": rt, "ok": ok, "failed": failed}
			if asLog && c.Table() {
				err = c.Stream(v, "%s|%s|%s|%s|%.2f\n", c.env.Now().Format("2006-01-02 15:04:05"), c.StrOr("m", "noname"), set.Cluster, set.Name, rt)
			} else {
				err = c.Stream(v, "%-24s  %-24s  %-8s  %-16d  %-16d\n", set.Cluster, set.Name, fmt.Sprintf("%.2f", rt), ok, failed)
			}
			if err != nil {
				return err
			}
			if last != nil {
				fmt.Fprintf(c.env.Err, "%s: %v\n", set.Name, last)
			}
		}
		select {
		case <-c.Ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}
