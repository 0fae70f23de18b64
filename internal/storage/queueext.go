package storage

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Java with enableConsumeQueueExt=true keeps the tag field of a queue unit elsewhere, beside the store time and a bit map of
// which filters match, and the address of that in the queue unit. We read such entries and write none: new units have their
// tags themselves, which Java can read in the same queue.
//
//	consumequeue_ext/TOPIC/QUEUE/OFFSET, one file behind the other, entries do not cross files
//	+---------+-------------+----------------+----------------+-------------+
//	| i16 size| i64 tagsCode| i64 msgStoreMs | i16 bitMapSize | bitMapSize B|   size = 20 + bitMapSize
//	+---------+-------------+----------------+----------------+-------------+
const (
	extDir  = "consumequeue_ext"
	extSize = 20
	// maxExtAddr: tag fields up to here are addresses, the offset of the entry plus the least int64. Hashes and times are larger.
	maxExtAddr = math.MinInt32 - 1
)

// isExt reports whether the tag field of a unit is the address of an extended entry.
func isExt(u *consumequeue.Unit) bool { return u.Tags <= maxExtAddr }

// extFile is the file of extended entries that was used last.
type extFile struct {
	q          *Queue
	base, size int64
	f          vfs.File
}

func (x *extFile) close() {
	if x.f != nil {
		_ = x.f.Close() // only read
	}
	*x = extFile{}
}

// tags returns the tag field and the store time in the entry at addr of q. ok = false: it is missing or makes no sense, which
// costs a look at the message.
func (x *extFile) tags(s *Store, q *Queue, addr int64) (code, storeMs int64, ok bool) {
	at := addr - math.MinInt64
	if x.f == nil || x.q != q || at < x.base || at >= x.base+x.size {
		x.close()
		if !x.open(s, q, at) {
			return 0, 0, false
		}
	}
	var b [extSize]byte
	if n, err := x.f.ReadAt(b[:], at-x.base); n < len(b) || err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, false
	}
	size, bits := int16(binary.BigEndian.Uint16(b[:])), int16(binary.BigEndian.Uint16(b[18:]))
	code, storeMs = int64(binary.BigEndian.Uint64(b[2:])), int64(binary.BigEndian.Uint64(b[10:]))
	if size < extSize || bits != size-extSize || storeMs <= 0 || code <= maxExtAddr || at-x.base+int64(size) > x.size {
		return 0, 0, false
	}
	return code, storeMs, true
}

// open finds the file with the entry at that offset: the size of files is a setting of who wrote them.
func (x *extFile) open(s *Store, q *Queue, at int64) bool {
	dir := filepath.Join(s.o.Dir, extDir, q.topic, strconv.Itoa(int(q.id)))
	files, err := s.fs.ReadDir(dir)
	if err != nil {
		return false
	}
	base, name := int64(-1), ""
	for _, e := range files {
		if n, perr := strconv.ParseInt(e.Name(), 10, 64); perr == nil && n >= 0 && n <= at && n > base {
			base, name = n, e.Name()
		}
	}
	if base < 0 {
		return false
	}
	f, err := s.fs.Open(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	size, err := f.Size()
	*x = extFile{q: q, base: base, size: size, f: f}
	return err == nil && at-base < size
}

// realTags returns the tag field of a unit whose own is an address. When the entry is no help it is computed from the message,
// as for a new one; ok = false: the message is not there either.
func (s *Store) realTags(rd *reader, q *Queue, u *consumequeue.Unit) (code int64, ok bool) {
	if code, _, ok = rd.ext.tags(s, q, u.Tags); ok {
		return code, true
	}
	rec, _, err := rd.log.Record(u.Offset, int(u.Size))
	if err != nil {
		return 0, false
	}
	if _, err = record.Decode(rec, &rd.msg, false); err != nil {
		return 0, false
	}
	props := rd.msg.Props.Indexed()
	return s.tagsCode(&rd.msg, &props), true
}

// wantsTags asks the reader's tag filter about a unit. What cannot be told passes: the message itself is looked at then.
func (s *Store) wantsTags(rd *reader, q *Queue, u *consumequeue.Unit, r *Read) bool {
	if r.Match == nil {
		return true
	}
	if !isExt(u) {
		return r.Match(u.Tags)
	}
	code, ok := s.realTags(rd, q, u)
	return !ok || r.Match(code)
}
