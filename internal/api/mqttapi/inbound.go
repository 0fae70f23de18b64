package mqttapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"hash/fnv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
)

// newQueues is how many queues a topic gets that a publish creates.
const newQueues = 4

// burst is what the publishes of one read become: one batch for the store, answered in order.
type burst struct {
	c     *conn
	batch mq.SendBatch
	items []item
	ops   []state.Op // packet ids of QoS 2, to be on disk before the batch is stored
	done  bool
}

// item is one publish of a burst.
type item struct {
	qos      byte
	id       uint16
	request  int // in the batch; -1: it is decided already
	reason   packet.Reason
	retained *message.Message
}

// publish adds a PUBLISH to the burst of this read.
func (c *conn) publish(head byte, body []byte) error {
	var p packet.PublishPacket
	if err := p.Decode(head, body, c.version); err != nil {
		return err
	}
	name, err := c.nameOf(&p)
	if err != nil {
		return err
	}
	it := item{qos: p.QoS, id: p.ID, request: -1}
	place := topic.Locate(name)
	switch {
	case !topic.CanBeTopic(place.Topic):
		it.reason = packet.TopicInvalid
	case topic.Reserved(place.Topic) || !c.may(true, name):
		it.reason = packet.NotAuthorized
	}
	if it.reason != packet.Success && (c.version != packet.V5 || p.QoS == 0) {
		// There is no way to say it but this.
		return &packet.Error{Reason: it.reason, Text: "a publish to " + name + " is refused"}
	}
	if c.burst == nil {
		c.burst = &burst{c: c}
	}
	b := c.burst
	if it.reason == packet.Success {
		unique, again := "", false
		if p.QoS == 2 {
			if unique, again, err = c.s.arrived(b, place.Topic, p.ID); err != nil || again {
				return err
			}
		}
		m := c.message(&p, name)
		m.Unique = unique
		if m.Retain {
			kept := *m
			kept.Payload = append([]byte(nil), p.Payload...)
			it.retained = &kept
		}
		it.request = c.srv.request(&b.batch, m, place)
		b.batch.Requests[it.request].BornHost = c.remote
	}
	b.items = append(b.items, it)
	if p.QoS > 0 {
		return c.count(1)
	}
	return nil
}

// count notes publishes that are to be acknowledged.
func (c *conn) count(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed += n
	if c.version == packet.V5 && c.owed > int(c.srv.o.ReceiveMaximum) {
		return &packet.Error{Reason: packet.ReceiveMaximumExceeded, Text: "more publishes than the receive maximum"}
	}
	return nil
}

// nameOf returns the name of a publish, which may be an alias.
func (c *conn) nameOf(p *packet.PublishPacket) (string, error) {
	alias, aliased := p.Props.Num(packet.PropAlias)
	if aliased && (alias == 0 || alias > uint32(c.srv.o.MaxAliases)) {
		return "", &packet.Error{Reason: packet.AliasInvalid, Text: "a topic alias is out of range"}
	}
	if _, ok := p.Props.Num(packet.PropSubscriptionID); ok {
		return "", protocolError("a publish with a subscription identifier")
	}
	name := string(p.Topic)
	if name == "" {
		known, ok := c.aliases[uint16(alias)]
		if !ok || !aliased {
			return "", protocolError("a publish without a topic")
		}
		return known, nil
	}
	if !topic.ValidName(name, c.srv.o.MaxLevels) {
		return "", &packet.Error{Reason: packet.TopicInvalid, Text: "a topic name is not valid"}
	}
	if response, ok := p.Props.Text(packet.PropResponseTopic); ok && !topic.ValidName(string(response), c.srv.o.MaxLevels) {
		return "", protocolError("a response topic is not valid")
	}
	if aliased {
		if c.aliases == nil {
			c.aliases = map[uint16]string{}
		}
		c.aliases[uint16(alias)] = name
	}
	return name, nil
}

// message makes the message of a publish. Its payload refers to p.
func (c *conn) message(p *packet.PublishPacket, name string) *message.Message {
	now := time.Now().UnixMilli()
	m := &message.Message{
		Topic: name, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Client: c.client, Clean: !c.s.durable(), Born: now, Props: forwarded(p.Props),
	}
	if v, ok := p.Props.Num(packet.PropMessageExpiry); ok {
		m.Expiry = now + int64(v)*1000
	}
	return m
}

// request adds a message to a batch. All messages of a name go to one queue, which keeps their order.
func (s *Server) request(b *mq.SendBatch, m *message.Message, place topic.Place) int {
	b.Requests = append(b.Requests, mq.SendRequest{})
	r := &b.Requests[len(b.Requests)-1]
	m.Request(r, place)
	r.Client = m.Client
	queues := int32(newQueues)
	if tc, err := s.o.Core.Topic(s.ctx, place.Topic); err == nil && tc.WriteQueues > 0 {
		queues = tc.WriteQueues
	} else if s.o.CreateTopics {
		r.DefaultTopic, r.DefaultQueues = "TBW102", newQueues
	}
	h := fnv.New32a()
	h.Write([]byte(place.Queue))
	r.QueueID = int32(h.Sum32() % uint32(queues))
	return len(b.Requests) - 1
}

