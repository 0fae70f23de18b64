package commitlog

import (
	"errors"

	"github.com/cometmq/cometmq/internal/record"
)

// Seq counts the positions of one queue. It belongs to the leader of the log: outside of Append and Exclusive nobody
// may touch it once the queue has been used.
type Seq struct{ next int64 }

// Set sets the position of the next record.
func (s *Seq) Set(next record.Index) { s.next = int64(next) }

// Next returns the position of the next record.
func (s *Seq) Next() record.Index { return record.Index(s.next) }

type entry struct {
	pos, size int
	seq       *Seq // nil: the record has no position in a queue
	count     int64
	stamps    int // of Batch.stamps, how many are its own
	group     int // in the first entry of a group: how many belong to it
	index     record.Index
	offset    record.Offset
}

// stamp is a queue position that is written into the text of a record when the record gets its place.
type stamp struct {
	seq     *Seq
	at      int   // where in the record, Digits bytes
	back    int64 // how far before the next position of seq
	advance int64 // how many positions of seq are taken
}

// Digits is the length of a position in text: decimal digits with leading zeros. No queue can have more positions.
const Digits = 18

// put writes the position into rec and takes it.
func (s *stamp) put(rec []byte) {
	n := s.seq.next - s.back
	for i := Digits - 1; i >= 0; i-- {
		rec[s.at+i] = byte('0' + n%10)
		n /= 10
	}
	s.seq.next += s.advance
}

// Batch is records that are appended together, in order. It is reused; Reset keeps its memory.
type Batch struct {
	buf     []byte
	entries []entry
	stamps  []stamp // of all entries, in their order
	open    int     // 1 + first entry of the open group, 0 when none is open
	storeMs int64
	placed  int // entries that the leader has given offsets to
	err     error
	excl    func() error
	sig     chan signal
}

type signal uint8

const (
	sigDone signal = iota
	sigLead
)

var errGroup = errors.New("batch group is not closed")

// Reset empties the batch.
func (b *Batch) Reset() {
	b.buf, b.entries, b.stamps, b.open = b.buf[:0], b.entries[:0], b.stamps[:0], 0
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.entries) }

// Size returns the bytes of all records.
func (b *Batch) Size() int { return len(b.buf) }

// Add encodes m behind the others. seq gives it its queue position; nil leaves 0, as for prepared messages. On an error
// nothing is added.
func (b *Batch) Add(seq *Seq, m *record.Message) (int, error) {
	start := len(b.buf)
	buf, err := m.AppendTo(b.buf)
	if err != nil {
		b.buf = b.buf[:start]
		return -1, err
	}
	b.buf = buf
	b.entries = append(b.entries, entry{pos: start, size: len(buf) - start, seq: seq, count: 1, group: 1})
	return len(b.entries) - 1, nil
}

// Count makes the last record take n positions of its queue, which begin with its own.
func (b *Batch) Count(n int) { b.last().count = int64(n) }

// Own has the position of the last record written at byte at of it, too.
func (b *Batch) Own(at int) {
	e := b.last()
	b.stamp(stamp{seq: e.seq, at: at, back: e.count})
}

// Also gives the last record a position of another queue, written at byte at of it. A queue that it has a position of
// already gives no second one.
func (b *Batch) Also(seq *Seq, at int) {
	own := b.stamps[len(b.stamps)-b.last().stamps:]
	for i := range own {
		if own[i].seq == seq {
			b.stamp(stamp{seq: seq, at: at, back: 1})
			return
		}
	}
	b.stamp(stamp{seq: seq, at: at, advance: 1})
}

func (b *Batch) stamp(s stamp) {
	b.stamps = append(b.stamps, s)
	b.last().stamps++
}

func (b *Batch) last() *entry { return &b.entries[len(b.entries)-1] }

// BeginGroup starts a group: the records up to EndGroup stay in one file and are stored all or none.
func (b *Batch) BeginGroup() { b.open = len(b.entries) + 1 }

// EndGroup ends the group; keep = false takes its records out again.
func (b *Batch) EndGroup(keep bool) {
	first := b.open - 1
	b.open = 0
	if first < 0 || first >= len(b.entries) {
		return
	}
	if !keep {
		b.buf = b.buf[:b.entries[first].pos]
		for _, e := range b.entries[first:] {
			b.stamps = b.stamps[:len(b.stamps)-e.stamps]
		}
		b.entries = b.entries[:first]
		return
	}
	b.entries[first].group = len(b.entries) - first
}

// Result returns where record i is, after Append.
func (b *Batch) Result(i int) (record.Index, record.Offset, int64) {
	return b.entries[i].index, b.entries[i].offset, b.storeMs
}

// Record returns record i as it was added: its places are those of the batch only after Append. It is good until the batch
// changes.
func (b *Batch) Record(i int) []byte {
	e := &b.entries[i]
	return b.buf[e.pos : e.pos+e.size : e.pos+e.size]
}

// RecordSize returns the bytes of record i.
func (b *Batch) RecordSize(i int) int { return b.entries[i].size }

// End returns the offset after the last record, after Append.
func (b *Batch) End() record.Offset {
	if len(b.entries) == 0 {
		return 0
	}
	e := &b.entries[len(b.entries)-1]
	return e.offset + record.Offset(e.size)
}
