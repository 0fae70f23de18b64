package amqpapi

import (
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

const (
	// window is how many messages a client may send before it has heard of them.
	window = 1000
	// maxBatch and maxBatchBytes bound what is handed to the store at once.
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// incoming is a link on which a client sends.
type incoming struct {
	link   *amqp10.Link
	place  place
	queues int32  // of the topic when the link was attached
	slot   uint32 // chooses among them, so that the messages of a link stay in order
	relay  bool   // each message names its own address
}

// grant lets the client send on.
func (in *incoming) grant() {
	if in.link.Credit() <= window/2 {
		in.link.Grant(window, false)
	}
}

// batch is messages that are stored together.
type batch struct {
	c    *conn
	b    mq.SendBatch
	list []answer
	size int
}

// attach answers a link.
func (c *conn) attach(l *amqp10.Link) {
	var err error
	if l.Sender {
		err = c.attachOut(l)
	} else {
		err = c.attachIn(l)
	}
	if err != nil {
		c.run.Do(func(*amqp10.Conn) { l.Refuse(refusal(err)) })
	}
}

func (c *conn) attachIn(l *amqp10.Link) error {
	in := &incoming{link: l, slot: uint32(record.HashCode(l.Name))}
	switch t := l.Remote.Target.(type) {
	case *amqp10.Target:
		switch {
		case t.Dynamic:
			return mq.Errorf(mq.KindUnsupported, "temporary queues and topics are not offered yet")
		case t.Address.IsNull():
			in.relay = true
		default:
			to, err := c.target(t.Address.Text(), t.Capabilities)
			if err != nil {
				return err
			}
			in.place, in.queues = to.place, to.queues
		}
	case *amqp10.Coordinator:
		return mq.Errorf(mq.KindUnsupported, "transactions are not offered yet")
	default:
		return mq.Errorf(mq.KindInvalidParameter, "the link has no target")
	}
	c.run.Do(func(*amqp10.Conn) {
		l.User = in
		l.Accept(l.Remote.Source, l.Remote.Target, nil, amqp10.Value{})
		l.Grant(window, false)
	})
	return nil
}

// destination is where messages go.
type destination struct {
	place
	queues int32
}

// target looks up an address that something is to be sent to.
func (c *conn) target(address string, capabilities []string) (to destination, err error) {
	if to.place, err = parseAddress(address, capabilities); err != nil {
		return to, err
	}
	if err = c.may(toSend, to.topic, ""); err != nil {
		return to, err
	}
	t, err := c.s.ensureTopic(c.ctx, to.topic)
	to.queues = t.WriteQueues
	return to, err
}

// add collects a message that has come.
func (c *conn) add(d *amqp10.Delivery) {
	size := int64(len(d.Payload))
	r, err := c.request(d)
	if err != nil {
		c.answers = append(c.answers, answer{d, &amqp10.Rejected{Error: refusal(err)}, size})
		return
	}
	d.Payload = nil // what is needed of it is in r
	if c.batch == nil {
		c.batch, _ = c.spare.Get().(*batch)
	}
	b := c.batch
	b.b.Requests = append(b.b.Requests, r)
	b.list = append(b.list, answer{d, nil, size})
	if b.size += len(r.Body); len(b.list) >= maxBatch || b.size >= maxBatchBytes {
		c.send()
	}
}

// capabilityOf is what the annotation x-opt-jms-dest says.
var capabilityOf = [...][]string{{capQueue}, {capTopic}, {capQueue}, {capTopic}}

func (c *conn) request(d *amqp10.Delivery) (r mq.SendRequest, err error) {
	in, ok := d.Link.User.(*incoming)
	if !ok {
		return r, mq.Errorf(mq.KindInternal, "a message on a link that takes none")
	}
	if d.State != nil {
		return r, mq.Errorf(mq.KindUnsupported, "a message with a state: transactions are not offered yet")
	}
	m, err := decode(d.Payload)
	if err != nil {
		return r, err
	}
	to := destination{in.place, in.queues}
	if in.relay {
		if to, err = c.relayed(m); err != nil {
			return r, err
		}
	} else if err = c.may(toSend, to.topic, ""); err != nil {
		return r, err
	}
	now := c.s.o.Now().UnixMilli()
	body, props, err := toStored(m, now)
	if err != nil {
		return r, err
	}
	r = mq.SendRequest{
		Topic: to.topic, QueueID: -1, Group: "AMQP", BornTime: now, BornHost: c.remote, Props: props, MaxReconsume: -1, Body: body,
		Client: c.container,
	}
	if c.s.authenticates() {
		r.User = c.user
	}
	if to.queues > 1 {
		slot := in.slot
		if m.Properties != nil && m.Properties.GroupID.V != "" {
			slot = uint32(record.HashCode(m.Properties.GroupID.V))
		}
		r.QueueID = int32(slot % uint32(to.queues))
	}
	return r, nil
}

// relayed is where a message goes that came on a link without an address.
func (c *conn) relayed(m *amqp10.Message) (destination, error) {
	if m.Properties == nil || m.Properties.To.Text() == "" {
		return destination{}, mq.Errorf(mq.KindTopicNotExist, "neither the link nor the message has an address")
	}
	var caps []string
	if v := m.MessageAnnotations.Get("x-opt-jms-dest"); v.Kind == amqp10.Byte && v.Num < uint64(len(capabilityOf)) {
		caps = capabilityOf[v.Num]
	}
	return c.target(m.Properties.To.Text(), caps)
}

// send hands what is collected to the store.
func (c *conn) send() {
	b := c.batch
	if b == nil {
		return
	}
	c.batch = nil
	b.b.Done = b.done
	if c.s.o.Service.Send(c.ctx, &b.b) {
		return
	}
	list, wait := b.decide(mq.SendOK)
	if wait == 0 {
		c.answers = append(c.answers, list...)
	} else {
		c.answerLater(slices.Clone(list), wait)
	}
	b.free()
}

// done is called by the core, from any goroutine.
func (b *batch) done(_ *mq.SendBatch, st mq.SendStatus) {
	list, wait := b.decide(st)
	list = slices.Clone(list)
	c := b.c
	b.free()
	c.answerLater(list, wait)
}

// answerLater has the worker answer after a while: at once, or when the sender is above its quota.
func (c *conn) answerLater(list []answer, wait time.Duration) {
	now := func() { c.post(job{kind: jobAnswer, list: list}) }
	if wait == 0 {
		now()
		return
	}
	time.AfterFunc(wait, now)
}

// decide fills in the answers, and says how long they have to wait.
func (b *batch) decide(st mq.SendStatus) (list []answer, wait time.Duration) {
	for i := range b.list {
		r := &b.b.Results[i]
		switch {
		case r.Err != nil:
			b.list[i].state = &amqp10.Rejected{Error: refusal(r.Err)}
		case st != mq.SendOK:
			b.list[i].state = &amqp10.Rejected{Error: amqp10.NewError(amqp10.CondInternal, "stored, but not as safely as promised: "+st.String())}
		default:
			b.c.s.sent.note(b.b.Requests[i].Topic, r.QueueID, r.Index)
			b.list[i].state = &amqp10.Accepted{}
		}
		wait = max(wait, r.Wait)
	}
	return b.list, wait
}

func (b *batch) free() {
	b.b.Reset()
	clear(b.list)
	b.list, b.size = b.list[:0], 0
	b.c.spare.Put(b)
}
