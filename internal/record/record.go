package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"net/netip"
	"slices"
)

// Offset is a byte position in the commit log.
type Offset int64

// Index is a position in a queue, counted in messages.
type Index int64

// Magic numbers.
const (
	MagicV1    uint32 = 0xDAA320A7
	MagicV2    uint32 = 0xDAA320AB // the topic's length has two bytes
	MagicBlank uint32 = 0xCBD43194 // end of a file
)

// Bits of the system flag.
const (
	SysFlagCompressed int32 = 1 << 0
	SysFlagMultiTags  int32 = 1 << 1

	SysFlagTransactionMask int32 = 3 << 2
	SysFlagPrepared        int32 = 1 << 2
	SysFlagCommit          int32 = 2 << 2
	SysFlagRollback        int32 = 3 << 2

	SysFlagBornV6     int32 = 1 << 4
	SysFlagStoreV6    int32 = 1 << 5
	SysFlagNeedUnwrap int32 = 1 << 6
	SysFlagInnerBatch int32 = 1 << 7

	SysFlagCompressionMask int32 = 7 << 8 // 0 with SysFlagCompressed is zlib, too (old clients)
	SysFlagLZ4             int32 = 1 << 8
	SysFlagZSTD            int32 = 2 << 8
	SysFlagZLIB            int32 = 3 << 8
)

// Limits of the format. A store has smaller ones for whole messages.
const (
	MaxProps   = math.MaxInt16 // bytes of properties, a property CRC included
	MaxTopicV1 = math.MaxInt8
	MaxTopic   = math.MaxInt16
	MaxSize    = math.MaxInt32 / 2

	// EndOfFileSize is the room that each file keeps free for its end marker.
	EndOfFileSize = 8
	// MinSize is the smallest record: V1, IPv4, nothing in it.
	MinSize = 91
)

// Positions that do not depend on the hosts.
const (
	atMagic   = 4
	atCRC     = 8
	atQueueID = 12
	atFlag    = 16
	atIndex   = 20
	atOffset  = 28
	atSysFlag = 36
	atBorn    = 40
	atHosts   = 48
)

// Why a message cannot be encoded.
var (
	ErrPropsTooLong = errors.New("properties are longer than 32767 bytes")
	ErrTopicTooLong = errors.New("topic is too long")
	ErrTooLarge     = errors.New("message is too large")
)

// Message is a record in parts. After Decode its slices are parts of the source.
type Message struct {
	Magic          uint32 // 0 for a new message: chosen by the length of the topic
	BodyCRC        uint32 // result of Decode; computed by AppendTo
	QueueID        int32
	Flag           int32
	Index          Index
	Offset         Offset
	SysFlag        int32 // the bits of the hosts' address families follow from the hosts
	BornTime       int64 // ms
	BornHost       netip.AddrPort
	StoreTime      int64 // ms
	StoreHost      netip.AddrPort
	Reconsume      int32
	PreparedOffset Offset
	Body           []byte
	Topic          []byte
	Props          Props

	// ReserveCRC makes AppendTo end the properties with a CRC property for SealCRC to fill. One that the client
	// sent is dropped.
	ReserveCRC bool
}

// sum is Java's CRC: the top bit is always cleared.
func sum(b []byte) uint32 { return crc32.ChecksumIEEE(b) & 0x7FFFFFFF }

// v6 reports whether a host takes 16 bytes. An IPv6-mapped IPv4 address is IPv4, as in Java.
func v6(a netip.AddrPort) bool { return a.Addr().Is6() && !a.Addr().Is4In6() }

func hostLen(isV6 bool) int {
	if isV6 {
		return 20
	}
	return 8
}

// magic chooses the version.
//
// Differs from Java: it counts the topic's UTF-16 units, so that a topic of up to 127 characters but more bytes would
// become a V1 record that cannot be read. We count bytes. Legal topics are ASCII, where both are the same.
func (m *Message) magic() uint32 {
	if m.Magic == MagicV2 || len(m.Topic) > MaxTopicV1 {
		return MagicV2
	}
	return MagicV1
}

// propsLen returns the length of the stored properties, and whether there is a client's CRC property to drop.
func (m *Message) propsLen() (n int, drop bool) {
	if !m.ReserveCRC {
		return len(m.Props), false
	}
	for p := m.Props; len(p) > 0; {
		var piece []byte
		piece, p = p.next()
		if isKey(piece, PropCRC32) {
			drop = true
			continue
		}
		n += len(piece) + 1
	}
	return n + PropCRCSize, drop
}

