package storage

import (
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
)

// Batch is messages that are stored together, in order. It is reused: Reset keeps its memory. It is for one goroutine.
type Batch struct {
	b      commitlog.Batch
	props  []byte    // of the message that is being added, see AddBatch
	lights []lightAt // its light queues
}

// Reset empties the batch.
func (b *Batch) Reset() { b.b.Reset() }

// Len returns the number of messages.
func (b *Batch) Len() int { return b.b.Len() }

// Size returns the bytes of all records.
func (b *Batch) Size() int { return b.b.Size() }

// Add encodes m for queue q and returns its number in the batch. Index, offset, store time, store host and queue id of
// m are the store's. On an error (illegal, too long) nothing is added.
func (b *Batch) Add(q *Queue, m *record.Message) (int, error) {
	if err := q.prepare(); err != nil {
		return -1, err
	}
	if m.SysFlag&record.SysFlagInnerBatch != 0 {
		// A batch that was taken out of its queue: it must not look as if it were in one of that kind, see noteBatch.
		b.props = m.Props.AppendWithout(b.props[:0], record.PropInnerNum, record.PropInnerBase)
		m.Props = b.props
	}
	return b.add(q, m)
}

func (b *Batch) add(q *Queue, m *record.Message) (int, error) {
	m.QueueID, m.StoreHost, m.Index, m.Offset, m.StoreTime = q.id, q.s.o.StoreHost, 0, 0, 0
	seq := &q.seq
	switch m.SysFlag & record.SysFlagTransactionMask {
	case record.SysFlagPrepared, record.SysFlagRollback:
		seq = nil
	}
	m.ReserveCRC = q.s.o.AppendPropCRC
	return b.b.Add(seq, m)
}

// BeginGroup starts a group of messages that are stored all or none and in one log file, as those of one batch request.
func (b *Batch) BeginGroup() { b.b.BeginGroup() }

// EndGroup ends the group; keep = false takes its messages out again.
func (b *Batch) EndGroup(keep bool) { b.b.EndGroup(keep) }

// AddGroup adds the messages of one batch request, which next yields, as a group. m has what they share. It returns the
// number of the first and how many there are; on an error none is added.
func (b *Batch) AddGroup(q *Queue, m *record.Message, next func() (flag int32, body []byte, props record.Props, ok bool)) (first, n int, err error) {
	first = b.Len()
	b.BeginGroup()
	for {
		var ok bool
		if m.Flag, m.Body, m.Props, ok = next(); !ok {
			break
		}
		if _, err := b.Add(q, m); err != nil {
			b.EndGroup(false)
			return -1, 0, err
		}
		n++
	}
	b.EndGroup(true)
	return first, n, nil
}

// Result returns where message i was stored, after Append.
func (b *Batch) Result(i int) (record.Index, record.Offset, int64) { return b.b.Result(i) }

// Record returns record i as it was added, which before Append does not say where it is. It is good until the batch changes.
func (b *Batch) Record(i int) []byte { return b.b.Record(i) }

// RecordSize returns the length of record i in the log.
func (b *Batch) RecordSize(i int) int { return b.b.RecordSize(i) }

// End returns the log offset behind the last message, after Append: what an Await of the batch waits for.
func (b *Batch) End() record.Offset { return b.b.End() }

// Append stores the messages of b in the order they were added and returns when they are in the log. The error is a
// *ReadOnlyError, a *DiskFullError, ErrTooLarge, ErrCopy or ErrClosed; some of the messages may be stored even so.
//
// The caller may find itself dispatching (see OnDispatch), so it must hold no lock that OnDispatch takes.
func (s *Store) Append(b *Batch) error {
	if s.o.Copy || s.o.Sealed {
		return ErrCopy
	}
	if err := s.log.Append(&b.b); err != nil {
		s.wake()
		return err
	}
	if !s.o.FlushSync {
		s.follow()
	}
	return nil
}
