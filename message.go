package cometmq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Message is what is sent.
type Message struct {
	Topic      string
	Body       []byte
	Tag        string
	Keys       []string
	Properties map[string]string
	Sequence   string    // messages with the same one are in one queue and keep their order ("message group")
	DeliverAt  time.Time // zero: at once
}

// Receipt says where a message was stored.
type Receipt struct {
	ID     string
	Queue  int
	Offset int64
}

// Delivery is a message that was handed out to a group. It comes again when its invisible time passes without Ack.
type Delivery struct {
	Message
	Receipt
	Attempt int // 1 the first time
	Born    time.Time
	Stored  time.Time

	s     *Server
	group string
	from  string // topic that it was read from
	queue int32
	index mq.Index
	place mq.Offset
	key   string
}

// ErrClosed is what calls return once Shutdown has begun.
var ErrClosed = errors.New("cometmq: the server was shut down")

// self is what the program looks like to the broker.
var self = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// producerGroup is who sends with Send.
const producerGroup = "cometmq-embedded"

// Send stores a message. When it returns without an error the message is as safe as the settings promise.
func (s *Server) Send(ctx context.Context, m Message) (Receipt, error) {
	r, err := s.request(ctx, &m, producerGroup)
	if err != nil {
		return Receipt{}, err
	}
	res, err := s.send(ctx, &mq.SendBatch{Requests: []mq.SendRequest{r}})
	if err != nil {
		return Receipt{}, fmt.Errorf("cometmq: send to %s: %w", m.Topic, err)
	}
	return receiptOf(res), nil
}

func receiptOf(r *mq.SendResult) Receipt {
	return Receipt{ID: strings.Clone(r.UniqueKey), Queue: int(r.QueueID), Offset: int64(r.Index)}
}

// send returns the result of the only request or decision of b.
func (s *Server) send(ctx context.Context, b *mq.SendBatch) (*mq.SendResult, error) {
	if s.alive.Err() != nil {
		return nil, ErrClosed
	}
	status := make(chan mq.SendStatus, 1)
	b.Done = func(_ *mq.SendBatch, st mq.SendStatus) { status <- st }
	st := mq.SendOK
	if s.n.Service().Send(ctx, b) {
		st = <-status // the store answers all, and soon
	}
	for i := range b.Ends {
		if err := b.Ends[i].Err; err != nil {
			return nil, err
		}
	}
	for i := range b.Results {
		if err := b.Results[i].Err; err != nil {
			return nil, err
		}
	}
	if st != mq.SendOK {
		return nil, fmt.Errorf("stored, but not as safely as the settings want: status %d", st)
	}
	if len(b.Results) == 0 {
		return &mq.SendResult{}, nil
	}
	return &b.Results[0], nil
}

func (s *Server) request(ctx context.Context, m *Message, group string) (mq.SendRequest, error) {
	var p record.Props
	add := func(k, v string) {
		if v != "" {
			p = record.AppendProp(p, k, v)
		}
	}
	add(record.PropTags, m.Tag)
	add(record.PropKeys, strings.Join(m.Keys, " "))
	add(record.PropShardingKey, m.Sequence)
	if !m.DeliverAt.IsZero() {
		add(record.PropTimerDeliverMS, strconv.FormatInt(m.DeliverAt.UnixMilli(), 10))
	}
	for _, k := range slices.Sorted(maps.Keys(m.Properties)) {
		if v := m.Properties[k]; k == "" || strings.ContainsAny(k+v, "\x01\x02") {
			return mq.SendRequest{}, fmt.Errorf("cometmq: property %q: empty names and the characters 1 and 2 are not possible", k)
		}
		add(k, m.Properties[k])
	}
	return mq.SendRequest{
		Topic: m.Topic, QueueID: s.queueOf(ctx, m), Group: group, DefaultTopic: "TBW102", DefaultQueues: 4, BornTime: time.Now().UnixMilli(), BornHost: self, Props: p,
		MaxReconsume: -1, Body: m.Body,
	}, nil
}

// queueOf chooses a queue by the sequence; without one the broker chooses.
func (s *Server) queueOf(ctx context.Context, m *Message) int32 {
	if m.Sequence == "" {
		return -1
	}
	n := uint32(4) // of a topic that the broker will create
	if t, err := s.n.Admin().Topic(ctx, m.Topic); err == nil && t.WriteQueues > 0 {
		n = uint32(t.WriteQueues)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.Sequence)) // never fails
	return int32(h.Sum32() % n)
}

// Receive hands out the next message of a topic to a group and waits for one until ctx ends. The message is invisible to the rest of the
// group for that long; after that it comes again, unless it was acknowledged. One that has come as often as the group wants goes to
// the dead letters instead, the topic %DLQ% and the group's name. The group is created when it is missing.
func (s *Server) Receive(ctx context.Context, group, topic string, invisible time.Duration) (*Delivery, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.alive, cancel)() //nolint:contextcheck // the end of the server ends the wait, too
	q := mq.PopRequest{
		Group: group, Topic: topic, QueueID: -1, MaxMessages: 1, Invisible: invisible.Milliseconds(), Expression: "*", ExpressionType: "TAG", ClientHost: self,
	}
	most := int(mq.DefaultGroupConfig(group).RetryMaxTimes)
	if g, err := s.n.Admin().Group(ctx, group); err == nil {
		q.Order, most = g.ConsumeMessageOrderly, int(g.RetryMaxTimes)
	}
	for {
		d, err := s.pop(ctx, &q)
		if s.alive.Err() != nil {
			err = ErrClosed
		}
		if err != nil {
			return nil, fmt.Errorf("cometmq: receive from %s: %w", topic, err)
		}
		switch {
		case d == nil:
		case d.Attempt > most+1:
			if err := d.Reject(ctx); err != nil {
				return nil, err
			}
		default:
			return d, nil
		}
	}
}