// flushBurst stores what this read has brought.
func (c *conn) flushBurst() {
	b := c.burst
	if b == nil {
		return
	}
	c.burst = nil
	c.mu.Lock()
	c.bursts = append(c.bursts, b)
	c.mu.Unlock()
	if len(b.ops) == 0 {
		b.store()
		return
	}
	for i := range b.batch.Requests { // the read buffer is used again before they are stored
		r := &b.batch.Requests[i]
		r.Body = append([]byte(nil), r.Body...)
	}
	c.srv.o.State.Apply(b.ops, func(err error) {
		if err != nil {
			b.fail()
			return
		}
		b.store()
	})
}

func (b *burst) store() {
	if len(b.batch.Requests) == 0 {
		b.decided(mq.SendOK)
		return
	}
	b.batch.Done = func(_ *mq.SendBatch, st mq.SendStatus) { b.decided(st) }
	if !b.c.srv.o.Core.Send(b.c.srv.ctx, &b.batch) {
		b.decided(mq.SendOK)
	}
}

// fail decides all as not done.
func (b *burst) fail() {
	for i := range b.items {
		b.items[i].reason = packet.Unspecified
	}
	b.finish()
}

// decided takes what the store says, and makes the retained messages durable before anything is acknowledged.
func (b *burst) decided(st mq.SendStatus) {
	var ops []state.Op
	s := b.c.srv
	for i := range b.items {
		it := &b.items[i]
		if it.request < 0 {
			continue
		}
		if it.reason = reasonOf(b.batch.Results[it.request].Err, st); it.reason == packet.Success && it.retained != nil {
			ops = append(ops, s.retain(it.retained))
		}
	}
	b.batch.Reset()
	if len(ops) == 0 {
		b.finish()
		return
	}
	s.o.State.Apply(ops, func(err error) {
		if err != nil {
			b.fail()
			return
		}
		b.finish()
	})
}

// reasonOf says how a publish ended.
func reasonOf(err *mq.Error, st mq.SendStatus) packet.Reason {
	switch {
	case err == nil && st == mq.SendOK:
		return packet.Success
	case err == nil: // stored, but not as safe as promised
		return packet.ImplementationSpecific
	}
	switch err.Kind {
	case mq.KindNoPermission:
		return packet.NotAuthorized
	case mq.KindTopicNotExist:
		return packet.TopicInvalid
	case mq.KindBusy:
		return packet.QuotaExceeded
	case mq.KindMessageIllegal:
		return packet.ImplementationSpecific
	default:
		return packet.Unspecified
	}
}

// finish acknowledges this burst, and those behind it that are decided already, in order: only one goroutine does at a time.
func (b *burst) finish() {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	b.done = true
	if c.answering {
		return
	}
	c.answering = true
	for len(c.bursts) > 0 && c.bursts[0].done {
		first := c.bursts[0]
		c.bursts = c.bursts[1:]
		c.mu.Unlock()
		for i := range first.items {
			c.answer(&first.items[i])
		}
		c.mu.Lock()
	}
	c.answering = false
	c.changed.Broadcast()
}

// answer acknowledges one publish. Before version 5 a failure cannot be said: the connection ends.
func (c *conn) answer(it *item) {
	switch {
	case it.qos == 2 && it.request >= 0:
		c.s.stored(it.id, it.reason)
		return
	case it.qos == 0:
		return
	}
	c.settle()
	if it.reason.Failed() && c.version != packet.V5 {
		c.end(it.reason)
		return
	}
	t := packet.Puback
	if it.qos == 2 {
		t = packet.Pubrec
	}
	c.send(func(dst []byte) []byte {
		return (&packet.AckPacket{ID: it.id, Reason: it.reason}).AppendTo(dst, t, c.version)
	})
}

// settle notes that a publish owes the client no more answers.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed = max(c.owed-1, 0)
}

// publishOwn stores a message that no connection waits for: a will.
func (s *Server) publishOwn(m *message.Message) {
	now := time.Now().UnixMilli()
	m.Born = now
	if m.Expiry < 0 {
		m.Expiry = now - m.Expiry*1000
	}
	var b mq.SendBatch
	s.request(&b, m, topic.Locate(m.Topic))
	b.Done = func(*mq.SendBatch, mq.SendStatus) {}
	s.o.Core.Send(context.WithoutCancel(s.ctx), &b)
	if err := b.Results[0].Err; err != nil {
		s.o.Log.Warn("a will is not published", "client", m.Client, "topic", m.Topic, "err", err.Detail)
		return
	}
	if m.Retain {
		s.o.State.Apply([]state.Op{s.retain(m)}, nil)
	}
}

func uniqueKey() string {
	var b [16]byte
	rand.Read(b[:])
	return strings.ToUpper(hex.EncodeToString(b[:]))
}
