package replication

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
)

const (
	reportLen = 8  // slave to master: i64 end of the slave's log
	headerLen = 12 // master to slave: i64 log offset of the body, i32 its length; 0 is a sign of life

	// maxFrame is the longest frame that Java's slave takes: its buffer is 4 MiB, with the header.
	maxFrame = 4 << 20
	maxBody  = maxFrame - headerLen
)

// ErrController says that the other side speaks the protocol of the controller mode.
var ErrController = errors.New("the other side is in controller mode (AutoSwitchHA), this broker is not: set enableControllerMode on both or on none")

func appendReport(dst []byte, end record.Offset) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(end))
}

func appendHeader(dst []byte, off record.Offset, n int) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(off))
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// reports takes the stream of a slave apart.
type reports struct {
	part [reportLen]byte
	n    int
}

// feed calls each with the reports that end in p.
func (r *reports) feed(p []byte, each func(end record.Offset) error) error {
	for len(p) > 0 {
		k := copy(r.part[r.n:], p)
		r.n, p = r.n+k, p[k:]
		if r.n < reportLen {
			return nil
		}
		r.n = 0
		end := record.Offset(binary.BigEndian.Uint64(r.part[:]))
		if end < 0 {
			return fmt.Errorf("report of a negative offset %d", end)
		}
		if err := each(end); err != nil {
			return err
		}
	}
	return nil
}

// maybeHandshake reports whether a first report could as well be the begin of an AutoSwitchHA handshake: i32 1, then two flags
// of 16 bits. Only a log that ends just behind 4 GiB looks the same.
func maybeHandshake(first record.Offset) bool {
	return first>>32 == 1 && uint32(first)&^0x0001_0001 == 0
}

// frame is what stands before some bytes of the master's log.
type frame struct {
	off record.Offset
	n   int // length of the body, 0: a sign of life

	// Of AutoSwitchHA only.
	epoch   Epoch
	confirm record.Offset
}

// parse reads a header of DefaultHA.
func (f *frame) parse(p []byte) error {
	f.off, f.n = record.Offset(binary.BigEndian.Uint64(p)), int(int32(binary.BigEndian.Uint32(p[8:])))
	if f.off < 0 || f.n < 0 || f.n > maxBody {
		return fmt.Errorf("impossible frame: offset %d, length %d", f.off, f.n)
	}
	return nil
}

// handler is what frames are given to.
type handler interface {
	begin(f *frame) error
	body(p []byte) // a piece of the body
}

// frames takes the stream of a master apart. The zero value is for DefaultHA.
type frames struct {
	auto bool // AutoSwitchHA
	head [switchHeaderLen]byte
	n    int // bytes of head
	left int // bytes of the body that are to come
	f    frame
}

// feed gives h what is in p.
func (s *frames) feed(p []byte, h handler) error {
	size, parse := headerLen, s.f.parse
	if s.auto {
		size, parse = switchHeaderLen, s.f.parseSwitch
	}
	for len(p) > 0 {
		if s.left > 0 {
			k := min(s.left, len(p))
			h.body(p[:k])
			s.left, p = s.left-k, p[k:]
			continue
		}
		k := copy(s.head[s.n:size], p)
		s.n, p = s.n+k, p[k:]
		if s.n < size {
			return nil
		}
		s.n = 0
		if err := parse(s.head[:size]); err != nil {
			return err
		}
		if err := h.begin(&s.f); err != nil {
			return err
		}
		s.left = s.f.n
	}
	return nil
}
