package crash

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// sent is a message that was handed to the store, whatever became of it.
type sent struct {
	line   *line
	body   string
	stored bool // Append returned nil before the cut
	acked  bool // a producer that waits for the disk was answered, or a consumer that is shown durable messages only saw it
	gone   bool // its topic was deleted and the deletion was answered
	index  record.Index
	offset record.Offset
	end    record.Offset
}

// line is one queue as the model knows it.
type line struct {
	topic    string
	id       int32
	next     record.Index           // of the next message
	high     record.Index           // no message ever had this index or a higher one
	at       map[record.Index]int64 // index -> serial of what is stored
	blank    map[record.Index]bool  // lost in a power cut without ever having been promised
	unknown  int                    // messages handed over without an answer
	notified record.Index           // next index that OnDispatch will tell
	doubtful bool                   // a deletion of the topic was cut: any part of the old content may be there
}

func (l *line) String() string { return fmt.Sprintf("%s/%d", l.topic, l.id) }

func (l *line) clear() {
	l.next, l.unknown, l.notified, l.doubtful = 0, 0, 0, false
	clear(l.at)
	clear(l.blank)
}

// model is what a store must hold.
type model struct {
	lines []*line
	sent  []*sent       // by serial
	cut   record.Offset // the highest begin that the log ever had: nothing is promised below
	lossy bool          // there was a power cut: places may be damaged that were never promised
}

func newModel(topics []string, queues int32) *model {
	m := &model{}
	for _, t := range topics {
		for id := range queues {
			m.lines = append(m.lines, &line{topic: t, id: id, at: map[record.Index]int64{}, blank: map[record.Index]bool{}})
		}
	}
	return m
}

func (m *model) find(topic string, id int32) *line {
	i := slices.IndexFunc(m.lines, func(l *line) bool { return l.topic == topic && l.id == id })
	return m.lines[i]
}

// loss is how bad the last exit was.
type loss uint8

const (
	lossNone  loss = iota // a clean stop or a killed process: all that was written is there
	lossPower             // what was not synced may be missing
)

// promised reports whether x must be there after an exit.
func (m *model) promised(x *sent, by loss, flushed record.Offset) bool {
	if !x.stored || x.gone || x.offset < m.cut {
		return false
	}
	return by == lossNone || x.acked || x.end <= flushed
}

// tally counts what a check saw.
type tally struct {
	promised, found int64
}

// check compares all queues of s with the model after an exit and takes over what is there.
func (m *model) check(s *storage.Store, by loss, flushed record.Offset, keys bool) (tally, error) {
	var n tally
	for _, l := range m.lines {
		if err := m.checkLine(s, l, by, flushed, keys, &n); err != nil {
			return n, fmt.Errorf("queue %s (log %d..%d, durable %d): %w", l, s.MinOffset(), s.Appended(), flushed, err)
		}
	}
	return n, nil
}

func (m *model) checkLine(s *storage.Store, l *line, by loss, flushed record.Offset, keys bool, n *tally) error {
	q := s.Queue(l.topic, l.id)
	got, err := m.read(s, q, l, keys)
	if err != nil {
		return err
	}
	if s.MinOffset() > m.cut {
		return fmt.Errorf("the log begins at %d, nothing was deleted from %d on", s.MinOffset(), m.cut)
	}
	l.high = max(l.high, l.next+record.Index(l.unknown))
	if q.Max() > l.high {
		return fmt.Errorf("max index %d, only %d were ever handed over", q.Max(), l.high)
	}
	for _, idx := range slices.Sorted(maps.Keys(l.at)) {
		serial := l.at[idx]
		x := m.sent[serial]
		// The index counts even when the message has been deleted by age.
		kept := x.stored && !x.gone && (by == lossNone || x.acked || x.end <= flushed)
		if q.Max() <= idx && kept && !l.doubtful {
			return fmt.Errorf("max index went back to %d, %d was promised (log %d): indexes would be used again", q.Max(), idx+1, x.offset)
		}
	}
	for _, idx := range slices.Sorted(maps.Keys(l.at)) {
		serial := l.at[idx]
		x := m.sent[serial]
		if have, ok := got[idx]; ok && have != serial {
			if m.promised(x, by, flushed) {
				return fmt.Errorf("index %d holds message %d, message %d was promised there", idx, have, serial)
			}
			continue
		} else if ok {
			n.found++
			if m.promised(x, by, flushed) {
				n.promised++
			}
			continue
		}
		switch {
		case l.doubtful:
			delete(l.at, idx)
		case x.offset < m.cut: // deleted by age
		case m.promised(x, by, flushed):
			return fmt.Errorf("message %d is lost: index %d, log %d..%d, queue is %d..%d", serial, idx, x.offset, x.end, q.Min(), q.Max())
		default:
			delete(l.at, idx)
			x.stored = false
		}
	}
	for idx, serial := range got {
		if x := m.sent[serial]; !x.stored { // nobody was told, but it is there
			x.stored, x.index = true, idx
			l.at[idx] = serial
		}
	}
	for idx := q.Min(); idx < q.Max(); idx++ {
		if _, ok := got[idx]; !ok && !l.blank[idx] {
			if by == lossNone && !l.doubtful {
				return fmt.Errorf("index %d of %d..%d cannot be read after a stop that loses nothing", idx, q.Min(), q.Max())
			}
			l.blank[idx] = true
		}
	}
	l.next, l.unknown, l.doubtful, l.notified = q.Max(), 0, false, q.Max()
	return nil
}

