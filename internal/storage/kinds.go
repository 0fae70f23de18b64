package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// Queues of other kinds than the simple one.
//
// In a batch queue (Java's BatchCQ) a record may stand for many messages: it has the index of the first one and takes as many
// as its property INNER_NUM says. Each record of such a queue is marked (bit 7 of the system flag), so that the queue can be
// rebuilt without knowing the topic's attributes.
//
// A light queue (Java's LMQ) has no records of its own. A message of an ordinary queue names the light queues that it is in,
// too, in INNER_MULTI_DISPATCH; its index in each of them stands in INNER_MULTI_QUEUE_OFFSET, in the same order.

// LightPrefix begins the names of light queues. Their queue id is 0.
const LightPrefix = "%LMQ%"

// ErrInUse says that a topic with simple queues cannot get batch queues.
var ErrInUse = consumequeue.ErrInUse

// noIndex stands for the index in a queue that is not a light one.
//
// Differs from Java: it leaves the index empty, and the thread that fills the queues fails on it for ever.
const noIndex = "-1"

var (
	lightPrefix = []byte(LightPrefix)
	digits      = bytes.Repeat([]byte{'0'}, commitlog.Digits)
)

// IsLight reports whether a name is that of a light queue.
func IsLight(name string) bool { return strings.HasPrefix(name, LightPrefix) }

// AllowsLight reports whether messages of a topic may be in light queues, too (Java's MixAll.topicAllowsLMQ).
//
// Differs from Java: half messages may not. There they are in the light queues before they are committed, and again after.
func AllowsLight(topic []byte) bool {
	for _, prefix := range [...]string{"%RETRY%", "rmq_sys_", "RMQ_SYS_"} {
		if len(topic) >= len(prefix) && string(topic[:len(prefix)]) == prefix {
			return false
		}
	}
	return string(topic) != "SCHEDULE_TOPIC_XXXX"
}

// isLightQueue reports whether a message can be put into the light queue called name. A name with a slash cannot be a folder.
func isLightQueue(name []byte) bool {
	return bytes.HasPrefix(name, lightPrefix) && len(name) > len(lightPrefix) && len(name) <= 255 && bytes.IndexByte(name, '/') < 0
}

// Batch reports whether records of the queue may stand for several messages.
func (q *Queue) Batch() bool { return q.queue().Batch() }

// MakeBatch makes the queues of a topic batch queues. The error is ErrInUse when it has messages in simple ones.
func (s *Store) MakeBatch(topic string) error {
	if s.Queue(topic, 0).Batch() {
		return nil
	}
	return s.log.Exclusive(func() error { return s.makeBatch(topic) })
}

// makeBatch is MakeBatch while nothing is appended.
func (s *Store) makeBatch(topic string) error {
	if err := s.cqs.MakeBatch(topic); err != nil {
		return err
	}
	s.restart(topic)
	return nil
}

// AddBatch is Add for a record of n messages in a batch queue; m.Body holds them all, or is the only one. It gets the
// properties INNER_NUM and INNER_BASE.
func (b *Batch) AddBatch(q *Queue, m *record.Message, n int) (int, error) {
	if n < 1 || n > math.MaxInt16 {
		return -1, record.ErrTooLarge
	}
	if err := q.prepare(); err != nil {
		return -1, err
	}
	p := m.Props.AppendWithout(b.props[:0], record.PropInnerNum, record.PropInnerBase)
	p = append(append(p, record.PropInnerNum...), 1)
	p = append(strconv.AppendInt(p, int64(n), 10), 2)
	p = append(append(p, record.PropInnerBase...), 1)
	p = append(append(p, digits...), 2)
	b.props, m.Props = p, p
	m.SysFlag |= record.SysFlagInnerBatch
	i, err := b.add(q, m)
	if err != nil {
		return -1, err
	}
	b.b.Count(n)
	b.b.Own(b.inProps(i, m, len(digits)+1))
	return i, nil
}

// inProps returns where in record i the byte is that stands left bytes before the end of m's properties.
func (b *Batch) inProps(i int, m *record.Message, left int) int {
	at := b.b.RecordSize(i) - left
	if m.ReserveCRC {
		at -= record.PropCRCSize
	}
	return at
}