// waitForMessage is how long the broker lets a pop wait. It is asked again after that.
const waitForMessage = 10 * time.Second

// pop asks once, and waits when there is nothing. nil: ask again.
func (s *Server) pop(ctx context.Context, q *mq.PopRequest) (*Delivery, error) {
	var res mq.PopResult
	q.BornTime, q.PollTime = time.Now().UnixMilli(), waitForMessage.Milliseconds()
	core := s.n.Service()
	if err := core.Pop(ctx, q, &res); err != nil {
		return nil, err
	}
	if res.Count > 0 {
		if err := core.SyncPops(); err != nil {
			return nil, err
		}
		return s.delivery(q, &res)
	}
	woken := make(chan struct{})
	w := &mq.Waiter{
		Topic: q.Topic, Group: q.Group, QueueID: -1, Match: res.Match, Props: res.Props, Deadline: q.Deadline(), Wake: func(*mq.Waiter) { close(woken) },
	}
	switch core.ParkPop(q, w) {
	case mq.PopParked:
		select {
		case <-woken:
		case <-ctx.Done(): // the broker forgets the waiter when its time is over
		}
	case mq.PopFull:
		return nil, errors.New("too many wait for messages already")
	case mq.PopTimeout, mq.PopAgain:
	}
	return nil, ctx.Err()
}

func (s *Server) delivery(q *mq.PopRequest, res *mq.PopResult) (*Delivery, error) {
	var m record.Message
	if _, err := record.Decode(res.Records, &m, true); err != nil {
		return nil, err
	}
	d := &Delivery{
		Message: Message{Topic: q.Topic, Body: bytes.Clone(m.Body), Properties: map[string]string{}}, Attempt: int(m.Reconsume) + 1,
		Born: time.UnixMilli(m.BornTime), Stored: time.UnixMilli(m.StoreTime),
		s: s, group: q.Group, from: q.Topic, queue: m.QueueID, index: m.Index, place: m.Offset,
	}
	d.Queue, d.Offset = int(m.QueueID), int64(m.Index)
	m.Props.ForEach(func(k, v []byte) bool {
		d.take(string(k), string(v))
		return true
	})
	if d.key == "" {
		d.key = s.handle(res, &m)
	}
	rc, err := mq.ParseReceipt(d.key)
	if err != nil {
		return nil, err
	}
	switch rc.Retry {
	case "1":
		d.from = "%RETRY%" + q.Group + "_" + q.Topic
	case "2":
		d.from = "%RETRY%" + q.Group + "+" + q.Topic
	}
	return d, nil
}

// handle is what a client makes of the answer to a pop when the message brings none. There is one message, and thus one queue.
func (s *Server) handle(res *mq.PopResult, m *record.Message) string {
	rc := mq.Receipt{
		Start: m.Index, PopTime: res.PopTime, Invisible: res.Invisible, ReviveQID: res.ReviveQID, Retry: "0", Broker: s.broker,
		QueueID: m.QueueID, Index: m.Index, Offset: -1,
	}
	return string(rc.AppendTo(nil))
}

// take puts a property where it belongs.
func (d *Delivery) take(k, v string) {
	switch k {
	case record.PropTags:
		d.Tag = v
	case record.PropKeys:
		d.Keys = strings.Fields(v)
	case record.PropShardingKey:
		d.Sequence = v
	case record.PropUniqKey:
		d.ID = v
	case record.PropPopCheckpoint:
		d.key = v
	default:
		d.Properties[k] = v
	}
}

// Ack settles the message: the group does not get it again.
func (d *Delivery) Ack(ctx context.Context) error {
	core := d.s.n.Service()
	note, err := core.Ack(ctx, d.ack())
	return d.settled("acknowledge", core, note, err)
}

// Retry has the message come again after that time, whatever is left of its invisible time. The delivery is over with that.
func (d *Delivery) Retry(ctx context.Context, after time.Duration) error {
	core := d.s.n.Service()
	res, err := core.ChangeInvisible(ctx, &mq.ChangeInvisibleRequest{AckRequest: *d.ack(), Invisible: after.Milliseconds()})
	return d.settled("retry", core, res.Note, err)
}

// Reject puts the message among the dead letters of the group at once.
func (d *Delivery) Reject(ctx context.Context) error {
	refused := make(chan *mq.Error, 1)
	d.s.n.Service().GiveBack(ctx, &mq.GiveBackRequest{Group: d.group, At: d.place, DelayLevel: -1}, func(e *mq.Error) { refused <- e })
	if e := <-refused; e != nil {
		return fmt.Errorf("cometmq: reject %s: %w", d.ID, e)
	}
	return d.Ack(ctx)
}

func (d *Delivery) ack() *mq.AckRequest {
	return &mq.AckRequest{Group: d.group, Topic: d.from, QueueID: d.queue, Index: d.index, Receipt: d.key, ClientHost: self}
}

func (d *Delivery) settled(what string, core mq.Service, note string, err error) error {
	switch {
	case d.s.alive.Err() != nil:
		err = ErrClosed
	case err != nil:
	case note != "":
		err = errors.New(note)
	default:
		err = core.SyncPops()
	}
	if err != nil {
		return fmt.Errorf("cometmq: %s %s: %w", what, d.ID, err)
	}
	return nil
}
