package admin

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func queryCommands() []Command {
	via := opt("c", "cluster", "topic whose route is used, for light queues")
	begin, end := opt("b", "beginTimestamp", "from this time: ms or yyyy-MM-dd#HH:mm:ss:SSS"), opt("e", "endTimestamp", "to this time")
	return []Command{
		{
			Name: "queryMsgById", About: "A message by its offset id", Run: queryByID,
			Flags: []Flag{
				ofTopic, need("i", "msgId", "offset message ids, with commas"), opt("g", "consumerGroup", "with -d: have this group consume it"),
				opt("d", "clientId", "have this client consume it now"), opt("s", "sendMessage", "send it again, true or false"),
				opt("u", "unitName", "not used"), opt("f", "bodyFormat", "charset of the body; bodies are shown as UTF-8 or base64"), via,
			},
		},
		{
			Name: "queryMsgByKey", About: "Messages by key", Run: queryByKey,
			Flags: []Flag{
				ofTopic, need("k", "msgKey", "key"), opt("b", "beginTimestamp", "from this time, ms").num(64),
				opt("e", "endTimestamp", "to this time, ms").num(64), opt("m", "maxNum", "at most so many, default 64").num(32), via,
				opt("p", "keyType", "K for keys"), opt("l", "lastKey", "not used"),
			},
		},
		{
			Name: "queryMsgByUniqueKey", About: "Messages by the client's message id", Run: queryByUniqueKey,
			Flags: []Flag{
				need("i", "msgId", "message id"), opt("g", "consumerGroup", "with -d: have this group consume it"),
				opt("d", "clientId", "have this client consume it now"), ofTopic, flag("a", "showAll", "all of them"), via,
				opt("s", "startTime", "from this time, ms").num(64), opt("e", "endTime", "to this time, ms").num(64),
			},
		},
		{
			Name: "queryMsgByOffset", About: "A message by its position in a queue", Run: queryByOffset,
			Flags: []Flag{
				ofTopic, need("b", "brokerName", "broker name"), need("i", "queueId", "queue").num(32), need("o", "offset", "position").num(64),
				opt("f", "bodyFormat", "charset of the body; bodies are shown as UTF-8 or base64"), opt("r", "routeTopic", "topic whose route is used"),
			},
		},
		{
			Name: "printMsg", About: "Print the messages of a topic", Run: printMsg,
			Flags: []Flag{
				ofTopic, opt("c", "charsetName", "charset of bodies; they are shown as UTF-8"), opt("s", "subExpression", "tags, such as A || B"), begin, end,
				opt("d", "printBody", "with the bodies, true (default) or false"), opt("l", "lmqParentTopic", "topic whose route is used"),
			},
		},
		{
			Name: "printMsgByQueue", About: "Print the messages of a queue", Run: printMsgByQueue,
			Flags: []Flag{
				ofTopic, need("a", "brokerName", "broker name"), need("i", "queueId", "queue").num(32), opt("c", "charsetName", "charset of bodies"),
				opt("s", "subExpression", "tags, such as A || B"), begin, end, opt("p", "print msg", "print messages, true or false (default)"),
				opt("d", "printBody", "with the bodies, true or false (default)"), opt("f", "calculate", "count by tag, true or false (default)"),
			},
		},
		{
			Name: "consumeMessage", About: "Print messages, without positions of a group", Run: consumeMessage,
			Flags: []Flag{
				ofTopic, opt("b", "brokerName", "broker name"), opt("i", "queueId", "queue").num(32), opt("o", "offset", "position to begin at").num(64),
				opt("g", "consumerGroup", "not used: no positions are stored"), opt("s", "beginTimestamp", "from this time"), end,
				opt("c", "MessageNumber", "at most so many, default 128").num(64),
			},
		},
		{
			Name: "queryCq", About: "Entries of a consume queue", Run: queryCq,
			Flags: []Flag{
				ofTopic, need("q", "queue", "queue").num(32), need("i", "index", "position").num(64), opt("c", "count", "how many, default 10").num(32),
				opt("b", "broker", "the broker's address"), opt("g", "consumer", "consumer group"),
			},
		},
	}
}

// storer is the broker that a message is at, by its name.
func named(holders []target, name string) *target {
	for i := range holders {
		if holders[i].set.Name == name {
			return &holders[i]
		}
	}
	return nil
}

