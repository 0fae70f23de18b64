package delay

import (
	"math"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// anywhere is the end of a position that was moved back (meta.Delays.Back): where the copies are is not known.
const anywhere mq.Offset = 1

// skipDelivered moves the levels behind what a former broker delivered without coming to write that down: at most a batch for each.
// Its copies are in the log behind the end that was written down, and not before the first of them was due.
func (m *Machine) skipDelivered() {
	now := m.o.Now().UnixMilli()
	ends := make([]mq.Offset, len(m.levels))
	from := mq.Offset(math.MaxInt64)
	for i := range m.levels {
		l := &m.levels[i]
		ends[i] = -1
		end := m.o.Progress.End(l.number)
		_, known := m.o.Progress.Get(l.number) // else it is the first batch of all
		var first [1]storage.Entry
		n, _, err := m.o.Store.Entries(l.queue, l.next, first[:])
		if end <= 0 && known || err != nil || n == 0 || l.dueAt(&first[0], now) > now {
			continue // unknown, or nothing is due
		}
		ends[i] = end
		at := m.o.Store.SeekTime(first[0].Tags)
		if end != anywhere {
			at = max(at, end)
		}
		from = min(from, at)
	}
	if from == math.MaxInt64 {
		return
	}
	c := newCopies()
	m.o.Store.Peek(from, func(msg *record.Message) bool {
		c.addLevel(msg, ends)
		return true
	})
	rd := m.o.Store.NewReader()
	defer rd.Close()
	for i := range m.levels {
		if l := &m.levels[i]; ends[i] >= 0 && len(c.n) > 0 {
			m.skip(l, c, rd)
		}
	}
}

// skip moves l behind those messages that c has, in order.
func (m *Machine) skip(l *level, c *copies, rd *storage.Reader) {
	begin := l.next
	var units [128]storage.Entry
	for {
		n, next, err := m.o.Store.Entries(l.queue, l.next, units[:])
		if err != nil || n == 0 {
			break
		}
		stop := false
		for i := range units[:n] {
			if stop = units[i].Offset < 0 || !m.delivered(l, &units[i], c, rd); stop {
				break
			}
			l.next++
		}
		if stop || l.next != next {
			break
		}
	}
	if n := l.next - begin; n > 0 {
		l.done.Store(int64(l.next))
		m.o.Progress.Set(l.number, l.next, m.o.Store.Appended())
		m.o.Log.Info("messages of a delay level that were delivered before are not delivered again", "level", l.number, "messages", n)
	}
}

// delivered reports whether the message at e has a copy in c, and takes that.
func (m *Machine) delivered(l *level, e *storage.Entry, c *copies, rd *storage.Reader) bool {
	rec, err := rd.Record(e.Offset, int(e.Size))
	if err != nil {
		return false
	}
	_, err = record.Decode(rec, &m.msg, false)
	return err == nil && c.take(c.key(&m.msg, l.number, 0))
}
