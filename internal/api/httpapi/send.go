package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/jobs"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

const (
	maxSend     = 100 // messages of one request
	senderGroup = "cometmq_dashboard"
	maxProps    = 32 << 10
)

// uniqueIDs makes ids as clients do.
var uniqueIDs = sync.OnceValue(func() *record.UniqueIDs {
	return record.NewUniqueIDs(netip.AddrFrom4([4]byte{127, 0, 0, 1}), os.Getpid())
})

type sendRequest struct {
	Body        string            `json:"body"`
	Encoding    string            `json:"encoding"`
	Tags        string            `json:"tags"`
	Keys        []string          `json:"keys"`
	Props       map[string]string `json:"properties"`
	ShardingKey string            `json:"shardingKey"`
	Broker      string            `json:"broker"`
	Queue       *int32            `json:"queue"`
	DelayLevel  int               `json:"delayLevel"`
	DelayMs     int64             `json:"delayMs"`
	DeliverAt   int64             `json:"deliverAt"`
	Transaction string            `json:"transaction"`
	Count       int               `json:"count"`
	Trace       bool              `json:"trace"`
}

// Transactions of a test message.
const (
	txCommit   = "commit"
	txRollback = "rollback"
	txUnknown  = "unknown"
)

// ownProps are those that a caller cannot set by hand: they have fields of their own, or belong to brokers.
var ownProps = []string{
	"UNIQ_KEY", "TAGS", "KEYS", "__SHARDINGKEY", "DELAY", "TIMER_DELAY_MS", "TIMER_DELIVER_MS", "TIMER_DELAY_SEC", "TRAN_MSG", "PGROUP", "WAIT",
	"REAL_TOPIC", "REAL_QID", "__transactionId__", "TRACE_ON", "MSG_REGION", "CLUSTER", "INNER_NUM", "DUP_INFO",
}

// check reads the body, and refuses by field what no broker takes.
func (s *sendRequest) check() (body []byte, err error) {
	body = []byte(s.Body)
	switch s.Encoding {
	case "", encodingText:
	case encodingBase64:
		if body, err = base64.StdEncoding.DecodeString(s.Body); err != nil {
			return nil, badField("body", "badBase64", "%v", err)
		}
	default:
		return nil, badField("encoding", "unknownEncoding", "want utf8 or base64, not %q", s.Encoding)
	}
	if len(body) == 0 {
		return nil, badField("body", "missing", "brokers take no empty body")
	}
	if s.Count == 0 {
		s.Count = 1
	}
	times := 0
	for _, set := range []bool{s.DelayLevel != 0, s.DelayMs != 0, s.DeliverAt != 0} {
		if set {
			times++
		}
	}
	switch {
	case s.Count < 1 || s.Count > maxSend:
		return nil, badField("count", "outOfRange", "1 to %d messages can be sent at once", maxSend)
	case times > 1:
		return nil, badField("delayMs", "oneOf", "only one of delayLevel, delayMs and deliverAt can be given")
	case s.DelayLevel < 0 || s.DelayMs < 0 || s.DeliverAt < 0:
		return nil, badField("delayMs", "outOfRange", "a delay cannot be negative")
	case s.Transaction != "" && !slices.Contains([]string{txCommit, txRollback, txUnknown}, s.Transaction):
		return nil, badField("transaction", "unknownOutcome", "want commit, rollback or unknown, not %q", s.Transaction)
	case s.Transaction != "" && times > 0:
		return nil, badField("transaction", "oneOf", "a message of a transaction has no delay")
	case s.Queue != nil && s.Broker == "":
		return nil, badField("broker", "missing", "a queue needs its broker")
	}
	for k, v := range s.Props {
		if k == "" || slices.Contains(ownProps, k) {
			return nil, badField("properties", "reserved", "the property %q cannot be set by hand", k)
		}
		if !record.ValidProp(k, v) {
			return nil, badField("properties", "badProperty", "neither %q nor its value may have the characters 1 and 2", k)
		}
	}
	for _, v := range append([]string{s.Tags, s.ShardingKey}, s.Keys...) {
		if v != "" && !record.ValidProp("k", v) {
			return nil, badField("tags", "badProperty", "tags, keys and sharding key may not have the characters 1 and 2")
		}
	}
	return body, nil
}

