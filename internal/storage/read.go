package storage

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// ReadStatus is Java's GetMessageStatus, in the order of mq.FetchStatus.
type ReadStatus uint8

// Read statuses.
const (
	Found ReadStatus = iota
	NoMatchedMessage
	MessageWasRemoving
	OffsetFoundNull
	OffsetOverflowBadly
	OffsetOverflowOne
	OffsetTooSmall
	NoMatchedLogicQueue
	NoMessageInQueue
)

// Defaults of a Read (Java's maxTransferCountOnMessageInMemory, ...Bytes..., maxFilterMessageSize).
const (
	defaultCount = 32
	defaultBytes = 256 << 10
	defaultScan  = 800
)

// Read says which messages are wanted. It can be reused.
type Read struct {
	From     record.Index
	MaxCount int // default 32
	MaxBytes int // default 256 KiB; one message is returned even if it is larger
	MaxScan  int // entries to look at, default 800 or MaxCount
	// Match chooses by tag field, before the message is read; nil takes all.
	Match func(tagsCode int64) bool
	// Props chooses by the properties of the message; nil takes all.
	Props func(p record.Props) bool
}

// ReadResult is what a Read found.
type ReadResult struct {
	Status     ReadStatus
	Records    []byte // records back to back, appended to the buffer that was passed
	Count      int
	Next       record.Index // where to go on
	Min, Max   record.Index
	LastOffset record.Offset // log offset of the last record looked at
	Damaged    int           // records that were left out because they are damaged
	Cold       bool          // something came from the disk
}

// reader is what a Read needs besides the result. It keeps the units that it read ahead.
type reader struct {
	log   commitlog.Reader
	ext   extFile
	units [128]consumequeue.Unit
	msg   record.Message

	// units[:n] are some of cq, one behind the other. They stay right: what a queue holds never changes while it lives.
	cq *consumequeue.Queue
	n  int
}

// readers lends out readers, to a queue the one that it had last if nobody else took it.
type readers struct {
	seed maphash.Seed
	last [64]atomic.Pointer[reader]
	rest sync.Pool // *reader
}

func (p *readers) init(s *Store) {
	p.seed = maphash.MakeSeed()
	p.rest.New = func() any { return &reader{log: s.log.NewReader()} }
}

func (p *readers) place(cq *consumequeue.Queue) *atomic.Pointer[reader] {
	return &p.last[maphash.Comparable(p.seed, cq)%uint64(len(p.last))]
}

func (p *readers) take(cq *consumequeue.Queue) *reader {
	if rd := p.place(cq).Swap(nil); rd != nil {
		return rd
	}
	return p.rest.Get().(*reader)
}

func (p *readers) giveBack(cq *consumequeue.Queue, rd *reader) {
	rd.log.Close()
	rd.ext.close()
	if old := p.place(cq).Swap(rd); old != nil {
		p.rest.Put(old)
	}
}

// ahead returns up to want units of cq from at on, and reads as many as have room, up to end, when it does not have them.
func (rd *reader) ahead(cq *consumequeue.Queue, at, end record.Index, want int) ([]consumequeue.Unit, error) {
	if rd.cq != cq || rd.n == 0 || at < rd.units[0].Index || at >= rd.units[rd.n-1].Next() {
		n, err := cq.Read(at, rd.units[:min(record.Index(len(rd.units)), end-at)])
		rd.cq, rd.n = cq, n
		if n == 0 {
			return nil, err
		}
	}
	us := rd.units[:rd.n]
	if cq.Batch() {
		us = us[sort.Search(len(us)-1, func(i int) bool { return us[i].Next() > at }):]
	} else {
		us = us[at-us[0].Index:]
	}
	return us[:min(want, len(us))], nil
}

