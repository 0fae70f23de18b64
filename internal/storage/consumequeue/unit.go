package consumequeue

import (
	"encoding/binary"
	"math"

	"github.com/cometmq/cometmq/internal/record"
)

// UnitSize is the length of one unit in a file.
const UnitSize = 20

// blankSize is the record size in a blank unit.
const blankSize = math.MaxInt32

// Unit is one entry of a queue.
type Unit struct {
	Offset record.Offset // of the record in the commit log
	Size   int32         // of the record
	Tags   int64         // tag hash, or delivery time of a delayed message
}

// Blank reports whether the unit only fills space: in front of the first message of a queue, or in a gap.
func (u Unit) Blank() bool { return u.Offset == 0 && u.Size == blankSize && u.Tags == 0 }

// End is the position after the record.
func (u Unit) End() record.Offset { return u.Offset + record.Offset(u.Size) }

func (u Unit) valid() bool { return u.Offset >= 0 && u.Size > 0 }

func decodeUnit(b []byte) Unit {
	_ = b[UnitSize-1]
	return Unit{
		Offset: record.Offset(binary.BigEndian.Uint64(b)),
		Size:   int32(binary.BigEndian.Uint32(b[8:])),
		Tags:   int64(binary.BigEndian.Uint64(b[12:])),
	}
}

func putUnit(b []byte, off record.Offset, size int32, tags int64) {
	_ = b[UnitSize-1]
	binary.BigEndian.PutUint64(b, uint64(off))
	binary.BigEndian.PutUint32(b[8:], uint32(size))
	binary.BigEndian.PutUint64(b[12:], uint64(tags))
}

// decodeUnits fills dst from b and returns how many units it took.
func decodeUnits(dst []Unit, b []byte) int {
	n := min(len(dst), len(b)/UnitSize)
	for i := range dst[:n] {
		dst[i] = decodeUnit(b[i*UnitSize:])
	}
	return n
}