// EncodedLen returns the size of the record, or why the message cannot be encoded.
func (m *Message) EncodedLen() (int, error) {
	props, _ := m.propsLen()
	switch {
	case props > MaxProps:
		return 0, ErrPropsTooLong
	case len(m.Topic) > MaxTopic:
		return 0, ErrTopicTooLong
	case len(m.Body) > MaxSize:
		return 0, ErrTooLarge
	}
	n := MinSize - 16 + hostLen(v6(m.BornHost)) + hostLen(v6(m.StoreHost)) + len(m.Body) + len(m.Topic) + props
	if m.magic() == MagicV2 {
		n++
	}
	if n > MaxSize {
		return 0, ErrTooLarge
	}
	return n, nil
}

// AppendTo appends the record to dst. It computes the body's CRC, chooses the version and sets the address family bits
// of the system flag. On an error dst is unchanged.
func (m *Message) AppendTo(dst []byte) ([]byte, error) {
	n, err := m.EncodedLen()
	if err != nil {
		return dst, err
	}
	magic := m.magic()
	start := len(dst)
	dst = slices.Grow(dst, n)
	rec := dst[start : start+n]
	born6, store6 := v6(m.BornHost), v6(m.StoreHost)
	flag := m.SysFlag &^ (SysFlagBornV6 | SysFlagStoreV6)
	if born6 {
		flag |= SysFlagBornV6
	}
	if store6 {
		flag |= SysFlagStoreV6
	}
	be := binary.BigEndian
	_ = rec[MinSize-1]
	be.PutUint32(rec, uint32(n))
	be.PutUint32(rec[atMagic:], magic)
	be.PutUint32(rec[atCRC:], sum(m.Body))
	be.PutUint32(rec[atQueueID:], uint32(m.QueueID))
	be.PutUint32(rec[atFlag:], uint32(m.Flag))
	be.PutUint64(rec[atIndex:], uint64(m.Index))
	be.PutUint64(rec[atOffset:], uint64(m.Offset))
	be.PutUint32(rec[atSysFlag:], uint32(flag))
	be.PutUint64(rec[atBorn:], uint64(m.BornTime))
	at := atHosts
	at += putHost(rec[at:], m.BornHost, born6)
	be.PutUint64(rec[at:], uint64(m.StoreTime))
	at += 8
	at += putHost(rec[at:], m.StoreHost, store6)
	be.PutUint32(rec[at:], uint32(m.Reconsume))
	be.PutUint64(rec[at+4:], uint64(m.PreparedOffset))
	be.PutUint32(rec[at+12:], uint32(len(m.Body)))
	at += 16
	at += copy(rec[at:], m.Body)
	if magic == MagicV2 {
		be.PutUint16(rec[at:], uint16(len(m.Topic)))
		at += 2
	} else {
		rec[at] = byte(len(m.Topic))
		at++
	}
	at += copy(rec[at:], m.Topic)
	be.PutUint16(rec[at:], uint16(n-at-2))
	at += 2
	if m.ReserveCRC {
		m.putPropsWithCRC(rec[at:])
	} else {
		copy(rec[at:], m.Props)
	}
	return dst[:start+n], nil
}

func putHost(b []byte, host netip.AddrPort, isV6 bool) int {
	n := 4
	if isV6 {
		a := host.Addr().As16()
		n = copy(b, a[:])
	} else if a := host.Addr().Unmap(); a.Is4() {
		a4 := a.As4()
		copy(b, a4[:])
	} else { // no address: 0.0.0.0
		clear(b[:4])
	}
	binary.BigEndian.PutUint32(b[n:], uint32(host.Port()))
	return n + 4
}

// Patch sets what is known only when the record gets its place: its index, its offset and the store time. rec must be
// a record made by AppendTo.
func Patch(rec []byte, idx Index, off Offset, storeMs int64) {
	be := binary.BigEndian
	_ = rec[MinSize-1]
	be.PutUint64(rec[atIndex:], uint64(idx))
	be.PutUint64(rec[atOffset:], uint64(off))
	at := atHosts + 8
	if int32(be.Uint32(rec[atSysFlag:]))&SysFlagBornV6 != 0 {
		at += 12
	}
	be.PutUint64(rec[at:], uint64(storeMs))
}

// EndOfFile appends the marker that ends a file with left bytes left in it. left is at least EndOfFileSize.
func EndOfFile(dst []byte, left int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(left))
	return binary.BigEndian.AppendUint32(dst, MagicBlank)
}

// String tells which message it is, for logs.
func (m *Message) String() string {
	return fmt.Sprintf("%s/%d index %d offset %d", m.Topic, m.QueueID, m.Index, m.Offset)
}
