package amqpapi

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/api/amqpapi/jmsselector"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

const (
	// maxPop is how many messages the broker hands out at once.
	maxPop = 32
	// maxOutput and maxQueued are how much may wait to be read by the client, in bytes of a connection and messages of a session, before no
	// more is taken from the broker for it.
	maxOutput = 1 << 20
	maxQueued = 256
	// defaultAttempts is how often a message is handed out that nobody accepts, when the group does not say.
	defaultAttempts = 16
)

// outgoing is a link on which a client receives from a group.
type outgoing struct {
	c        *conn
	link     *amqp10.Link
	place    place
	feed     *feed
	settled  bool                  // what is sent needs no answer
	fallback amqp10.Composite      // the outcome of what the client settles without saying which
	attempts int32                 // after which a message is a dead letter
	sub      subscription          // of a JMS topic
	wants    *jmsselector.Selector // nil: all

	// Of the Runner's lock.
	asked   bool // there is a job to fetch
	stalled bool // it waits until the client has read
	drained bool // the client's last wish for a drain was answered

	// Of the worker.
	held map[*amqp10.Delivery]*item
	tags uint64
	left bool
}

// item is a message that was handed out.
type item struct {
	topic   string // that it was read from, which may be a retry topic
	receipt mq.Receipt
	at      mq.Offset
}

func (c *conn) attachOut(l *amqp10.Link) error {
	if l.Remote.Source == nil {
		return c.attachUnsubscriber(l)
	}
	src, ok := l.Remote.Source.(*amqp10.Source)
	if !ok || src.Dynamic || src.Address.IsNull() {
		return mq.Errorf(mq.KindUnsupported, "a source must have an address")
	}
	p, err := parseAddress(src.Address.Text(), src.Capabilities)
	if err != nil {
		return err
	}
	wants, filter, err := selectorOf(src)
	switch {
	case err != nil:
		return err
	case !p.subs && src.DistributionMode == "copy":
		return mq.Errorf(mq.KindUnsupported, "browsing a queue is not offered yet")
	case !p.subs && wants != nil:
		return mq.Errorf(mq.KindUnsupported, "selectors are offered for topics, and not for queues yet")
	}
	if err := c.may(toConsume, p.topic, p.group); err != nil {
		return err
	}
	if _, err := c.s.ensureTopic(c.ctx, p.topic); err != nil {
		return err
	}
	o := &outgoing{
		c: c, link: l, place: p, settled: l.Remote.SndSettleMode == amqp10.SndSettled, fallback: src.DefaultOutcome,
		held: map[*amqp10.Delivery]*item{}, attempts: defaultAttempts, wants: wants,
	}
	if !p.subs {
		o.feed = c.s.feed(p.topic, p.group)
	} else if err := o.join(src); err != nil {
		return err
	}
	// It tells whether the group may consume the topic, and makes the group.
	if _, err := c.s.o.Service.HasPop(c.ctx, o.feed.request(1)); err != nil {
		o.leave(true, false)
		return err
	}
	if g, err := c.s.o.Admin.Group(c.ctx, o.place.group); err == nil {
		o.attempts = max(g.RetryMaxTimes, 0)
	}
	src.Filter = filter
	alive := false
	c.run.Do(func(*amqp10.Conn) {
		l.Accept(src, l.Remote.Target, nil, amqp10.Value{})
		if alive = l.Attached(); alive {
			c.outs[l] = o
		}
	})
	if !alive {
		o.leave(true, false)
		return nil
	}
	c.busy[o] = struct{}{}
	return nil
}

// want has the worker fetch messages. The Runner's lock is held.
func (o *outgoing) want() {
	if !o.asked {
		o.asked, o.stalled = true, false
		o.c.post(job{kind: jobFetch, out: o})
	}
}

// look is want for who does not hold the lock.
func (o *outgoing) look() { o.c.post(job{kind: jobFetch, out: o}) }

// room is how many messages the client takes now.
func (o *outgoing) room() (n uint32, drain bool) {
	o.c.run.Do(func(a *amqp10.Conn) {
		o.asked = false
		if !o.link.Attached() {
			return
		}
		if a.Pending() > maxOutput || o.link.Queued() > maxQueued {
			o.stalled = true
			return
		}
		n, drain = o.link.Credit(), o.link.Drain() && !o.drained
	})
	return n, drain
}