// props are the properties of one message.
func (s *sendRequest) props(id string) []byte {
	var p []byte
	add := func(k, v string) {
		if v != "" {
			p = record.AppendProp(p, k, v)
		}
	}
	number := func(k string, n int64) {
		if n != 0 {
			add(k, strconv.FormatInt(n, 10))
		}
	}
	add("UNIQ_KEY", id)
	add("TAGS", s.Tags)
	add("KEYS", strings.Join(s.Keys, " "))
	add("__SHARDINGKEY", s.ShardingKey)
	add("WAIT", "true")
	number("DELAY", int64(s.DelayLevel))
	number("TIMER_DELAY_MS", s.DelayMs)
	number("TIMER_DELIVER_MS", s.DeliverAt)
	if s.Transaction != "" {
		add("TRAN_MSG", "true")
		add("PGROUP", senderGroup)
	}
	for k, v := range s.Props {
		add(k, v)
	}
	return p
}

type sendResult struct {
	ID       string     `json:"id,omitempty"`
	OffsetID string     `json:"offsetId,omitempty"`
	Broker   string     `json:"broker"`
	Queue    *int32     `json:"queue,omitempty"`
	Index    *i64       `json:"offset,omitempty"`
	Status   string     `json:"status"`
	Error    *nodeError `json:"error,omitempty"`
}

// target is one queue that takes messages.
type target struct {
	node  *node
	queue int32
}

// targets are the queues of a topic that take messages.
func (k *cluster) targets(ctx context.Context, topic string) ([]target, error) {
	r, _, err := k.route(ctx, topic)
	if err != nil {
		return nil, err
	}
	var out []target
	for i := range r.Brokers {
		s := &r.Brokers[i]
		if s.Master() == "" {
			continue
		}
		n := &node{k.Broker(s.Master()), *s, 0, s.Master()}
		for _, q := range r.Queues {
			if q.Broker != s.Name || !q.Perm.Writable() {
				continue
			}
			for id := range q.Write {
				out = append(out, target{n, id})
			}
		}
	}
	if len(out) == 0 {
		return nil, problemf(409, "notWritable", "no queue of topic %s may be written: no master has it, or its permission has no 2", topic)
	}
	return out, nil
}

