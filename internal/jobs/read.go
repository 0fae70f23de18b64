package jobs

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

const (
	deadPrefix = "%DLQ%"
	toolGroup  = "TOOLS_CONSUMER"        // Java's name for tools that read; brokers give it every right
	sendGroup  = "CID_COMETMQ_DASHBOARD" // producer group of copies
	batchSize  = 32
	maxBody    = 64 << 20 // bytes of a body that is unpacked
)

// Selection says which messages of a topic a job is about: those that are named, or those of a span of time.
type Selection struct {
	Refs      []Ref
	OffsetIDs []string
	From, To  int64 // store time, ms, both inclusive; To 0: until now
	Max       int64 // messages of a span, 0: all
}

// Ref is the place of a message.
type Ref struct {
	Broker string
	Queue  int32
	Index  mq.Index
}

func (r Ref) String() string { return fmt.Sprintf("%s/%d@%d", r.Broker, r.Queue, r.Index) }

// Named reports whether messages are named.
func (s *Selection) Named() bool { return len(s.Refs)+len(s.OffsetIDs) > 0 }

// maxNamed bounds a request.
const maxNamed = 10_000

// Validate checks a selection.
func (s *Selection) Validate() error {
	switch {
	case len(s.Refs)+len(s.OffsetIDs) > maxNamed:
		return fmt.Errorf("at most %d messages can be named", maxNamed)
	case s.Named() && (s.From != 0 || s.To != 0):
		return errors.New("either messages or a span of time")
	case s.From < 0 || s.To < 0 || s.Max < 0:
		return errors.New("times and numbers must not be negative")
	case s.To != 0 && s.To < s.From:
		return errors.New("the end must not be before the beginning")
	}
	for _, id := range s.OffsetIDs {
		if _, _, err := record.ParseOffsetID(id); err != nil {
			return err
		}
	}
	return nil
}

// message is a stored message with where it was. Its slices are good until the next one is read.
type message struct {
	record.Message
	ref Ref
}

func (m *message) prop(key string) string {
	v, _ := m.Props.Get(key)
	return string(v)
}

// reader reads the messages of a topic.
type reader struct {
	c     mq.Cluster
	topic string
	route mq.Route
}

func newReader(ctx context.Context, c mq.Cluster, topic string) (*reader, error) {
	route, err := c.NameServer("").Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	readable := func(q mq.RouteQueues) bool { return q.Perm.Readable() }
	if !slices.ContainsFunc(route.Queues, readable) { // brokers before 4.9 made dead-letter topics like that
		return nil, fmt.Errorf("topic %s must not be read: give it the permission to read", topic)
	}
	return &reader{c: c, topic: topic, route: route}, nil
}

// span is a part of a queue.
type span struct {
	broker string
	at     mq.RemoteBroker
	queue  int32
	lo, hi mq.Index
}

// spans returns where the messages of a time are; they are fixed before the first is read, so that what a job sends is not read by it.
func (r *reader) spans(ctx context.Context, s *Selection) (out []span, total int64, err error) {
	for _, q := range r.route.Queues {
		set := r.route.Set(q.Broker)
		if set == nil || !q.Perm.Readable() {
			continue
		}
		at := r.c.Broker(set.Any())
		for id := range q.Read {
			p := span{broker: q.Broker, at: at, queue: id}
			if s.From > 0 {
				p.lo, err = at.IndexAtTime(ctx, r.topic, id, s.From, mq.BoundaryLower)
			} else {
				p.lo, err = at.MinIndex(ctx, r.topic, id)
			}
			if err != nil {
				return nil, 0, err
			}
			if p.hi, err = at.MaxIndex(ctx, r.topic, id); err != nil {
				return nil, 0, err
			}
			if s.To > 0 {
				last, err := at.IndexAtTime(ctx, r.topic, id, s.To, mq.BoundaryUpper)
				if err != nil {
					return nil, 0, err
				}
				p.hi = min(p.hi, last+1) // the message at last may be behind the end: its store time decides
			}
			if p.lo < p.hi {
				out, total = append(out, p), total+int64(p.hi-p.lo)
			}
		}
	}
	return out, total, nil
}

// Count returns how many messages a selection is about; of a span those whose positions fit.
func Count(ctx context.Context, c mq.Cluster, topic string, s *Selection) (int64, error) {
	r, err := newReader(ctx, c, topic)
	if err != nil || s.Named() {
		return int64(len(s.Refs) + len(s.OffsetIDs)), err
	}
	_, n, err := r.spans(ctx, s)
	if s.Max > 0 {
		n = min(n, s.Max)
	}
	return n, err
}

var errEnough = errors.New("enough")