// Read returns messages of q from r.From on, appended to dst.
func (s *Store) Read(q *Queue, r *Read, dst []byte) ReadResult {
	if k := q.compact.Load(); k != nil {
		return s.readCompacted(k, r, dst)
	}
	res := ReadResult{Records: dst, Next: r.From}
	cq := q.queue()
	if err := cq.Open(); err != nil {
		s.complain("open queue", q, r.From, err)
		res.Status = OffsetFoundNull
		return res
	}
	res.Min, res.Max = cq.Min(), cq.Next()
	switch {
	case res.Max == 0:
		res.Status, res.Next = NoMessageInQueue, 0
	case r.From < res.Min:
		res.Status, res.Next = OffsetTooSmall, res.Min
	case r.From == res.Max:
		res.Status = OffsetOverflowOne
	case r.From > res.Max:
		res.Status, res.Next = OffsetOverflowBadly, res.Max
	default:
		rd := s.readers.take(cq)
		s.read(rd, q, cq, r, &res)
		s.readers.giveBack(cq, rd)
	}
	return res
}

// limits are the bounds of r with their defaults.
func (r *Read) limits() (count, maxBytes, scan int) {
	count, maxBytes, scan = r.MaxCount, r.MaxBytes, r.MaxScan
	if count <= 0 {
		count = defaultCount
	}
	if maxBytes <= 0 {
		maxBytes = defaultBytes
	}
	if scan <= 0 {
		scan = max(defaultScan, count)
	}
	return count, maxBytes, scan
}

// read fills res; r.From is between res.Min and res.Max.
func (s *Store) read(rd *reader, q *Queue, cq *consumequeue.Queue, r *Read, res *ReadResult) {
	count, maxBytes, scan := r.limits()
	start := len(res.Records)
	begin := s.log.Min()
	res.Status = NoMatchedMessage
	for scan > 0 && res.Count < count && res.Next < res.Max {
		units, err := rd.ahead(cq, res.Next, res.Max, scan)
		if len(units) == 0 {
			if !s.mended(rd, q, cq, r, res, err) && !s.skipUnits(q, res, err) {
				return
			}
			continue
		}
		scan -= len(units)
		for i := range units {
			u := &units[i]
			if res.Count > 0 && (len(res.Records)-start+int(u.Size) > maxBytes || res.Count+int(u.Count) > count) {
				return
			}
			switch {
			case u.Offset < begin && !u.Blank(), u.Blank():
				if res.Count == 0 {
					res.Status = MessageWasRemoving
				}
				res.Next = u.Next()
				continue
			case !s.wantsTags(rd, q, u, r):
				res.Next = u.Next()
				continue
			}
			if !s.take(rd, q, cq, u, r, res) {
				if res.Count == 0 {
					res.Status = OffsetFoundNull
				}
				return
			}
			res.Next = u.Next()
			if res.Count >= count {
				return
			}
		}
	}
}

// mended takes the message of a queue entry that cannot be read, if the log has it.
func (s *Store) mended(rd *reader, q *Queue, cq *consumequeue.Queue, r *Read, res *ReadResult, err error) bool {
	bad, ok := errors.AsType[*consumequeue.CorruptError](err)
	if !ok {
		return false
	}
	u, ok := s.relocate(rd, q, cq, bad.Unit, res.Next)
	if !ok {
		return false
	}
	if s.wantsTags(rd, q, &u, r) {
		s.take(rd, q, cq, &u, r, res) // it has just been read
	}
	res.Next++
	return true
}

// skipUnits steps over queue entries that cannot be read. It returns false when the read ends here.
func (s *Store) skipUnits(q *Queue, res *ReadResult, err error) bool {
	var hole *consumequeue.HoleError
	var bad *consumequeue.CorruptError
	switch {
	case err == nil, errors.Is(err, consumequeue.ErrDeleted):
		// The queue was cut or deleted meanwhile.
		if res.Count == 0 {
			res.Status = OffsetFoundNull
		}
		return false
	case errors.As(err, &hole):
		s.complain("queue file is missing", q, res.Next, err)
		if res.Count == 0 {
			res.Status = OffsetFoundNull
		}
		res.Next = max(hole.Next, res.Next+1)
		return false
	case errors.As(err, &bad):
		s.stats.damaged.Add(1)
		s.complain("damaged queue entry left out", q, res.Next, err)
		res.Damaged++
		res.Next++
		return true
	}
	s.complain("read queue", q, res.Next, err)
	if res.Count == 0 {
		res.Status = OffsetFoundNull
	}
	return false
}