// show prints one message with how its groups stand to it, or hands it on to a client with -d.
func (c *Call) show(m *message, holders []target, withID bool) error {
	if c.Has("g") && c.Has("d") {
		h := named(holders, m.Broker)
		if h == nil {
			return errors.New("no broker " + m.Broker)
		}
		a, err := h.broker.HaveConsumed(c.Ctx, &mq.DirectRequest{Group: c.Str("g"), ClientID: c.Str("d"), MessageID: m.OffsetID, Topic: m.Topic, Broker: m.Broker})
		if err != nil {
			return err
		}
		c.Row(map[string]any{"code": a.Code, "remark": a.Remark, "answer": string(a.Body)}, "%s\n", a.Body)
		return nil
	}
	list, err := c.tracks(m, holders)
	c.Row(shown{m, list}, "")
	c.detail(m, withID)
	c.sayTracks(list)
	return err
}

func queryByID(c *Call) error {
	topic := c.Str("t")
	_, holders, err := c.holders(c.StrOr("c", topic))
	if err != nil {
		return err
	}
	for id := range strings.SplitSeq(c.Str("i"), ",") {
		m, err := c.byOffsetID(strings.TrimSpace(id), holders)
		if err != nil {
			c.Failed(err)
			continue
		}
		if c.Bool("s", false) {
			c.Failed(c.sendAgain(m, holders))
			continue
		}
		c.Failed(c.show(m, holders, true))
	}
	return nil
}

// byOffsetID reads a message where its id says that it is.
func (c *Call) byOffsetID(id string, holders []target) (*message, error) {
	host, at, err := record.ParseOffsetID(id)
	if err != nil {
		return nil, usage("message id %s: %v", id, err)
	}
	rec, err := c.Broker(host.String()).MessageAt(c.Ctx, at, nil)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, h := range holders {
		for _, addr := range h.set.Addrs {
			if addr == host.String() {
				name = h.set.Name
			}
		}
	}
	m, _, err := decode(name, rec)
	return m, err
}

// sendAgain stores a message once more, under the id and with the properties it had.
func (c *Call) sendAgain(m *message, holders []target) error {
	h := named(holders, m.Broker)
	if h == nil {
		return errors.New("no broker of the topic has the message")
	}
	s, err := h.broker.Put(c.Ctx, &mq.SendRequest{Topic: m.Topic, Group: "ReSendMsgById", QueueID: m.Queue, Flag: m.Flag, Props: clientProps(m.Props), Body: m.raw})
	if err != nil {
		return err
	}
	c.Row(map[string]any{"msgId": m.ID, "status": s.Status.String(), "queueOffset": s.Index}, "prepare resend msg. originalMsgId=%s\n%s offsetMsgId=%s queueId=%d queueOffset=%d\n",
		m.OffsetID, s.Status, s.ID, s.QueueID, s.Index)
	return nil
}

// clientProps are the properties that a client may send: without those that brokers add.
func clientProps(m map[string]string) []byte {
	var b []byte
	for k, v := range m {
		switch k {
		case "CLUSTER", "MSG_REGION", "TRACE_ON", "REAL_TOPIC", "REAL_QID", "DELAY", "MIN_OFFSET", "MAX_OFFSET", "PROP_CRC32":
			continue
		}
		b = record.AppendProp(b, k, v)
	}
	return b
}

// find asks all brokers of a topic for a key. Brokers answer by hash: what has another key is left out.
func (c *Call) find(q mq.KeyQuery, via string) ([]*message, []target, error) {
	if via == "" {
		via = q.Topic
	}
	_, holders, err := c.holders(via)
	if err != nil {
		return nil, nil, err
	}
	var out []*message
	for _, h := range holders {
		r, err := h.broker.QueryByKey(c.Ctx, &q)
		if err != nil {
			c.Failed(err)
			continue
		}
		list, err := decodeAll(h.set.Name, r.Records)
		if err != nil {
			c.Failed(fmt.Errorf("messages of %s: %w", h.addr, err))
		}
		for _, m := range list {
			has := m.Props["UNIQ_KEY"] == q.Key
			if !q.Unique {
				has = slices.Contains(strings.Fields(m.Props["KEYS"]), q.Key)
			}
			if has && m.Topic == q.Topic {
				out = append(out, m)
			}
		}
	}
	slices.SortFunc(out, func(a, b *message) int { return int(a.Stored - b.Stored) })
	return out, holders, nil
}