// each hands the messages of a selection to fn, queue after queue, and counts as failed what was named and is not there. An error of fn
// ends it.
func (r *reader) each(ctx context.Context, t *Task, s *Selection, fn func(m *message) error) error {
	if s.Named() {
		t.Expect(int64(len(s.Refs) + len(s.OffsetIDs)))
		return r.named(ctx, t, s, fn)
	}
	list, total, err := r.spans(ctx, s)
	if err != nil {
		return err
	}
	left := s.Max
	if left == 0 || left > total {
		left = total
	}
	t.Expect(left)
	for i := range list {
		err = r.span(ctx, &list[i], func(m *message) error {
			if (s.To > 0 && m.StoreTime > s.To) || m.StoreTime < s.From {
				return nil
			}
			if left == 0 {
				return errEnough
			}
			left--
			return fn(m)
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// span reads a part of a queue.
func (r *reader) span(ctx context.Context, p *span, fn func(m *message) error) error {
	var buf []byte
	for at := p.lo; at < p.hi; {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := r.pull(ctx, p.at, p.queue, at, batchSize, buf[:0])
		if err != nil {
			return err
		}
		buf = f.Records
		for rest := f.Records; len(rest) > 0; {
			m := message{ref: Ref{Broker: p.broker, Queue: p.queue}}
			n, err := record.Decode(rest, &m.Message, false)
			if err != nil {
				return fmt.Errorf("%s: %w", Ref{p.broker, p.queue, at}, err)
			}
			rest = rest[n:]
			if m.Index >= p.hi {
				return nil
			}
			m.ref.Index = m.Index
			if err := fn(&m); err != nil {
				return err
			}
		}
		if f.Next <= at {
			return nil // the broker has nothing more
		}
		at = f.Next
	}
	return nil
}

func (r *reader) pull(ctx context.Context, at mq.RemoteBroker, queue int32, from mq.Index, n int32, dst []byte) (mq.Fetch, error) {
	return at.Pull(ctx, &mq.PullRequest{
		Group: toolGroup, Topic: r.topic, QueueID: queue, From: from, MaxMessages: n, HasExpression: true, Expression: "*", ExpressionType: "TAG",
	}, dst)
}

// Codes of failures.
const (
	CodeNotFound = "notFound"
	CodeNoOrigin = "noOrigin"
	CodeRefused  = "refused"
	CodeWeak     = "notDurable"
	CodeDenied   = "outOfScope"
)

var (
	errNotThere = errors.New("there is no such message any more")
	errStranger = errors.New("no broker of this topic has this address")
)

// named reads messages one by one.
func (r *reader) named(ctx context.Context, t *Task, s *Selection, fn func(m *message) error) error {
	for _, ref := range s.Refs {
		m, err := r.one(ctx, ref)
		if err = r.hand(ctx, t, ref.String(), m, err, fn); err != nil {
			return err
		}
	}
	for _, id := range s.OffsetIDs {
		m, err := r.byID(ctx, id)
		if err = r.hand(ctx, t, id, m, err, fn); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) hand(ctx context.Context, t *Task, item string, m *message, err error, fn func(m *message) error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		t.Fail(item, CodeNotFound, err)
		return nil
	}
	return fn(m)
}

func (r *reader) one(ctx context.Context, ref Ref) (*message, error) {
	set := r.route.Set(ref.Broker)
	if set == nil {
		return nil, errStranger
	}
	f, err := r.pull(ctx, r.c.Broker(set.Any()), ref.Queue, ref.Index, 1, nil)
	if err != nil {
		return nil, err
	}
	m := &message{ref: ref}
	if len(f.Records) == 0 {
		return nil, errNotThere
	}
	if _, err := record.Decode(f.Records, &m.Message, false); err != nil {
		return nil, err
	}
	if m.Index != ref.Index || m.QueueID != ref.Queue || string(m.Topic) != r.topic {
		return nil, errNotThere
	}
	return m, nil
}

// byID reads a message by its offset id. Only brokers that the topic is on are asked: the address in an id may be anybody's.
func (r *reader) byID(ctx context.Context, id string) (*message, error) {
	host, at, err := record.ParseOffsetID(id)
	if err != nil {
		return nil, err
	}
	for _, set := range r.route.Brokers {
		for _, addr := range set.Addrs {
			if a, err := netip.ParseAddrPort(addr); err != nil || a != host {
				continue
			}
			rec, err := r.c.Broker(addr).MessageAt(ctx, at, nil)
			if err != nil {
				return nil, err
			}
			m := &message{}
			if _, err := record.Decode(rec, &m.Message, false); err != nil {
				return nil, err
			}
			if string(m.Topic) != r.topic {
				return nil, errNotThere
			}
			m.ref = Ref{Broker: set.Name, Queue: m.QueueID, Index: m.Index}
			return m, nil
		}
	}
	return nil, errStranger
}

// unpack returns the body as the producer gave it; packed says how it is still packed when it could not be unpacked.
func (m *message) unpack() (body []byte, packed string) {
	if m.SysFlag&record.SysFlagCompressed == 0 {
		return m.Body, ""
	}
	switch m.SysFlag & record.SysFlagCompressionMask {
	case record.SysFlagLZ4:
		return m.Body, "lz4"
	case record.SysFlagZSTD:
		return m.Body, "zstd"
	}
	z, err := zlib.NewReader(bytes.NewReader(m.Body))
	if err != nil {
		return m.Body, "zlib"
	}
	out, err := io.ReadAll(io.LimitReader(z, maxBody+1))
	if err != nil || len(out) > maxBody {
		return m.Body, "zlib"
	}
	return out, ""
}

// writable returns the queues of a topic that take messages, in order of broker and queue.
func writable(ctx context.Context, c mq.Cluster, topic string) ([]span, error) {
	route, err := c.NameServer("").Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	var out []span
	for _, q := range route.Queues {
		if set := route.Set(q.Broker); set != nil && set.Master() != "" && q.Perm.Writable() {
			for id := range q.Write {
				out = append(out, span{broker: q.Broker, at: c.Broker(set.Master()), queue: id})
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("topic %s has no queue that takes messages", topic)
	}
	slices.SortFunc(out, func(a, b span) int {
		if a.broker != b.broker {
			if a.broker < b.broker {
				return -1
			}
			return 1
		}
		return int(a.queue - b.queue)
	})
	return out, nil
}
