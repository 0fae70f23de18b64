package grpcapi

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// sending is one SendMessage on its way through the core. It is reused.
type sending struct {
	mq.SendBatch
	props []byte // of all its messages
	ends  []int  // where those of each message end in props
	done  chan mq.SendStatus
}

func (d *Door) takeSending() *sending {
	s, _ := d.sends.Get().(*sending)
	if s == nil {
		s = &sending{done: make(chan mq.SendStatus, 1)}
		s.Done = func(_ *mq.SendBatch, st mq.SendStatus) { s.done <- st }
	}
	return s
}

// maxKept bounds what a sending keeps for the next one.
const maxKept = 64 << 10

func (d *Door) putSending(s *sending) {
	s.Reset()
	if cap(s.props) <= maxKept {
		s.props, s.ends = s.props[:0], s.ends[:0]
		d.sends.Put(s)
	}
}

// store hands s to the core and waits until it is decided. The status is that of what was stored.
func (s *sending) store(ctx context.Context, svc mq.Service) mq.SendStatus {
	if svc.Send(ctx, &s.SendBatch) {
		return <-s.done
	}
	return mq.SendOK
}

// SendMessage stores messages of one topic.
//
// Differs from Java: several messages are stored as what they are and each has an outcome of its own. Java packs them into one batch, with
// one outcome for all, and loses their message groups and delays.
func (d *Door) SendMessage(ctx context.Context, r *v2.SendMessageRequest) (*v2.SendMessageResponse, error) {
	resp := &v2.SendMessageResponse{}
	resp.Status = d.serve(ctx, famProducer, func(c *call) error {
		if err := c.send(r.GetMessages(), resp); err != nil {
			resp.Entries = nil
			return err
		}
		return nil
	})
	if len(resp.Entries) > 0 {
		resp.Status = together(resp.Entries)
	}
	return resp, nil
}

func (c *call) send(list []*v2.Message, resp *v2.SendMessageResponse) error {
	d := c.d
	if len(list) == 0 {
		return refuse(v2.Code_MESSAGE_CORRUPTED, "no message to send")
	}
	if err := c.mayPublish(list[0].GetTopic().GetName()); err != nil {
		return err
	}
	topic, err := topicOf(list[0].GetTopic())
	if err != nil {
		return err
	}
	now := d.o.Now()
	for _, m := range list {
		if t := m.GetTopic(); t.GetName() != topic || t.GetResourceNamespace() != list[0].GetTopic().GetResourceNamespace() {
			return refuse(v2.Code_MESSAGE_CORRUPTED, "topic in message is not same")
		}
		if err = d.o.Limits.checkMessage(m, now); err != nil {
			return err
		}
	}
	t, err := c.core.Admin.Topic(c.ctx, topic)
	unknown := mq.KindOf(err) == mq.KindTopicNotExist
	switch {
	case err != nil && !unknown:
		return err
	case d.o.Limits.AnyType || strings.HasPrefix(topic, retryPrefix) || strings.HasPrefix(topic, dlqPrefix):
		if err != nil {
			return err
		}
	case unknown:
		return errKind("UNSPECIFIED", kindOf(props(list[0])).String())
	default:
		if err = checkKind(&t, kindOf(props(list[0]))); err != nil {
			return err
		}
	}
	if !t.Perm.Writable() || t.WriteQueues <= 0 {
		return refuse(v2.Code_FORBIDDEN, "no writable queue")
	}
	s := d.takeSending()
	defer d.putSending(s)
	if err = s.fill(c, &t, list, now); err != nil {
		return err
	}
	st := s.store(c.ctx, c.core.Service)
	wait := time.Duration(0)
	for i, m := range list {
		res := &s.Results[i]
		wait = max(wait, res.Wait)
		resp.Entries = append(resp.Entries, d.outcome(topic, m, res, st))
	}
	if wait > 0 { // the sender is above a quota
		pause := time.NewTimer(wait)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-c.ctx.Done():
		}
	}
	return nil
}

// props never returns nil.
func props(m *v2.Message) *v2.SystemProperties {
	if p := m.GetSystemProperties(); p != nil {
		return p
	}
	return &v2.SystemProperties{}
}