func queryByKey(c *Call) error {
	list, _, err := c.find(mq.KeyQuery{
		Topic: c.Str("t"), Key: c.Str("k"), Max: int(c.Int32("m", 64)), Begin: c.Int("b", 0), End: c.Int("e", math.MaxInt64),
	}, c.Str("c"))
	if err != nil {
		return err
	}
	c.Say("%-50s %4s %40s %-200s\n", "#Message ID", "#QID", "#Offset", "#IndexKey")
	for _, m := range list {
		// The key under which Java's index in RocksDB has it: hour, topic, kind, key, id, place in the log.
		hour := m.Stored - m.Stored%int64(time.Hour/time.Millisecond)
		c.Row(m, "%-50s %4d %40d %-200s\n", m.ID, m.Queue, m.Index, fmt.Sprintf("%d@%s@K@%s@%s@%d", hour, m.Topic, c.Str("k"), m.ID, m.Offset))
	}
	if len(list) == 0 && len(c.errs) == 0 {
		return fmt.Errorf("no message of topic %s has key %s", c.Str("t"), c.Str("k"))
	}
	return nil
}

func queryByUniqueKey(c *Call) error {
	list, holders, err := c.find(mq.KeyQuery{
		Topic: c.Str("t"), Key: c.Str("i"), Max: 32, Begin: c.Int("s", 0), End: c.Int("e", math.MaxInt64), Unique: true,
	}, c.Str("c"))
	if err != nil {
		return err
	}
	if len(list) == 0 && len(c.errs) == 0 {
		return fmt.Errorf("no message of topic %s has the id %s", c.Str("t"), c.Str("i"))
	}
	if !c.Has("a") && len(list) > 1 {
		list = list[:1]
	}
	for _, m := range list {
		c.Failed(c.show(m, holders, false))
	}
	return nil
}

