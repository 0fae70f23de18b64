package storage

import (
	"errors"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// Entry is one unit of a queue: where a message is, without the message.
type Entry struct {
	Index  record.Index
	Offset record.Offset // -1: there is none, an old broker filled the place
	Size   int32
	Tags   int64
}

// Entries reads units of q from index from on into dst, and where to go on. n = 0 with next > from: what was there is gone or
// damaged, which has been reported. n = 0 with next = from: nothing is there yet, or err says why it cannot be read.
func (s *Store) Entries(q *Queue, from record.Index, dst []Entry) (n int, next record.Index, err error) {
	cq := q.queue()
	if err = cq.Open(); err != nil {
		return 0, from, err
	}
	if first := cq.Min(); from < first {
		return 0, first, nil
	}
	end := cq.Next()
	if from >= end {
		return 0, from, nil
	}
	var units [128]consumequeue.Unit
	want := min(len(units), len(dst), int(end-from))
	got, err := cq.Read(from, units[:want])
	if got == 0 {
		res := ReadResult{Next: from}
		if s.skipUnits(q, &res, err) || res.Next > from {
			return 0, res.Next, nil
		}
		return 0, from, err
	}
	var rd *reader
	defer func() {
		if rd != nil {
			s.readers.giveBack(cq, rd)
		}
	}()
	for i := range units[:got] {
		u := &units[i]
		dst[i] = Entry{Index: from + record.Index(i), Offset: u.Offset, Size: u.Size, Tags: u.Tags}
		if u.Blank() {
			dst[i].Offset = -1
		}
		if isExt(u) {
			if rd == nil {
				rd = s.readers.take(cq)
			}
			if code, ok := s.realTags(rd, q, u); ok {
				dst[i].Tags = code
			}
		}
	}
	return got, from + record.Index(got), nil
}

// Reader reads single messages by their place. It is for one goroutine and must be closed; it can be used again then.
type Reader struct{ r commitlog.Reader }

// NewReader returns a reader.
func (s *Store) NewReader() *Reader { return &Reader{s.log.NewReader()} }

// Record returns the record of size bytes at off, valid until the next call. ErrGone and *CorruptError say that there is none;
// any other error may pass.
func (r *Reader) Record(off record.Offset, size int) ([]byte, error) {
	rec, _, err := r.r.Record(off, size)
	return rec, err
}

// Close lets go of memory.
func (r *Reader) Close() { r.r.Close() }

// IsLost reports whether an error of Record will stay: the record is deleted or damaged.
func IsLost(err error) bool {
	var bad *CorruptError
	return errors.Is(err, ErrGone) || errors.As(err, &bad)
}