// take appends the record of u to res if it is sound and wanted. It returns false when the read has to end before it, because it will be
// repaired.
func (s *Store) take(rd *reader, q *Queue, cq *consumequeue.Queue, u *consumequeue.Unit, r *Read, res *ReadResult) bool {
	rec, err := s.record(rd, q, u, res)
	if err != nil && (!errors.Is(err, ErrGone) || u.Offset >= s.log.Min()) {
		if v, ok := s.relocate(rd, q, cq, *u, u.Index); ok {
			u = &v
			rec, err = s.record(rd, q, u, res)
		}
	}
	res.LastOffset = u.Offset
	switch {
	case errors.Is(err, ErrGone) && u.Offset < s.log.Min():
		if res.Count == 0 {
			res.Status = MessageWasRemoving
		}
		return true
	case err != nil && s.damaged(q, u.Offset, u.Size, u.Index, err):
		return false
	case err != nil:
		s.stats.damaged.Add(1)
		res.Damaged++
		s.complain("damaged message left out", q, u.Index, err)
		return true
	}
	if r.Props != nil && !wanted(rec, r.Props) {
		return true
	}
	at := len(res.Records)
	res.Records = append(res.Records, rec...)
	if q.own {
		// The same value nearly always. A consumer goes by what the record says, so it must be where we found it.
		binary.BigEndian.PutUint64(res.Records[at+atIndex:], uint64(u.Index))
	}
	res.Count += int(u.Count)
	res.Status = Found
	return true
}

// record returns the record of u, which is one of q.
func (s *Store) record(rd *reader, q *Queue, u *consumequeue.Unit, res *ReadResult) ([]byte, error) {
	rec, disk, err := rd.log.Record(u.Offset, int(u.Size))
	res.Cold = res.Cold || disk
	if err == nil {
		err = s.belongs(rd, q, u.Index, rec)
	}
	return rec, err
}

// wanted asks for the properties of a sound record.
func wanted(rec []byte, match func(record.Props) bool) bool {
	h, err := record.Header(rec)
	if err != nil {
		return false
	}
	_, props, err := h.Tail(rec)
	return err == nil && match(props)
}

var errOtherQueue = errors.New("the record belongs to another queue")

// Positions of fields in a record (storage spec 2.1).
const (
	atQueueID = 12
	atIndex   = 20
)

// belongs checks that rec is the record of index idx of q. Records whose index differs but that are of the same queue
// pass: Java places them so after it lost queue entries.
func (s *Store) belongs(rd *reader, q *Queue, idx record.Index, rec []byte) error {
	id, at := int32(binary.BigEndian.Uint32(rec[atQueueID:])), record.Index(binary.BigEndian.Uint64(rec[atIndex:]))
	if id == q.id && at == idx || !q.own {
		return nil
	}
	if _, err := record.Decode(rec, &rd.msg, false); err != nil {
		return err
	}
	if id != q.id || string(rd.msg.Topic) != q.topic {
		return errOtherQueue
	}
	return nil
}

// ReadAt appends the record at a log offset to dst.
func (s *Store) ReadAt(off record.Offset, dst []byte) ([]byte, error) { return s.log.ReadAt(off, dst) }

// complain logs a damaged place, not more often than is useful.
func (s *Store) complain(what string, q *Queue, at record.Index, err error) {
	if s.stats.mayComplain(s.o.Now()) {
		s.o.Log.Error(what, "topic", q.topic, "queue", q.id, "index", at, "err", err)
	}
}
