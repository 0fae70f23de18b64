package record

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"
)

const upperHex = "0123456789ABCDEF"

func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

// AppendOffsetID appends Java's offsetMsgId: upper-case hex of the store host's address and port and of the offset, 32
// characters for IPv4 and 56 for IPv6.
func AppendOffsetID(dst []byte, host netip.AddrPort, off Offset) []byte {
	var b [28]byte
	n := putHost(b[:], host, v6(host))
	binary.BigEndian.PutUint64(b[n:], uint64(off))
	return appendHex(dst, b[:n+8])
}

var errOffsetID = errors.New("not an offset message id")

// ParseOffsetID is the reverse of AppendOffsetID. It takes lower case, too.
func ParseOffsetID(s string) (netip.AddrPort, Offset, error) {
	var b [28]byte
	if len(s) != 32 && len(s) != 56 {
		return netip.AddrPort{}, 0, errOffsetID
	}
	n, err := hex.Decode(b[:], []byte(s))
	if err != nil {
		return netip.AddrPort{}, 0, errOffsetID
	}
	at, at6 := 0, n == 28
	var addr netip.AddrPort
	if port := binary.BigEndian.Uint32(b[n-12:]); port > 65535 {
		return netip.AddrPort{}, 0, errOffsetID
	}
	addr, at = host(b[:], 0, at6)
	return addr, Offset(binary.BigEndian.Uint64(b[at:])), nil
}

// UniqueIDs makes the ids that a producer gives to its messages, and a broker to those that come without (UNIQ_KEY; Java
// MessageClientIDSetter): upper-case hex of
//
//	address (4 or 16) | process id (2) | a number of this generator (4) | ms since the start of the month (4) | counter (2)
//
// It may be used by many goroutines.
type UniqueIDs struct {
	prefix  []byte // hex
	counter atomic.Uint32
	month   atomic.Pointer[month]
}

// month is the span from which the time of an id counts, in ms.
type month struct{ start, end int64 }

// NewUniqueIDs returns a generator for a process. The number that tells generators of one process apart is random; Java
// takes the hash of a class loader.
func NewUniqueIDs(ip netip.Addr, pid int) *UniqueIDs {
	var b [22]byte
	raw := b[:0]
	if ip = ip.Unmap(); ip.Is6() {
		raw = append(raw, ip.AsSlice()...)
	} else if ip.Is4() {
		raw = append(raw, ip.AsSlice()...)
	} else {
		raw = append(raw, 0, 0, 0, 0)
	}
	raw = binary.BigEndian.AppendUint16(raw, uint16(pid))
	raw = raw[:len(raw)+4]
	_, _ = rand.Read(raw[len(raw)-4:]) // never fails
	return &UniqueIDs{prefix: appendHex(nil, raw)}
}

// Append appends a new id to dst: 32 characters for an IPv4 address, 56 for an IPv6 one. The month is that of now's
// time zone.
func (u *UniqueIDs) Append(dst []byte, now time.Time) []byte {
	ms := now.UnixMilli()
	m := u.month.Load()
	if m == nil || ms >= m.end || ms < m.start-1_000_000 {
		first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
		m = &month{first.UnixMilli(), first.AddDate(0, 1, 0).UnixMilli()}
		u.month.Store(m)
	}
	since := max(0, ms-m.start) // the clock may have gone back a little over the turn of the month
	var b [6]byte
	binary.BigEndian.PutUint32(b[:], uint32(since))
	binary.BigEndian.PutUint16(b[4:], uint16(u.counter.Add(1)-1))
	return appendHex(append(dst, u.prefix...), b[:])
}
