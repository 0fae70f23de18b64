package admin

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// message is a stored message as commands show it.
type message struct {
	ID        string            `json:"msgId"` // the client's unique key, else OffsetID
	OffsetID  string            `json:"offsetMsgId"`
	Topic     string            `json:"topic"`
	Broker    string            `json:"broker"`
	Queue     int32             `json:"queueId"`
	Index     int64             `json:"queueOffset"`
	Offset    int64             `json:"commitLogOffset"`
	Reconsume int32             `json:"reconsumeTimes"`
	Born      int64             `json:"bornMs"`
	Stored    int64             `json:"storeMs"`
	BornHost  string            `json:"bornHost"`
	StoreHost string            `json:"storeHost"`
	SysFlag   int32             `json:"sysFlag"`
	Flag      int32             `json:"flag"`
	Props     map[string]string `json:"properties"`
	Body      string            `json:"body,omitempty"`
	Base64    string            `json:"bodyBase64,omitempty"` // of a body that is no text

	raw      []byte // the body, decompressed where that is possible
	packed   bool   // it was not possible
	size     int
	crc      uint32
	prepared int64
}

// maxBody bounds a body that is decompressed.
const maxBody = 64 << 20

// decode reads a stored record.
func decode(broker string, rec []byte) (*message, int, error) {
	var m record.Message
	n, err := record.Decode(rec, &m, true)
	if err != nil {
		return nil, 0, err
	}
	out := &message{
		OffsetID: string(record.AppendOffsetID(nil, m.StoreHost, m.Offset)), Topic: string(m.Topic), Broker: broker, Queue: m.QueueID,
		Index: int64(m.Index), Offset: int64(m.Offset), Reconsume: m.Reconsume, Born: m.BornTime, Stored: m.StoreTime,
		BornHost: m.BornHost.String(), StoreHost: m.StoreHost.String(), SysFlag: m.SysFlag, Flag: m.Flag, Props: map[string]string{},
		raw: m.Body, size: n, crc: m.BodyCRC, prepared: int64(m.PreparedOffset),
	}
	m.Props.ForEach(func(k, v []byte) bool {
		out.Props[string(k)] = string(v)
		return true
	})
	out.ID = out.Props["UNIQ_KEY"]
	if out.ID == "" {
		out.ID = out.OffsetID
	}
	if m.SysFlag&record.SysFlagCompressed != 0 {
		out.packed = true
		if kind := m.SysFlag & record.SysFlagCompressionMask; kind == 0 || kind == record.SysFlagZLIB {
			if z, err := zlib.NewReader(bytes.NewReader(m.Body)); err == nil {
				if b, err := io.ReadAll(io.LimitReader(z, maxBody)); err == nil && len(b) < maxBody {
					out.raw, out.packed = b, false
				}
			}
		}
	}
	if utf8.Valid(out.raw) {
		out.Body = string(out.raw)
	} else {
		out.Base64 = base64.StdEncoding.EncodeToString(out.raw)
	}
	return out, n, nil
}

// decodeAll reads records back to back.
func decodeAll(broker string, rec []byte) ([]*message, error) {
	var out []*message
	for len(rec) > 0 {
		m, n, err := decode(broker, rec)
		if err != nil {
			return out, err
		}
		out, rec = append(out, m), rec[n:]
	}
	return out, nil
}

// line is Java's MessageExt.toString.
func (m *message) line() string {
	body := make([]string, len(m.raw))
	for i, b := range m.raw {
		body[i] = strconv.Itoa(int(int8(b)))
	}
	return m.text(m.Broker, "["+strings.Join(body, ", ")+"]")
}

// text is line with another broker and body.
func (m *message) text(broker, body string) string {
	return fmt.Sprintf("MessageExt [brokerName=%s, queueId=%d, storeSize=%d, queueOffset=%d, sysFlag=%d, bornTimestamp=%d, bornHost=/%s, "+
		"storeTimestamp=%d, storeHost=/%s, msgId=%s, commitLogOffset=%d, bodyCRC=%d, reconsumeTimes=%d, preparedTransactionOffset=%d, "+
		"toString()=Message{topic='%s', flag=%d, properties=%s, body=%s, transactionId='null'}]",
		broker, m.Queue, m.size, m.Index, m.SysFlag, m.Born, m.BornHost, m.Stored, m.StoreHost, m.OffsetID, m.Offset, m.crc, m.Reconsume,
		m.prepared, m.Topic, m.Flag, mapText(m.Props), body)
}