// chosen are those targets that the request means.
func (s *sendRequest) chosen(all []target) ([]target, error) {
	var out []target
	for _, t := range all {
		if (s.Broker == "" || t.node.set.Name == s.Broker) && (s.Queue == nil || t.queue == *s.Queue) {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return nil, badField("queue", "unknownQueue", "the topic has no such queue that may be written")
	}
	if s.ShardingKey != "" { // all of one key go to one queue, as clients do it
		at := uint32(record.HashCode(s.ShardingKey)) % uint32(len(out))
		out = out[at : at+1]
	}
	return out, nil
}

func sendMessage(c *call) (any, error) {
	var in sendRequest
	if err := c.body(&in); err != nil {
		return nil, err
	}
	body, err := in.check()
	if err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	topic := c.path("topic")
	all, err := k.targets(c.ctx, topic)
	if err != nil {
		return nil, err
	}
	list, err := in.chosen(all)
	if err != nil {
		return nil, err
	}
	out := &struct {
		Items  []sendResult `json:"items"`
		Sent   int          `json:"sent"`
		Failed int          `json:"failed"`
	}{Items: []sendResult{}}
	first := rand.IntN(len(list))
	for i := range in.Count {
		t := list[(first+i)%len(list)]
		r := in.send(c.ctx, topic, t, body)
		if r.Error != nil {
			out.Failed++
		} else {
			out.Sent++
		}
		out.Items = append(out.Items, r)
	}
	c.after = fmt.Sprintf("%d messages of %d bytes", out.Sent, len(body))
	c.partial = out.Failed > 0
	return out, nil
}

// send stores one message, and ends its transaction.
func (s *sendRequest) send(ctx context.Context, topic string, t target, body []byte) sendResult {
	id := string(uniqueIDs().Append(nil, time.Now()))
	r := &mq.SendRequest{Topic: topic, Group: senderGroup, QueueID: t.queue, Props: s.props(id), Body: body}
	if len(r.Props) > maxProps {
		return sendResult{Broker: t.node.set.Name, Status: "FAILED", Error: nodeErrorOf(t.node.String(), badField("properties", "tooLong", "the properties have %d bytes, brokers take %d", len(r.Props), maxProps-1))}
	}
	if s.Transaction != "" {
		r.SysFlag |= record.SysFlagPrepared
	}
	out := t.put(ctx, r, id)
	if s.Trace && out.Error == nil {
		s.leaveTrace(ctx, topic, t, &out, len(body))
	}
	if out.Error != nil || s.Transaction == "" || s.Transaction == txUnknown {
		return out
	}
	_, at, err := record.ParseOffsetID(out.OffsetID)
	if err == nil {
		err = t.node.Decide(ctx, &mq.End{Group: senderGroup, Index: mq.Index(value(out.Index)), Offset: at, Commit: s.Transaction == txCommit}, topic, id)
	}
	if err != nil {
		out.Error = nodeErrorOf(t.node.String(), err)
	}
	return out
}

// put stores one message. Stored with less than the promised durability is stored, and the status says so.
func (t target) put(ctx context.Context, r *mq.SendRequest, id string) sendResult {
	out := sendResult{ID: id, Broker: t.node.set.Name}
	st, err := t.node.Put(ctx, r)
	if err != nil {
		out.Status, out.Error = "FAILED", nodeErrorOf(t.node.String(), err)
		return out
	}
	queue := st.QueueID
	out.OffsetID, out.Queue, out.Index, out.Status = st.ID, &queue, opt(int64(st.Index)), st.Status.String()
	return out
}

// resendMessage sends a copy with all properties of the user's.
func resendMessage(c *call) (any, error) {
	var in struct {
		Topic string `json:"topic"`
		To    string `json:"to"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	k, m, err := c.messageOf(in.Topic)
	if err != nil {
		return nil, err
	}
	props := propsOf(m)
	to := in.To
	if to == "" {
		if to = jobs.Origin(props); to == "" {
			to = m.Topic
		}
	}
	if !c.who.seesTopic(to) {
		return nil, errScope
	}
	all, err := k.targets(c.ctx, to)
	if err != nil {
		return nil, err
	}
	t := all[rand.IntN(len(all))]
	if key := m.Props["__SHARDINGKEY"]; key != "" {
		t = all[uint32(record.HashCode(key))%uint32(len(all))]
	}
	r := &mq.SendRequest{Topic: to, Group: senderGroup, QueueID: t.queue, Flag: m.Flag, Props: jobs.CopyProps(props, m.OffsetID), Body: m.raw}
	if m.packed {
		r.SysFlag = m.SysFlag & (record.SysFlagCompressed | record.SysFlagCompressionMask)
	}
	out := t.put(c.ctx, r, m.ID)
	c.after = "to " + to
	if out.Error != nil {
		p := problemf(502, out.Error.Code, "%s", out.Error.Detail)
		p.Node, p.RemotingCode = out.Error.Node, out.Error.RemotingCode
		return nil, p
	}
	return &out, nil
}

func propsOf(m *message) record.Props {
	var p []byte
	for k, v := range m.Props {
		p = record.AppendProp(p, k, v)
	}
	return p
}

// consumeDirectly has a client consume a message now, and tells what it says.
func consumeDirectly(c *call) (any, error) {
	var in struct {
		Group    string `json:"group"`
		ClientID string `json:"clientId"`
		Topic    string `json:"topic"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Group == "" || in.ClientID == "" {
		return nil, badField("clientId", "missing", "group and client are needed")
	}
	if !c.who.seesGroup(in.Group) {
		return nil, errScope
	}
	k, m, err := c.messageOf(in.Topic)
	if err != nil {
		return nil, err
	}
	members, err := k.members(c.ctx, in.Group)
	if err != nil {
		return nil, err
	}
	if members.clients[in.ClientID] == nil {
		return nil, problemf(409, "consumerNotOnline", "client %s of group %s is not connected", in.ClientID, in.Group)
	}
	n := named(k.readers(), m.Broker)
	if n == nil {
		return nil, notFound("brokerNotFound", "no broker %s lives", m.Broker)
	}
	a, err := n.HaveConsumed(c.ctx, &mq.DirectRequest{Group: in.Group, ClientID: in.ClientID, MessageID: m.OffsetID, Topic: m.Topic, Broker: m.Broker})
	if err != nil {
		return nil, err
	}
	c.after = in.Group + " " + in.ClientID
	var body struct {
		ConsumeResult, Remark string
		SpentTimeMills        int64
		Order, AutoCommit     bool
	}
	_ = json.Unmarshal(a.Body, &body) // what it does not say is empty
	if body.ConsumeResult == "" {
		return nil, problemf(502, "clientRefused", "the client answered with code %d: %s", a.Code, a.Remark)
	}
	return &struct {
		Result     string `json:"result"`
		Remark     string `json:"remark,omitempty"`
		SpentMs    int64  `json:"spentMs"`
		Order      bool   `json:"order"`
		AutoCommit bool   `json:"autoCommit"`
	}{body.ConsumeResult, body.Remark, body.SpentTimeMills, body.Order, body.AutoCommit}, nil
}
