package keyindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	headerSize = 40
	slotSize   = 4
	entrySize  = 20
	nameLen    = 17 // yyyyMMddHHmmssSSS
)

// header is the begin of a file.
type header struct {
	beginTime, endTime int64
	beginOff, endOff   record.Offset
	slots              int32 // in use
	next               int32 // number of the next entry
}

func decodeHeader(b []byte) header {
	_ = b[headerSize-1]
	return header{
		beginTime: int64(binary.BigEndian.Uint64(b)),
		endTime:   int64(binary.BigEndian.Uint64(b[8:])),
		beginOff:  record.Offset(binary.BigEndian.Uint64(b[16:])),
		endOff:    record.Offset(binary.BigEndian.Uint64(b[24:])),
		slots:     int32(binary.BigEndian.Uint32(b[32:])),
		next:      int32(binary.BigEndian.Uint32(b[36:])),
	}
}

func (h header) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(h.beginTime))
	b = binary.BigEndian.AppendUint64(b, uint64(h.endTime))
	b = binary.BigEndian.AppendUint64(b, uint64(h.beginOff))
	b = binary.BigEndian.AppendUint64(b, uint64(h.endOff))
	b = binary.BigEndian.AppendUint32(b, uint32(h.slots))
	return binary.BigEndian.AppendUint32(b, uint32(h.next))
}

// overlaps is Java's isTimeMatched: whether the file may hold something of [begin, end].
func (h header) overlaps(begin, end int64) bool {
	return begin <= h.endTime && end >= h.beginTime
}

// seconds is the time of an entry relative to the file.
func (h header) seconds(storeMs int64) int32 {
	if h.beginTime <= 0 {
		return 0
	}
	return int32(min(max((storeMs-h.beginTime)/1000, 0), math.MaxInt32))
}

// entry is one key of one record.
type entry struct {
	hash    int32
	off     record.Offset
	seconds int32
	prev    int32
}

func decodeEntry(b []byte) entry {
	_ = b[entrySize-1]
	return entry{
		hash:    int32(binary.BigEndian.Uint32(b)),
		off:     record.Offset(binary.BigEndian.Uint64(b[4:])),
		seconds: int32(binary.BigEndian.Uint32(b[12:])),
		prev:    int32(binary.BigEndian.Uint32(b[16:])),
	}
}

func (e entry) put(b []byte) {
	_ = b[entrySize-1]
	binary.BigEndian.PutUint32(b, uint32(e.hash))
	binary.BigEndian.PutUint64(b[4:], uint64(e.off))
	binary.BigEndian.PutUint32(b[12:], uint32(e.seconds))
	binary.BigEndian.PutUint32(b[16:], uint32(e.prev))
}

// geometry is how a file is laid out.
type geometry struct {
	slots    int32
	capacity int32 // entries, of which number 0 is not used
}

func (g geometry) slotPos(slot int32) int64   { return headerSize + int64(slot)*slotSize }
func (g geometry) entryPos(n int32) int64     { return g.slotPos(g.slots) + int64(n)*entrySize }
func (g geometry) fileSize() int64            { return g.entryPos(g.capacity) }
func (g geometry) slotOf(hash int32) int32    { return hash % g.slots }
func (g geometry) isEntry(n, next int32) bool { return n > 0 && n < next && n < g.capacity }

// file is one index file. Its header is what the file holds; the newest file has more in the batches.
type file struct {
	geometry
	name    string
	head    header
	h       vfs.File // open when the file is being written or waits for a sync, else nil
	created bool     // its name may not be synced
	size    int64    // when it is wrong
}

// openFile looks at an existing file.
func openFile(fsys vfs.FS, name string, g geometry) (*file, error) {
	h, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open index file %s: %w", name, err)
	}
	f := &file{geometry: g, name: name, created: true} // perhaps by a process that was killed
	err = f.load(h)
	return f, errors.Join(err, h.Close())
}

// errLength says that a file has not the length that the configured counts give.
var errLength = errors.New("wrong length")

func (f *file) load(h vfs.File) error {
	size, err := h.Size()
	if err != nil {
		return fmt.Errorf("look at index file %s: %w", f.name, err)
	}
	if size >= headerSize {
		var b [headerSize]byte
		if _, err = h.ReadAt(b[:], 0); err != nil {
			return fmt.Errorf("read index file %s: %w", f.name, err)
		}
		f.head = decodeHeader(b[:])
	}
	f.head.next = min(max(f.head.next, 1), f.capacity)
	if size != f.fileSize() {
		f.size = size
		return f.wrongLength()
	}
	return nil
}

func (f *file) wrongLength() error {
	return fmt.Errorf("index file %s has %d bytes, %d slots and %d entries need %d (maxHashSlotNum, maxIndexNum): %w",
		f.name, f.size, f.slots, f.capacity, f.fileSize(), errLength)
}

// use opens the file for writing unless it is open.
func (f *file) use(fsys vfs.FS) (vfs.File, error) {
	if f.h != nil {
		return f.h, nil
	}
	h, err := fsys.Open(f.name)
	if err != nil {
		return nil, fmt.Errorf("open index file %s: %w", f.name, err)
	}
	f.h = h
	return h, nil
}

func (f *file) close() error {
	if f.h == nil {
		return nil
	}
	h := f.h
	f.h = nil
	return h.Close()
}

// createFile makes the file after prev, which may be nil.
func createFile(fsys vfs.FS, dir string, g geometry, now time.Time, prev *file) (*file, error) {
	name, err := freeName(fsys, dir, now)
	if err != nil {
		return nil, err
	}
	f := &file{geometry: g, name: name, created: true}
	if prev != nil {
		f.head.beginTime, f.head.endTime = prev.head.endTime, prev.head.endTime
		f.head.beginOff, f.head.endOff = prev.head.endOff, prev.head.endOff
	}
	h, err := fsys.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create index file %s: %w", name, err)
	}
	if err = h.Truncate(g.fileSize()); err == nil {
		_, err = h.WriteAt(f.head.append(nil), 0)
	}
	if err != nil {
		return nil, fmt.Errorf("create index file %s: %w", name, errors.Join(err, h.Close(), fsys.Remove(name)))
	}
	f.h = h
	f.head.next = 1
	return f, nil
}

func freeName(fsys vfs.FS, dir string, now time.Time) (string, error) {
	if err := fsys.MkdirAll(dir); err != nil {
		return "", fmt.Errorf("make index directory: %w", err)
	}
	for ; ; now = now.Add(time.Millisecond) {
		name := filepath.Join(dir, strings.Replace(now.Format("20060102150405.000"), ".", "", 1))
		if _, err := fsys.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", fmt.Errorf("look at index file %s: %w", name, err)
		}
	}
}

func isFileName(name string) bool {
	return len(name) == nameLen && strings.Trim(name, "0123456789") == ""
}
