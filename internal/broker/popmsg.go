package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/broker/pop"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// appendIndexes appends the indexes in q of stored records.
func appendIndexes(dst []mq.Index, q *storage.Queue, records []byte) []mq.Index {
	if storage.IsLight(q.Topic()) {
		return appendLightIndexes(dst, q.Topic(), records)
	}
	for len(records) > 0 {
		h, err := record.Header(records)
		if err != nil || h.Size > len(records) {
			return dst // the store checked them
		}
		dst = append(dst, h.Index)
		records = records[h.Size:]
	}
	return dst
}

// appendLightIndexes is appendIndexes for a light queue: a record's own index is that of the queue of its topic.
func appendLightIndexes(dst []mq.Index, queue string, records []byte) []mq.Index {
	var m record.Message
	for len(records) > 0 {
		n, err := record.Decode(records, &m, false)
		if err != nil || n <= 0 || n > len(records) {
			return dst // the store checked them
		}
		records = records[n:]
		names, indexes := m.Props.Multi()
		for more := true; more; {
			var name, index []byte
			name, names, more = bytes.Cut(names, []byte(","))
			index, indexes, _ = bytes.Cut(indexes, []byte(","))
			if string(name) != queue {
				continue
			}
			if at, err := strconv.ParseInt(bytesview.String(index), 10, 64); err == nil {
				dst = append(dst, mq.Index(at))
			}
			break
		}
	}
	return dst
}

// reconsumeBefore is how far before the body the reconsume times stand: 4 bytes, and then an offset and the body's length.
const reconsumeBefore = 16

// raiseReconsume adds the times that a message was handed out before to its reconsume times.
func raiseReconsume(rec []byte, attempt int32) {
	h, err := record.Header(rec)
	if err != nil || attempt == 0 {
		return
	}
	at := rec[h.BodyAt-reconsumeBefore:]
	binary.BigEndian.PutUint32(at, binary.BigEndian.Uint32(at)+uint32(attempt))
}

// reencode appends the records that were read from a retry topic as messages of the topic that was asked for. Their handles
// come with them, because a client would make them for the wrong topic.
func (c *popCall) reencode(q *queue, source int) {
	if c.b.o.PopActualRetryTopic {
		c.res.Records = append(c.res.Records, c.records...)
		return
	}
	least := c.given[0]
	for _, at := range c.given {
		least = min(least, at)
	}
	rc := mq.Receipt{
		Start: least, PopTime: c.lease.PopTime, Invisible: c.lease.Invisible, ReviveQID: c.res.ReviveQID, Retry: retryFlags[source],
		Broker: c.b.o.Name, QueueID: q.store.ID(), Offset: -1,
	}
	var m record.Message
	for rest := c.records; len(rest) > 0; {
		n, err := record.Decode(rest, &m, false)
		if err != nil || n <= 0 || n > len(rest) {
			return
		}
		rest = rest[n:]
		rc.Index = m.Index
		c.handle = m.Props.AppendWithout(c.handle[:0], record.PropPopCheckpoint)
		c.handle = append(append(c.handle, record.PropPopCheckpoint...), 1)
		c.handle = append(rc.AppendTo(c.handle), 2)
		m.Magic, m.Topic, m.Props = 0, bytesview.Bytes(c.p.topic), c.handle
		if out, err := m.AppendTo(c.res.Records); err == nil {
			c.res.Records = out
		} else { // the handle made the properties too long: without it the client makes a wrong one, and the message comes again
			c.b.o.Log.Warn("a message of a retry topic has no room for its handle", "topic", c.p.topic, "index", m.Index, "err", err)
			c.res.Count--
		}
	}
}

var retryFlags = [3]string{"0", "1", "2"}

// popSpill copies messages that were not acknowledged to the retry topic of their group, as Java does with all of them. It
// returns nil when they are in the log, or not in the store any more.
func (b *Broker) popSpill(s *pop.Shard, list []pop.Given) error {
	name := s.Topic()
	if !strings.HasPrefix(name, retryPrefix) {
		names := retryTopics(s.Group(), name)
		name = names[0]
		if b.o.PopRetryV2 {
			name = names[1]
		}
	}
	if !b.o.Slave {
		b.ensureTopic(context.Background(), mq.TopicConfig{Name: name, ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead | mq.PermWrite})
		if _, ok := b.meta.Offsets.Query(s.Group(), name, 0); !ok {
			b.meta.Offsets.Commit(s.Group(), name, 0, 0)
		}
	}
	from, to := b.store.Queue(s.Topic(), s.Queue()), b.store.Queue(name, 0)
	var batch storage.Batch
	var rec, props []byte
	for _, g := range list {
		found := b.store.Read(from, &storage.Read{From: g.Index, MaxCount: 1, MaxScan: 1}, rec[:0])
		rec = found.Records
		var m record.Message
		if found.Count == 0 {
			b.o.Log.Warn("a message that was not acknowledged is gone from the store", "group", s.Group(), "topic", s.Topic(),
				"queue", s.Queue(), "index", g.Index)
			continue
		}
		if _, err := record.Decode(rec, &m, false); err != nil {
			b.o.Log.Error("a message that was not acknowledged cannot be read", "group", s.Group(), "topic", s.Topic(),
				"queue", s.Queue(), "index", g.Index, "err", err)
			continue
		}
		props = append(props[:0], m.Props.AppendTerminated(nil)...)
		if _, ok := m.Props.Get(record.PropFirstPopTime); !ok {
			props = record.AppendProp(props, record.PropFirstPopTime, strconv.FormatInt(g.PopTime(), 10))
		}
		if _, ok := m.Props.Get(record.PropOriginGroup); !ok {
			props = record.AppendProp(props, record.PropOriginGroup, s.Group())
		}
		m.Magic, m.Topic, m.Props = 0, []byte(name), props
		m.Reconsume += g.Attempt
		if _, err := batch.Add(to, &m); err != nil {
			b.o.Log.Error("a message that was not acknowledged does not fit into the retry topic", "group", s.Group(),
				"topic", s.Topic(), "queue", s.Queue(), "index", g.Index, "err", err)
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	if escape := b.escapes(); escape != nil {
		ctx, cancel := context.WithTimeout(context.Background(), spillEscape)
		defer cancel()
		_, err := escape(ctx, &batch)
		return err
	}
	return b.store.Append(&batch)
}

// spillEscape is how long an acting slave tries to give messages that were not acknowledged to another set, before others have
// their turn.
const spillEscape = 5 * time.Second