// detail prints a message as mqadmin's queries do.
//
// Differs from Java: mqadmin writes the body to a file in the temporary directory and prints its path; the body is printed here.
func (c *Call) detail(m *message, withID bool) {
	if !c.Table() {
		return
	}
	if withID {
		c.Say("%-20s %s\n", "OffsetID:", m.OffsetID)
	}
	c.Say("%-20s %s\n%-20s [%s]\n%-20s [%s]\n", "Topic:", m.Topic, "Tags:", orNull(m.Props, "TAGS"), "Keys:", orNull(m.Props, "KEYS"))
	c.Say("%-20s %d\n%-20s %d\n%-20s %d\n%-20s %d\n", "Queue ID:", m.Queue, "Queue Offset:", m.Index, "CommitLog Offset:", m.Offset, "Reconsume Times:",
		m.Reconsume)
	c.Say("%-20s %s\n%-20s %s\n%-20s %s\n%-20s %s\n", "Born Timestamp:", millis(m.Born), "Store Timestamp:", millis(m.Stored), "Born Host:", m.BornHost,
		"Store Host:", m.StoreHost)
	c.Say("%-20s %d\n%-20s %s\n", "System Flag:", m.SysFlag, "Properties:", mapText(m.Props))
	if m.Base64 != "" {
		c.Say("%-20s %d bytes, base64 %s\n", "Message Body:", len(m.raw), m.Base64)
	} else {
		c.Say("%-20s %s\n", "Message Body:", m.Body)
	}
}

func orNull(m map[string]string, k string) string {
	if v, ok := m[k]; ok {
		return v
	}
	return "null"
}

// track is how one group stands to a message.
type track struct {
	Group string `json:"consumerGroup"`
	Type  string `json:"trackType"`
	Error string `json:"exception,omitempty"`
}

// tracks tells for every group of a message's topic whether it has consumed it, as Java's messageTrackDetail does.
func (c *Call) tracks(m *message, holders []target) ([]track, error) {
	groups := map[string]bool{}
	errs := make([]error, 0, len(holders))
	for _, h := range holders {
		list, err := h.broker.TopicConsumers(c.Ctx, m.Topic)
		errs = append(errs, err)
		for _, g := range list {
			groups[g] = true
		}
	}
	out := make([]track, 0, len(groups))
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, c.track(m, g, holders))
	}
	return out, errors.Join(errs...)
}

func (c *Call) track(m *message, group string, holders []target) track {
	t := track{Group: group, Type: "UNKNOWN"}
	i := slices.IndexFunc(holders, func(h target) bool { return h.set.Name == m.Broker })
	if i < 0 {
		return t
	}
	g, err := holders[i].broker.Consumers(c.Ctx, group)
	if mq.KindOf(err) == mq.KindConsumerNotOnline {
		t.Type = "NOT_ONLINE"
		return t
	}
	if err != nil {
		t.Error = err.Error()
		return t
	}
	switch {
	case g.Type == mq.ConsumeActively:
		t.Type = "PULL"
		return t
	case g.Broadcast:
		t.Type = "CONSUME_BROADCASTING"
		return t
	}
	st, err := holders[i].broker.ConsumeStats(c.Ctx, group, m.Topic, nil)
	if err != nil {
		t.Error = err.Error()
		return t
	}
	t.Type = "NOT_CONSUME_YET"
	for _, q := range st.Queues {
		if q.Queue.Topic == m.Topic && q.Queue.Broker == m.Broker && q.Queue.ID == m.Queue && int64(q.Committed) > m.Index {
			t.Type = "CONSUMED"
		}
	}
	if t.Type == "CONSUMED" {
		for _, s := range g.Subscriptions {
			if s.Topic == m.Topic && len(s.Tags) > 0 && !slices.Contains(s.Tags, m.Props["TAGS"]) {
				t.Type = "CONSUMED_BUT_FILTERED"
			}
		}
	}
	return t
}

// sayTracks prints what tracks has found.
func (c *Call) sayTracks(list []track) {
	if len(list) == 0 {
		c.Say("\n\nWARN: No Consumer\n")
		return
	}
	c.Say("\n\n")
	for _, t := range list {
		c.Say("MessageTrack [consumerGroup=%s, trackType=%s, exceptionDesc=%s]\n", t.Group, t.Type, orText(t.Error))
	}
}

