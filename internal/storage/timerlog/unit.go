package timerlog

import (
	"encoding/binary"

	"github.com/cometmq/cometmq/internal/record"
)

// UnitSize is the length of a unit.
const UnitSize = 52

// Bits of Unit.Magic.
const (
	MagicDefault int32 = 1
	MagicRoll    int32 = 2 // to be stored again, its time is farther than the wheel goes
	MagicDelete  int32 = 4 // takes another timer back
)

// magicBlank marks the end of a file, with the bytes that are left.
const (
	magicBlank uint32 = 0xCBD43194
	minBlank   int64  = 16
)

// Unit is one timer in the log:
//
//	 0  4  52
//	 4  8  Prev
//	12  4  Magic
//	16  8  Enqueued
//	24  4  Time - Enqueued
//	28  8  Offset
//	36  4  Size
//	40  4  TopicHash
//	44  8  Due; Java writes 0 and ignores it
type Unit struct {
	Prev      int64 // position of the unit before it in its slot, -1 = none
	Magic     int32
	Enqueued  int64 // ms
	Time      int64 // ms; says which slot
	Offset    record.Offset
	Size      int32
	TopicHash int32 // of the real topic
	// Due is the exact time in ms at which the message is to be delivered, 0 = not known.
	//
	// Differs from Java: there a timer is delivered when its second begins, up to a second early.
	Due int64
}

// AppendTo appends the unit to dst.
func (u *Unit) AppendTo(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, UnitSize)
	dst = be.AppendUint64(dst, uint64(u.Prev))
	dst = be.AppendUint32(dst, uint32(u.Magic))
	dst = be.AppendUint64(dst, uint64(u.Enqueued))
	dst = be.AppendUint32(dst, uint32(int32(u.Time-u.Enqueued)))
	dst = be.AppendUint64(dst, uint64(u.Offset))
	dst = be.AppendUint32(dst, uint32(u.Size))
	dst = be.AppendUint32(dst, uint32(u.TopicHash))
	return be.AppendUint64(dst, uint64(u.Due))
}

// decode reads the unit at the start of b, which holds UnitSize bytes. False: there is none.
func (u *Unit) decode(b []byte) bool {
	be := binary.BigEndian
	_ = b[UnitSize-1]
	if be.Uint32(b) != UnitSize {
		return false
	}
	u.Prev = int64(be.Uint64(b[4:]))
	u.Magic = int32(be.Uint32(b[12:]))
	u.Enqueued = int64(be.Uint64(b[16:]))
	u.Time = u.Enqueued + int64(int32(be.Uint32(b[24:])))
	u.Offset = record.Offset(be.Uint64(b[28:]))
	u.Size = int32(be.Uint32(b[36:]))
	u.TopicHash = int32(be.Uint32(b[40:]))
	u.Due = int64(be.Uint64(b[44:]))
	return u.Magic|0xF == 0xF && u.Magic&MagicDefault != 0 && u.Offset >= 0 && u.Size > 0 && u.Enqueued > 0
}