func queryByOffset(c *Call) error {
	topic := c.Str("t")
	_, holders, err := c.holders(c.StrOr("r", topic))
	if err != nil {
		return err
	}
	h := named(holders, c.Str("b"))
	if h == nil {
		return fmt.Errorf("broker %s does not have topic %s", c.Str("b"), topic)
	}
	s := source{*h, topic, c.Int32("i", 0)}
	at := mq.Index(c.Int("o", 0))
	var found *message
	_, status, err := s.read(c.Ctx, "*", at, at+1, func(m *message) error {
		found = m
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if found == nil || found.Index != int64(at) {
		return fmt.Errorf("%s has no message at %d: %s", s.text(), at, status)
	}
	return c.show(found, holders, true)
}

// enough ends reading when nothing more is wanted.
func enough(left int64) error {
	if left == 0 {
		return errEnough
	}
	return nil
}

// span reads the time flags of commands that read messages: begin is the name of the one, -e is the other.
func (c *Call) span(begin string) (from, to int64, err error) {
	if from, err = c.when(begin); err != nil {
		return 0, 0, err
	}
	to, err = c.when("e")
	if err == nil && from >= 0 && to >= 0 && from > to {
		err = usage("%s: the begin is after the end", c.cmd.Name)
	}
	return from, to, err
}

// stream prints a message at once.
func (c *Call) stream(m *message, withBody bool) error {
	body := "NOT PRINT BODY"
	if withBody {
		body = m.Body
	}
	if !c.Table() {
		return c.Stream(m, "")
	}
	return c.Stream(m, "MSGID: %s %s BODY: %s\n", m.ID, m.line(), body)
}

func printMsg(c *Call) error {
	from, to, err := c.span("b")
	if err != nil {
		return err
	}
	list, err := c.sources(c.Str("t"), c.Str("l"))
	if err != nil {
		return err
	}
	c.streams = true
	for i := range list {
		s := &list[i]
		lo, hi, err := s.bounds(c.Ctx, from, to)
		if err != nil {
			c.Failed(err)
			continue
		}
		c.Say("minOffset=%d, maxOffset=%d, %s\n", lo, hi, s.text())
		if _, _, err := s.read(c.Ctx, c.StrOr("s", "*"), lo, hi, func(m *message) error { return c.stream(m, c.Bool("d", true)) }); err != nil {
			c.Failed(err)
		}
		c.Say("--------------------------------------------------------\n")
	}
	return nil
}

func printMsgByQueue(c *Call) error {
	from, to, err := c.span("b")
	if err != nil {
		return err
	}
	_, holders, err := c.holders(c.Str("t"))
	if err != nil {
		return err
	}
	h := named(holders, c.Str("a"))
	if h == nil {
		return fmt.Errorf("broker %s does not have topic %s", c.Str("a"), c.Str("t"))
	}
	s := source{*h, c.Str("t"), c.Int32("i", 0)}
	lo, hi, err := s.bounds(c.Ctx, from, to)
	if err != nil {
		return err
	}
	c.streams = true
	tags := map[string]int{}
	_, _, err = s.read(c.Ctx, c.StrOr("s", "*"), lo, hi, func(m *message) error {
		if tag := m.Props["TAGS"]; tag != "" {
			tags[tag]++
		}
		if !c.Bool("p", false) {
			return nil
		}
		return c.stream(m, c.Bool("d", false))
	})
	if c.Bool("f", false) {
		var names []string
		for t := range tags {
			names = append(names, t)
		}
		slices.SortFunc(names, func(a, b string) int { return tags[b] - tags[a] })
		for _, t := range names {
			if e := c.Stream(map[string]any{"tag": t, "count": tags[t]}, "Tag: %-30s Count: %d\n", t, tags[t]); e != nil {
				return e
			}
		}
	}
	return err
}

func consumeMessage(c *Call) error {
	if c.Has("i") && !c.Has("b") {
		return usage("Please set the brokerName before queueId!")
	}
	if c.Has("o") && !c.Has("i") {
		return usage("Please set queueId before offset!")
	}
	left := c.Int("c", 128)
	if left <= 0 {
		return usage("Please input a positive messageNumber!")
	}
	from, to, err := c.span("s")
	if err != nil {
		return err
	}
	list, err := c.sources(c.Str("t"), "")
	if err != nil {
		return err
	}
	c.streams = true
	for i := range list {
		s := &list[i]
		if b := c.Str("b"); b != "" && b != s.set.Name || c.Has("i") && s.queue != c.Int32("i", 0) {
			continue
		}
		lo, hi, err := s.bounds(c.Ctx, from, to)
		if err != nil {
			c.Failed(err)
			continue
		}
		if c.Has("o") {
			lo = mq.Index(c.Int("o", 0))
		}
		any := false
		at, status, err := s.read(c.Ctx, "*", lo, hi, func(m *message) error {
			if !any {
				c.Say("Consume ok\n")
				any = true
			}
			left--
			return cmp.Or(c.stream(m, true), enough(left))
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			c.Failed(err)
			continue
		}
		name := "NO_NEW_MSG"
		if status == mq.FetchNoMatchedMessage || status == mq.FetchOffsetTooSmall {
			name = status.String()
		}
		c.Say("%s print msg finished. status=%s, offset=%d\n", s.text(), name, at)
	}
	return nil
}

func queryCq(c *Call) error {
	topic := c.Str("t")
	addr := c.Str("b")
	if addr == "" {
		_, holders, err := c.holders(topic)
		if err != nil {
			return err
		}
		addr = holders[0].addr
	}
	u, err := c.Broker(addr).QueueUnits(c.Ctx, c.Str("g"), topic, c.Int32("q", 0), mq.Index(c.Int("i", 0)), c.Int32("c", 10))
	if err != nil {
		return err
	}
	const rule = "======================================\n"
	if u.Subscription != nil {
		c.Say("Subscription data: \n%s %s\n%s", u.Subscription.Topic, u.Subscription.Expression, rule)
	}
	if u.FilterText != "" {
		c.Say("Filter data: \n%s\n%s", u.FilterText, rule)
	}
	c.Say("Queue data: \nmax: %d, min: %d\n%s", u.Max, u.Min, rule)
	for i, e := range u.Units {
		at := c.Int("i", 0) + int64(i)
		c.Row(map[string]int64{"index": at, "physicOffset": int64(e.At), "physicSize": int64(e.Size), "tagsCode": e.TagsCode},
			"idx: %d\nConsumeQueueData{physicOffset=%d, physicSize=%d, tagsCode=%d, extendDataJson='null', bitMap='null', eval=false, msg='null'}\n%s",
			at, e.At, e.Size, e.TagsCode, rule)
	}
	return nil
}
