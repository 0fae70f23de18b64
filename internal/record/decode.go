package record

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// CorruptError says what is wrong with bytes that should be a record. The values are the Err variables below; the
// place is added by whoever knows it.
type CorruptError struct{ what string }

// Error returns what is wrong.
func (e *CorruptError) Error() string { return e.what }

// What can be wrong.
var (
	ErrMagic  = &CorruptError{"bad magic number"}
	ErrLayout = &CorruptError{"lengths do not add up"}
	ErrCRC    = &CorruptError{"checksum mismatch"}
	ErrNoCRC  = &CorruptError{"no property checksum"}
)

// Outcomes that are no corruption.
var (
	// ErrShort: the record goes on after the end of the bytes.
	ErrShort = errors.New("record is cut")
	// ErrBlank: the marker at the end of a file.
	ErrBlank = errors.New("end of file marker")
)

// Decode reads the record at the start of src into m, whose slices become parts of src. n is the record's size: also
// with ErrCRC and ErrLayout, if the size makes sense (otherwise 0), so that the record can be skipped; with ErrShort it
// is how many bytes are needed (0 = not known yet), and with ErrBlank how many are left in the file.
//
// With checkCRC the body's checksum is verified; an empty body has none, as in Java. With ErrCRC m is filled, with the
// other errors it is unchanged.
//
// Differs from Java: a negative length of the body or the properties is ErrLayout; Java takes it for 0.
func Decode(src []byte, m *Message, checkCRC bool) (n int, err error) {
	h, err := Header(src)
	if err != nil {
		return h.Size, err
	}
	if len(src) < h.Size {
		return h.Size, ErrShort
	}
	rec := src[:h.Size]
	topic, props, err := h.Tail(rec)
	if err != nil {
		return h.Size, err
	}
	be := binary.BigEndian
	m.Magic = h.Magic
	m.BodyCRC = be.Uint32(rec[atCRC:])
	m.QueueID = h.QueueID
	m.Flag = int32(be.Uint32(rec[atFlag:]))
	m.Index = h.Index
	m.Offset = h.Offset
	m.SysFlag = h.SysFlag
	m.BornTime = int64(be.Uint64(rec[atBorn:]))
	var at int
	m.BornHost, at = host(rec, atHosts, h.SysFlag&SysFlagBornV6 != 0)
	m.StoreTime = h.StoreTime
	m.StoreHost, at = host(rec, at+8, h.SysFlag&SysFlagStoreV6 != 0)
	m.Reconsume = int32(be.Uint32(rec[at:]))
	m.PreparedOffset = Offset(be.Uint64(rec[at+4:]))
	m.Body = h.Body(rec)
	m.Topic = topic
	m.Props = props
	m.ReserveCRC = false
	if checkCRC && len(m.Body) > 0 && sum(m.Body) != m.BodyCRC {
		return h.Size, ErrCRC
	}
	return h.Size, nil
}

// Verify checks the record at the start of src as Decode with checkCRC does.
func Verify(src []byte) error {
	h, err := Header(src)
	if err != nil {
		return err
	}
	if _, _, err = h.Tail(src); err != nil {
		return err
	}
	if h.BodyLen > 0 && sum(h.Body(src)) != binary.BigEndian.Uint32(src[atCRC:]) {
		return ErrCRC
	}
	return nil
}

func host(b []byte, at int, isV6 bool) (netip.AddrPort, int) {
	var addr netip.Addr
	if isV6 {
		addr = netip.AddrFrom16([16]byte(b[at : at+16]))
		at += 16
	} else {
		addr = netip.AddrFrom4([4]byte(b[at : at+4]))
		at += 4
	}
	return netip.AddrPortFrom(addr, uint16(binary.BigEndian.Uint32(b[at:]))), at + 4
}

// Head is the fixed part of a record, what a dispatcher needs.
type Head struct {
	Size      int // of the whole record
	Magic     uint32
	QueueID   int32
	Index     Index
	Offset    Offset
	SysFlag   int32
	StoreTime int64 // ms
	BodyAt    int   // position of the body in the record
	BodyLen   int
}

// FixedSize is how many bytes Header may need at most.
const FixedSize = atHosts + 20 + 8 + 20 + 16

// Header reads the fixed part of the record at the start of src, which need not hold all of it: FixedSize bytes are
// always enough. It checks that the lengths are possible, not that they add up: that does Tail. On an error Head.Size
// is what Decode returns as n.
func Header(src []byte) (Head, error) {
	var h Head
	if len(src) < EndOfFileSize {
		return h, ErrShort
	}
	be := binary.BigEndian
	h.Magic = be.Uint32(src[atMagic:])
	size := int32(be.Uint32(src))
	switch h.Magic {
	case MagicV1, MagicV2:
	case MagicBlank:
		if size < EndOfFileSize {
			return h, ErrLayout
		}
		h.Size = int(size)
		return h, ErrBlank
	default:
		return h, ErrMagic
	}
	if size < MinSize || size > MaxSize {
		return h, ErrLayout
	}
	h.Size = int(size)
	if len(src) < atBorn {
		return h, ErrShort
	}
	h.QueueID = int32(be.Uint32(src[atQueueID:]))
	h.Index = Index(be.Uint64(src[atIndex:]))
	h.Offset = Offset(be.Uint64(src[atOffset:]))
	h.SysFlag = int32(be.Uint32(src[atSysFlag:]))
	stored := atHosts + hostLen(h.SysFlag&SysFlagBornV6 != 0)
	h.BodyAt = stored + 8 + hostLen(h.SysFlag&SysFlagStoreV6 != 0) + 16
	if h.BodyAt+3 > h.Size {
		return h, ErrLayout
	}
	if len(src) < h.BodyAt {
		return h, ErrShort
	}
	h.StoreTime = int64(be.Uint64(src[stored:]))
	h.BodyLen = int(int32(be.Uint32(src[h.BodyAt-4:])))
	if h.BodyLen < 0 || h.BodyLen > h.Size-h.BodyAt-3 {
		return h, ErrLayout
	}
	return h, nil
}

// Body returns the body of the record whose header h is. rec must hold the whole record.
func (h *Head) Body(rec []byte) []byte {
	return rec[h.BodyAt : h.BodyAt+h.BodyLen : h.BodyAt+h.BodyLen]
}

// Tail returns the topic and the properties of the record whose header h is, and checks that all parts add up to its
// size.
func (h *Head) Tail(rec []byte) (topic []byte, props Props, err error) {
	if len(rec) < h.Size {
		return nil, nil, ErrShort
	}
	rest := rec[h.BodyAt+h.BodyLen : h.Size : h.Size]
	n := 0
	if h.Magic == MagicV2 {
		if len(rest) < 4 {
			return nil, nil, ErrLayout
		}
		n = int(int16(binary.BigEndian.Uint16(rest)))
		rest = rest[2:]
	} else {
		n = int(int8(rest[0]))
		rest = rest[1:]
	}
	if n < 0 || n+2 > len(rest) {
		return nil, nil, ErrLayout
	}
	topic = rest[:n:n]
	rest = rest[n:]
	n = int(int16(binary.BigEndian.Uint16(rest)))
	if n < 0 || n+2 != len(rest) {
		return nil, nil, ErrLayout
	}
	return topic, Props(rest[2:]), nil
}