// fill makes the requests.
func (s *sending) fill(c *call, t *mq.TopicConfig, list []*v2.Message, now time.Time) error {
	queue := int32(-1)
	if len(list) > 1 { // what is sent together is stored together
		queue = rand.Int32N(t.WriteQueues)
	}
	host := ""
	if c.from.IsValid() {
		host = c.from.String()
	}
	bodies := make([][]byte, len(list))
	for i, m := range list {
		var err error
		if bodies[i], err = c.d.o.Limits.bodyOf(m); err != nil {
			return err
		}
		s.props = appendProps(s.props, t.Name, host, m)
		s.ends = append(s.ends, len(s.props))
	}
	from := 0
	for i, m := range list {
		p := props(m)
		end := s.ends[i]
		raw := record.Props(s.props[from:end:end])
		from = end
		if len(raw) > record.MaxProps {
			return refuse(v2.Code_MESSAGE_PROPERTIES_TOO_LARGE, "the total size of all properties is too large, max is %d", record.MaxProps)
		}
		q := mq.SendRequest{
			Topic: t.Name, QueueID: queue, Group: t.Name, DefaultTopic: "TBW102", DefaultQueues: 4, BornTime: now.UnixMilli(), BornHost: c.from,
			Props: raw, Reconsume: p.GetDeliveryAttempt(), MaxReconsume: -1, Body: bodies[i], User: c.user, Client: c.id,
		}
		if p.GetBornTimestamp() != nil {
			q.BornTime = p.GetBornTimestamp().AsTime().UnixMilli()
		}
		if compressed(m) {
			q.SysFlag |= record.SysFlagCompressed
		}
		switch {
		case p.GetMessageType() == v2.MessageType_TRANSACTION:
			q.SysFlag |= record.SysFlagPrepared
			if key := p.GetMessageGroup(); key != "" {
				q.QueueID = bucket(key, t.WriteQueues)
			}
		case p.GetMessageGroup() != "":
			q.QueueID = bucket(p.GetMessageGroup(), t.WriteQueues)
		case p.GetLiteTopic() != "":
			q.QueueID = bucket(p.GetLiteTopic(), t.WriteQueues)
		}
		s.Requests = append(s.Requests, q)
	}
	return nil
}

// appendProps appends the properties that a message is stored with.
func appendProps(dst []byte, topic, host string, m *v2.Message) []byte {
	p := props(m)
	add := func(k, v string) {
		if record.ValidProp(k, v) {
			dst = record.AppendProp(dst, k, v)
		}
	}
	number := func(k string, n int64) {
		var b [20]byte
		add(k, bytesview.String(strconv.AppendInt(b[:0], n, 10)))
	}
	for k, v := range m.GetUserProperties() {
		add(k, v)
	}
	add(record.PropTags, p.GetTag())
	if len(p.GetKeys()) > 0 {
		add(record.PropKeys, strings.Join(p.GetKeys(), " "))
	}
	add(record.PropUniqKey, p.GetMessageId())
	if p.GetMessageType() == v2.MessageType_TRANSACTION {
		add(record.PropTransaction, "true")
		if p.OrphanedTransactionRecoveryDuration != nil {
			number(record.PropCheckImmunity, p.GetOrphanedTransactionRecoveryDuration().GetSeconds())
		}
	}
	if p.DeliveryTimestamp != nil {
		number(record.PropTimerDeliverMS, p.GetDeliveryTimestamp().AsTime().UnixMilli())
	}
	if n := p.GetDeliveryAttempt(); n > 0 {
		number(record.PropReconsume, int64(n))
	}
	add(record.PropProducerGroup, topic)
	add(record.PropShardingKey, p.GetMessageGroup())
	add(record.PropLiteTopic, p.GetLiteTopic())
	if p.Priority != nil {
		number(record.PropPriority, int64(p.GetPriority()))
	}
	add(propTrace, p.GetTraceContext())
	if h := p.GetBornHost(); h != "" {
		host = h
	}
	add(record.PropBornHost, host)
	if p.GetBornTimestamp() != nil {
		number(record.PropBornTime, p.GetBornTimestamp().AsTime().UnixMilli())
	}
	return dst
}

// propTrace is the property with the context of a trace.
const propTrace = "TRACE_CONTEXT"

// outcome is that of one message. What is stored less safely than promised has only a status, as in Java.
func (d *Door) outcome(topic string, m *v2.Message, res *mq.SendResult, st mq.SendStatus) *v2.SendResultEntry {
	if res.Err != nil {
		code := codeOf(res.Err.Kind)
		if res.Err.Kind == mq.KindMessageIllegal { // sizes that only the core knows
			code = v2.Code_MESSAGE_BODY_TOO_LARGE
		}
		return &v2.SendResultEntry{Status: status(code, res.Err.Detail)}
	}
	id := strings.Clone(res.UniqueKey)
	if m.GetSystemProperties().GetMessageType() == v2.MessageType_TRANSACTION {
		d.halves.put(half{topic, id}, halfAt{res.Index, res.Offset})
	}
	switch st {
	case mq.SendFlushTimeout:
		return &v2.SendResultEntry{Status: status(v2.Code_MASTER_PERSISTENCE_TIMEOUT, "send message failed, sendStatus=FLUSH_DISK_TIMEOUT")}
	case mq.SendSlaveTimeout:
		return &v2.SendResultEntry{Status: status(v2.Code_SLAVE_PERSISTENCE_TIMEOUT, "send message failed, sendStatus=FLUSH_SLAVE_TIMEOUT")}
	case mq.SendSlaveUnavailable:
		return &v2.SendResultEntry{Status: status(v2.Code_HA_NOT_AVAILABLE, "send message failed, sendStatus=SLAVE_NOT_AVAILABLE")}
	case mq.SendOK:
	}
	return &v2.SendResultEntry{
		Status: status(v2.Code_OK, ""), MessageId: id, TransactionId: id, Offset: int64(res.Index), RecallHandle: strings.Clone(res.RecallHandle),
	}
}
