package amqp10

import (
	"encoding/binary"
	"fmt"
)

// A frame (standard, part 2.3):
//
//	0        4        5        6          8
//	| size   | doff   | type   | channel  | extended header to 4*doff | performative | payload |
const (
	frameHead    = 8
	frameAMQP    = 0
	frameSASL    = 1
	minFrameSize = 512 // every peer accepts that much
)

// The protocol headers.
const (
	headerAMQP = "AMQP\x00\x01\x00\x00"
	headerTLS  = "AMQP\x02\x01\x00\x00"
	headerSASL = "AMQP\x03\x01\x00\x00"
)

type frame struct {
	kind    byte
	channel uint16
	body    []byte // borrowed
}

// cutFrame takes the first frame from b. ok = false: it is not there yet.
func cutFrame(b []byte, maxSize uint32) (f frame, rest []byte, ok bool, err error) {
	if len(b) < frameHead {
		return f, b, false, nil
	}
	size := binary.BigEndian.Uint32(b)
	doff := uint32(b[4]) * 4
	if size < frameHead || size > maxSize || doff < frameHead || doff > size {
		return f, b, false, fmt.Errorf("a frame of %d bytes whose body begins at %d (limit %d)", size, doff, maxSize)
	}
	if uint64(len(b)) < uint64(size) {
		return f, b, false, nil
	}
	f = frame{kind: b[5], channel: binary.BigEndian.Uint16(b[6:]), body: b[doff:size:size]}
	return f, b[size:], true, nil
}

// beginFrame appends the head of a frame; endFrame writes its size.
func beginFrame(dst []byte, kind byte, channel uint16) (out []byte, at int) {
	at = len(dst)
	dst = append(dst, 0, 0, 0, 0, frameHead/4, kind)
	return binary.BigEndian.AppendUint16(dst, channel), at
}

func endFrame(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// appendFrame appends a frame with one performative.
func appendFrame(dst []byte, kind byte, channel uint16, c Composite) []byte {
	dst, at := beginFrame(dst, kind, channel)
	if c != nil {
		dst = c.AppendTo(dst)
	}
	return endFrame(dst, at)
}