// read reads a queue from its begin to its end.
func (m *model) read(s *storage.Store, q *storage.Queue, l *line, keys bool) (map[record.Index]int64, error) {
	got := map[record.Index]int64{}
	last := int64(-1)
	var buf []byte
	for at := q.Min(); at < q.Max(); {
		res := s.Read(q, &storage.Read{From: at}, buf[:0])
		buf = res.Records
		if res.Damaged > 0 && !m.lossy {
			return nil, fmt.Errorf("%d damaged records behind index %d", res.Damaged, at)
		}
		for p := res.Records; len(p) > 0; {
			var msg record.Message
			size, err := record.Decode(p, &msg, true)
			if err != nil {
				return nil, fmt.Errorf("record behind index %d: %w", at, err)
			}
			serial, err := m.identify(l, &msg)
			if err != nil {
				return nil, fmt.Errorf("index %d: %w", msg.Index, err)
			}
			if serial <= last {
				return nil, fmt.Errorf("message %d comes after message %d", serial, last)
			}
			x := m.sent[serial]
			if x.stored && (x.index != msg.Index || x.offset != msg.Offset) {
				return nil, fmt.Errorf("message %d is at index %d, log %d; it was stored at %d, %d", serial, msg.Index, msg.Offset, x.index, x.offset)
			}
			x.offset, x.end = msg.Offset, msg.Offset+record.Offset(size)
			last = serial
			got[msg.Index] = serial
			if keys && serial%3 == 0 && msg.Offset >= m.cut {
				if err := findByKey(s, l.topic, serial, msg.Offset); err != nil {
					return nil, err
				}
			}
			p = p[size:]
		}
		if res.Next <= at {
			return nil, fmt.Errorf("read at %d does not go on (status %d)", at, res.Status)
		}
		at = res.Next
	}
	return got, nil
}

// identify returns the serial of a message that was read, an error when nobody sent such a one here.
func (m *model) identify(l *line, msg *record.Message) (int64, error) {
	var serial int64
	head, _, _ := strings.Cut(string(msg.Body), " ")
	if _, err := fmt.Sscanf(head, "%d", &serial); err != nil {
		return 0, fmt.Errorf("phantom: body %.40q", msg.Body)
	}
	if serial < 0 || serial >= int64(len(m.sent)) {
		return 0, fmt.Errorf("phantom: message %d was never sent", serial)
	}
	x := m.sent[serial]
	switch {
	case x.line != l:
		return 0, fmt.Errorf("message %d was sent to %s", serial, x.line)
	case x.body != string(msg.Body):
		return 0, fmt.Errorf("message %d has another body: %.40q, not %.40q", serial, msg.Body, x.body)
	case x.gone:
		return 0, fmt.Errorf("message %d is back although its topic was deleted", serial)
	case string(msg.Topic) != l.topic || msg.QueueID != l.id:
		return 0, fmt.Errorf("message %d says that it is of %s/%d", serial, msg.Topic, msg.QueueID)
	}
	return serial, nil
}

func findByKey(s *storage.Store, topic string, serial int64, off record.Offset) error {
	hits, err := s.QueryKeys(topic, fmt.Sprintf("k%d", serial), 64, 0, math.MaxInt64)
	if err != nil {
		return fmt.Errorf("look for key k%d: %w", serial, err)
	}
	if !slices.Contains(hits.Offsets, off) {
		return fmt.Errorf("message %d at %d is not found by its key: %v", serial, off, hits.Offsets)
	}
	return nil
}