func orText(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// shown is what queries give to programs.
type shown struct {
	*message
	Tracks []track `json:"tracks,omitempty"`
}

// toolGroup is the consumer group that mqadmin reads with; it never has positions.
const toolGroup = "TOOLS_CONSUMER"

// source is one queue that is read.
type source struct {
	target
	topic string
	queue int32
}

func (s *source) text() string {
	return fmt.Sprintf("MessageQueue [topic=%s, brokerName=%s, queueId=%d]", s.topic, s.set.Name, s.queue)
}

// sources are the queues of a topic, in order of broker and queue, found by the route of another topic if via is not empty.
func (c *Call) sources(topic, via string) ([]source, error) {
	if via == "" {
		via = topic
	}
	route, holders, err := c.holders(via)
	if err != nil {
		return nil, err
	}
	var out []source
	for _, h := range holders {
		for _, q := range route.Queues {
			for i := range q.Read {
				if q.Broker == h.set.Name && q.Perm.Readable() {
					out = append(out, source{h, topic, i})
				}
			}
		}
	}
	if out == nil {
		return nil, errors.New("topic " + topic + " has no queue that may be read")
	}
	return out, nil
}

// bounds are where reading begins and ends: the queue's own, or by store times in ms (< 0: not given).
func (s *source) bounds(ctx context.Context, begin, end int64) (lo, hi mq.Index, err error) {
	if begin >= 0 {
		lo, err = s.broker.IndexAtTime(ctx, s.topic, s.queue, begin, mq.BoundaryLower)
	} else {
		lo, err = s.broker.MinIndex(ctx, s.topic, s.queue)
	}
	if err != nil {
		return 0, 0, err
	}
	if end >= 0 {
		hi, err = s.broker.IndexAtTime(ctx, s.topic, s.queue, end, mq.BoundaryUpper)
	} else {
		hi, err = s.broker.MaxIndex(ctx, s.topic, s.queue)
	}
	return lo, hi, err
}

var errEnough = errors.New("enough")

// read hands the messages of [lo, hi) to show, until that returns an error. It returns where reading stopped and the store's last
// status.
func (s *source) read(ctx context.Context, expr string, lo, hi mq.Index, show func(*message) error) (mq.Index, mq.FetchStatus, error) {
	status := mq.FetchOffsetOverflowOne
	var buf []byte
	for lo < hi {
		f, err := s.broker.Pull(ctx, &mq.PullRequest{
			Group: toolGroup, Topic: s.topic, QueueID: s.queue, From: lo, MaxMessages: 32, HasExpression: true, Expression: expr, ExpressionType: "TAG",
		}, buf[:0])
		if err != nil {
			return lo, status, err
		}
		status, buf = f.Status, f.Records
		list, err := decodeAll(s.set.Name, f.Records)
		if err != nil {
			return lo, status, fmt.Errorf("%s at %d: %w", s.text(), lo, err)
		}
		for _, m := range list {
			if mq.Index(m.Index) >= hi {
				return hi, status, nil
			}
			if !wanted(expr, m.Props["TAGS"]) { // the broker compares hashes only
				continue
			}
			if err := show(m); err != nil {
				return mq.Index(m.Index) + 1, status, err
			}
		}
		if f.Next <= lo {
			return lo, status, nil
		}
		lo = f.Next
	}
	return lo, status, nil
}

// wanted tests a tag expression.
func wanted(expr, tag string) bool {
	if expr = strings.TrimSpace(expr); expr == "" || expr == "*" {
		return true
	}
	for t := range strings.SplitSeq(expr, "||") {
		if strings.TrimSpace(t) == tag {
			return true
		}
	}
	return false
}

// when reads a time: now, ms, or yyyy-MM-dd#HH:mm:ss:SSS; -1 when the flag is absent.
func (c *Call) when(name string) (int64, error) {
	v, ok := c.args[name]
	if !ok {
		return -1, nil
	}
	if v == "now" {
		return c.env.Now().UnixMilli(), nil
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return n, nil
	}
	day, clock, _ := strings.Cut(v, "#")
	if i := strings.LastIndexByte(clock, ':'); i > 0 {
		clock = clock[:i] + "." + clock[i+1:]
	}
	t, err := time.ParseInLocation("2006-01-02 15:04:05.000", day+" "+clock, time.Local)
	if err != nil {
		return 0, usage("-%s %q: want now, ms, or yyyy-MM-dd#HH:mm:ss:SSS", name, v)
	}
	return t.UnixMilli(), nil
}