// AddLight is Add for a message that is in the light queues called names, too: a list separated by commas, the value of its
// property INNER_MULTI_DISPATCH. Other names in it are ignored. As in Java it loses the property WAIT.
func (b *Batch) AddLight(q *Queue, m *record.Message, names []byte) (int, error) {
	if err := q.prepare(); err != nil {
		return -1, err
	}
	p := m.Props.AppendWithout(b.props[:0], record.PropWait, record.PropMultiOffset)
	p = append(append(p, record.PropMultiOffset...), 1)
	b.lights = b.lights[:0]
	for more := true; more; {
		var name []byte
		name, names, more = bytes.Cut(names, []byte{','})
		if isLightQueue(name) {
			light := q.s.queueOf(name, 0)
			if err := light.prepare(); err != nil {
				return -1, err
			}
			b.lights = append(b.lights, lightAt{light, len(p)})
			p = append(p, digits...)
		} else {
			p = append(p, noIndex...)
		}
		p = append(p, ',')
	}
	p[len(p)-1] = 2
	b.props, m.Props = p, p
	i, err := b.add(q, m)
	if err != nil {
		return -1, err
	}
	for _, l := range b.lights {
		b.b.Also(&l.queue.seq, b.inProps(i, m, len(p)-l.at))
	}
	return i, nil
}

// lightAt is a light queue and where its index stands: in the properties of a new message, or in the queue itself.
type lightAt struct {
	queue *Queue
	at    int
}

// append adds a dispatched record to the queue.
func (q *Queue) append(d *Dispatched) error {
	return q.queue().AppendBatch(d.Index, d.Count, d.Offset, d.Size, d.TagsCode, d.StoreTime)
}

// noteBatch finds out how many messages a marked record of q stands for. While the queues are rebuilt it makes q a batch
// queue if nothing is in it.
func (s *Store) noteBatch(q *Queue, d *Dispatched) {
	if _, ok := d.Props.Get(record.PropInnerBase); !ok {
		return
	}
	if !q.Batch() && s.replaying && q.Max() == 0 {
		if err := s.makeBatch(q.topic); err != nil && !errors.Is(err, ErrInUse) {
			s.o.Log.Error("make batch queues", "topic", q.topic, "err", err)
		}
	}
	if !q.Batch() {
		return
	}
	if v, ok := d.Props.Get(record.PropInnerNum); ok {
		if n, err := strconv.ParseInt(bytesview.String(v), 10, 16); err == nil && n > 0 {
			d.Count = int32(n)
		}
	}
}

// lightHit is a message that became visible in a light queue.
type lightHit struct {
	queue *Queue
	index record.Index
}

// indexLight adds the record of d, a message of topic, to the light queues that it names.
func (s *Store) indexLight(owner *Queue, d *Dispatched, topic []byte) error {
	s.lights = s.lights[:0]
	names, list := d.Props.Multi()
	if names == nil || list == nil || !AllowsLight(topic) || owner.Batch() {
		return nil
	}
	for len(names) > 0 && len(list) > 0 {
		var name, text []byte
		name, names, _ = bytes.Cut(names, []byte{','})
		text, list, _ = bytes.Cut(list, []byte{','})
		if !isLightQueue(name) {
			continue
		}
		q := s.queueOf(name, 0)
		cq := q.queue()
		next := cq.Next()
		n, err := strconv.ParseInt(bytesview.String(text), 10, 64)
		if idx := record.Index(n); err != nil || idx < 0 || idx >= 1<<40 || next > 0 && idx-next > maxGap {
			s.stats.damaged.Add(1)
			s.o.Log.Error("index of a message in a light queue is damaged", "queue", q.topic, "offset", d.Offset, "says", string(text))
			continue
		}
		err = cq.Append(record.Index(n), d.Offset, d.Size, d.TagsCode)
		if errors.Is(err, consumequeue.ErrDeleted) {
			err = q.queue().Append(record.Index(n), d.Offset, d.Size, d.TagsCode)
		}
		if err != nil {
			return fmt.Errorf("light queue %s at %d: %w", q.topic, n, err)
		}
		if next == 0 {
			s.lightCount.Add(1)
		}
		if hit := (lightHit{q, record.Index(n)}); !slices.Contains(s.lights, hit) {
			s.lights = append(s.lights, hit)
		}
	}
	return nil
}

// tellLight tells about the record that indexLight has added.
func (s *Store) tellLight() {
	for _, l := range s.lights {
		d := s.note
		d.Index, d.Count = l.index, 1
		s.o.OnDispatch(l.queue, &d)
	}
}

// LightQueues returns how many light queues there are.
func (s *Store) LightQueues() int64 { return s.lightCount.Load() }

// countLight counts the light queues that are on disk.
func (s *Store) countLight() error {
	n := int64(0)
	err := s.cqs.Each(func(q *consumequeue.Queue) bool {
		if IsLight(q.Topic()) {
			n++
		}
		return true
	})
	s.lightCount.Store(n)
	return err
}