// fetch sends what there is as far as the client takes it.
func (o *outgoing) fetch() {
	for {
		n, drain := o.room()
		if o.left || n == 0 {
			if drain {
				o.drain()
			}
			o.feed.next() // another one takes the turn
			return
		}
		found, err := o.pop(int32(min(n, maxPop)))
		switch {
		case err != nil:
			o.fail(err)
			return
		case found:
			o.feed.found()
		default:
			if drain {
				if o.c.s.catchUp(o.c.ctx, o.place.topic) {
					continue
				}
				o.drain()
				o.feed.next()
				return
			}
			o.feed.wait(o)
			return
		}
	}
}

// drain says that there is no more now.
func (o *outgoing) drain() {
	o.c.run.Do(func(*amqp10.Conn) {
		o.drained = true
		o.link.Drained()
	})
}

// fail ends the link.
func (o *outgoing) fail(err error) {
	o.c.run.Do(func(*amqp10.Conn) {
		delete(o.c.outs, o.link)
		o.link.Detach(true, refusal(err))
	})
	o.leave(true, false)
}

// pop takes messages from the broker and sends them. It reports false when there was none.
func (o *outgoing) pop(n int32) (found bool, err error) {
	c := o.c
	group := o.place.group
	if o.place.subs {
		group = "" // nobody has named it
	}
	if err = c.may(toConsume, o.place.topic, group); err != nil {
		return false, err
	}
	r := o.feed.request(n)
	r.ClientHost = c.remote
	c.res.Records = c.res.Records[:0]
	if err = c.s.o.Service.Pop(c.ctx, r, &c.res); err != nil || c.res.Count == 0 {
		return false, err
	}
	now := c.s.o.Now().UnixMilli()
	var out []parcel
	for rest := c.res.Records; len(rest) > 0; {
		var m record.Message
		size, err := record.Decode(rest, &m, false)
		if err != nil || size <= 0 || size > len(rest) {
			return true, mq.Errorf(mq.KindInternal, "a message of the topic %s cannot be read: %v", o.place.topic, err)
		}
		rest = rest[size:]
		it := o.item(&m)
		switch {
		case expired(m.Props, now):
			o.ack(it)
		case m.Reconsume > o.attempts:
			o.dead(it)
		default:
			am, err := fromStored(&m, c.s.o.TextByDefault)
			if err != nil {
				c.log.Error("a stored message cannot be made an AMQP message", "topic", o.place.topic, "index", m.Index, "err", err)
				o.dead(it)
				continue
			}
			if o.wants != nil && !o.wants.Matches(lookup(am)) {
				o.ack(it)
				continue
			}
			out = append(out, parcel{it, am.AppendTo(nil)})
		}
	}
	o.deliver(out)
	return true, nil
}

// parcel is a message to be sent.
type parcel struct {
	it      *item
	payload []byte
}

// item is what is needed to settle m.
func (o *outgoing) item(m *record.Message) *item {
	res := &o.c.res
	it := &item{topic: o.place.topic, at: m.Offset, receipt: mq.Receipt{
		Start: m.Index, PopTime: res.PopTime, Invisible: res.Invisible, ReviveQID: res.ReviveQID, Retry: "0", Broker: o.c.s.o.Broker,
		QueueID: m.QueueID, Index: m.Index, Offset: -1,
	}}
	if h, ok := m.Props.Get(record.PropPopCheckpoint); ok { // of a retry topic, and under the name of the one that was asked for
		if rc, err := mq.ParseReceipt(string(h)); err == nil {
			it.receipt = rc
			it.topic = retryTopic(rc.Retry, o.place)
		}
	} else if name := string(m.Topic); strings.HasPrefix(name, retryPrefix) {
		it.topic = name
	}
	return it
}

const retryPrefix = "%RETRY%"

// retryTopic is where a group finds again what it did not acknowledge, by the flag in a handle.
func retryTopic(flag string, p place) string {
	switch flag {
	case "1":
		return retryPrefix + p.group + "_" + p.topic
	case "2":
		return retryPrefix + p.group + "+" + p.topic
	}
	return p.topic
}

// deliver sends messages. Those for which there is no credit any more are given back.
func (o *outgoing) deliver(out []parcel) {
	sent := 0
	o.c.run.Do(func(*amqp10.Conn) {
		for i := range out {
			o.tags++
			d, err := o.link.Send(binary.BigEndian.AppendUint64(nil, o.tags), out[i].payload, o.settled, nil)
			if err != nil {
				return
			}
			sent++
			if !d.Settled {
				o.held[d] = out[i].it
			}
		}
	})
	for i := range out {
		switch {
		case i >= sent:
			o.giveBack(out[i].it, true)
		case o.settled:
			o.ack(out[i].it)
		}
	}
}

