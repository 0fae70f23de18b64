package consumequeue

import (
	"encoding/binary"
	"math"

	"github.com/cometmq/cometmq/internal/record"
)

// Lengths of one unit in a file.
const (
	UnitSize      = 20
	BatchUnitSize = 46
)

// blankSize is the record size in a blank unit.
const blankSize = math.MaxInt32

// slot is the place of a unit in its queue, counted in units. In a simple queue it is the index of the message.
type slot int64

// Unit is one entry of a queue.
type Unit struct {
	Offset record.Offset // of the record in the commit log
	Size   int32         // of the record
	Count  int32         // messages in the record: 1 in a simple queue
	Tags   int64         // tag hash, or delivery time of a delayed message
	Index  record.Index  // of the first message
}

// Blank reports whether the unit only fills space: in front of the first message of a queue, or in a gap.
func (u Unit) Blank() bool { return u.Offset == 0 && u.Size == blankSize && u.Tags == 0 }

// End is the position after the record.
func (u Unit) End() record.Offset { return u.Offset + record.Offset(u.Size) }

// Next is the index after the last message.
func (u Unit) Next() record.Index { return u.Index + record.Index(u.Count) }

func (u Unit) valid() bool { return u.Offset >= 0 && u.Size > 0 && u.Count > 0 && u.Index >= 0 }

// empty reports whether nothing was written to the place of the unit.
func (u Unit) empty() bool { return u.Offset == 0 && u.Size == 0 && u.Tags == 0 }

// kind is how the queues of a topic are kept: Java's CQType.
type kind struct {
	batch    bool   // units have an index and a count of their own
	dir      string // of the topics
	unit     int64  // bytes of a unit
	fileSize int64  // a multiple of unit
	perFile  slot   // units in a file
	block    int    // bytes of the whole units in a buffer
}

func newKind(batch bool, dir string, unit, fileSize int64) *kind {
	fileSize = (fileSize + unit - 1) / unit * unit
	return &kind{
		batch: batch, dir: dir, unit: unit, fileSize: fileSize, perFile: slot(fileSize / unit),
		block: bufferSize / int(unit) * int(unit),
	}
}

// maxSlot is the last place whose byte position and file end fit 63 bits.
func (k *kind) maxSlot() slot { return slot(math.MaxInt64/k.unit - 1<<32) }

// decode reads the unit at place at of its queue.
func (k *kind) decode(b []byte, at slot) Unit {
	_ = b[UnitSize-1]
	u := Unit{
		Offset: record.Offset(binary.BigEndian.Uint64(b)),
		Size:   int32(binary.BigEndian.Uint32(b[8:])),
		Count:  1,
		Tags:   int64(binary.BigEndian.Uint64(b[12:])),
		Index:  record.Index(at),
	}
	if k.batch {
		_ = b[BatchUnitSize-1]
		u.Index = record.Index(binary.BigEndian.Uint64(b[28:]))
		u.Count = int32(int16(binary.BigEndian.Uint16(b[36:])))
	}
	return u
}

// put writes u, stored at ms, to b.
func (k *kind) put(b []byte, u *Unit, ms int64) {
	binary.BigEndian.PutUint64(b, uint64(u.Offset))
	binary.BigEndian.PutUint32(b[8:], uint32(u.Size))
	binary.BigEndian.PutUint64(b[12:], uint64(u.Tags))
	if k.batch {
		rest := (*[BatchUnitSize]byte)(b)
		binary.BigEndian.PutUint64(rest[20:28], uint64(ms))
		binary.BigEndian.PutUint64(rest[28:36], uint64(u.Index))
		binary.BigEndian.PutUint16(rest[36:38], uint16(u.Count))
		binary.BigEndian.PutUint32(rest[38:42], math.MaxUint32) // compacted offset -1: none
		binary.BigEndian.PutUint32(rest[42:], 0)
	}
}

// decodeAll fills dst with the units in b, the first of which is at place at, and returns how many it took.
func (k *kind) decodeAll(dst []Unit, b []byte, at slot) int {
	n := min(len(dst), len(b)/int(k.unit))
	for i := range dst[:n] {
		dst[i] = k.decode(b[i*int(k.unit):], at+slot(i))
	}
	return n
}