// settle does what the client has decided about a delivery.
func (o *outgoing) settle(d *amqp10.Delivery, state amqp10.Composite, settled bool) {
	it := o.held[d]
	if it == nil {
		return
	}
	if t, ok := state.(*amqp10.TransactionalState); ok {
		o.fail(mq.Errorf(mq.KindUnsupported, "an outcome in a transaction %x: transactions are not offered yet", t.TxnID))
		return
	}
	delete(o.held, d)
	if state == nil {
		state = o.fallback
	}
	switch s := state.(type) {
	case *amqp10.Accepted:
		o.ack(it)
	case *amqp10.Rejected:
		o.dead(it)
	case *amqp10.Modified:
		if s.UndeliverableHere {
			o.dead(it)
		} else {
			o.giveBack(it, !s.DeliveryFailed)
		}
	default:
		o.giveBack(it, true)
	}
	if !settled {
		o.c.answers = append(o.c.answers, answer{d: d, state: state})
	}
}

func (o *outgoing) request(it *item) mq.AckRequest {
	return mq.AckRequest{
		Group: o.place.group, Topic: it.topic, QueueID: it.receipt.QueueID, Index: it.receipt.Index, Receipt: string(it.receipt.AppendTo(nil)),
		ClientHost: o.c.remote,
	}
}

// ack settles a message.
func (o *outgoing) ack(it *item) {
	r := o.request(it)
	note, err := o.c.s.o.Service.Ack(o.c.ctx, &r)
	o.c.acked = true
	o.said("acknowledge", it, note, err)
}

// giveBack lets a message be handed out again at once. quietly: as if it had not been.
func (o *outgoing) giveBack(it *item, quietly bool) {
	o.hide(it, 0, quietly)
	o.c.acked = true
}

// hide hides a message for a time from now on.
func (o *outgoing) hide(it *item, d time.Duration, quietly bool) {
	res, err := o.c.s.o.Service.ChangeInvisible(o.c.ctx, &mq.ChangeInvisibleRequest{
		AckRequest: o.request(it), Invisible: d.Milliseconds(), Suspend: quietly,
	})
	if err == nil && res.Note == "" {
		it.receipt.PopTime, it.receipt.Invisible, it.receipt.ReviveQID = res.PopTime, res.Invisible, res.ReviveQID
	}
	o.said("hand out again", it, res.Note, err)
}

// dead puts a message among the dead letters of the group.
func (o *outgoing) dead(it *item) {
	c := o.c
	r := o.request(it)
	svc, log := c.s.o.Service, c.log
	svc.GiveBack(c.ctx, &mq.GiveBackRequest{Group: o.place.group, At: it.at, DelayLevel: -1}, func(refused *mq.Error) {
		if refused != nil {
			log.Error("a message could not be put among the dead letters, it will come again", "group", r.Group, "topic", r.Topic, "index", r.Index,
				"err", refused)
			return
		}
		if _, err := svc.Ack(c.ctx, &r); err != nil {
			log.Error("a dead letter will come again", "group", r.Group, "topic", r.Topic, "index", r.Index, "err", err)
		}
	})
	c.acked = true
}

func (o *outgoing) said(what string, it *item, note string, err error) {
	if err == nil && note == "" {
		return
	}
	o.c.log.Warn("a message could not be settled", "to", what, "group", o.place.group, "topic", it.topic, "queue", it.receipt.QueueID,
		"index", it.receipt.Index, "note", note, "err", err)
}

// renew keeps what is held from being handed out to others.
func (o *outgoing) renew() {
	for _, it := range o.held {
		o.hide(it, invisible, false)
	}
}

// leave ends the link: what it holds is given back. quietly: as if it had not been handed out. forEver: a durable subscription ends, too.
func (o *outgoing) leave(quietly, forEver bool) {
	if o.left {
		return
	}
	o.left = true
	delete(o.c.busy, o)
	for _, it := range o.held {
		o.giveBack(it, quietly)
	}
	clear(o.held)
	o.feed.release(o)
	if o.place.subs {
		o.c.s.ended(o.c.ctx, o.sub, forEver)
	}
}
