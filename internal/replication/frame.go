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

	// maxBody is the longest body that Java's slave takes: its buffer is 4 MiB, with the header.
	maxBody = 4<<20 - headerLen
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

// handler is what frames are given to.
type handler interface {
	begin(off record.Offset, n int) error // n = 0: a sign of life
	body(p []byte)                        // a piece of the body
}

// frames takes the stream of a master apart.
type frames struct {
	head [headerLen]byte
	n    int // bytes of head
	left int // bytes of the body that are to come
}

// feed gives h what is in p.
func (f *frames) feed(p []byte, h handler) error {
	for len(p) > 0 {
		if f.left > 0 {
			k := min(f.left, len(p))
			h.body(p[:k])
			f.left, p = f.left-k, p[k:]
			continue
		}
		k := copy(f.head[f.n:], p)
		f.n, p = f.n+k, p[k:]
		if f.n < headerLen {
			return nil
		}
		f.n = 0
		off, n := record.Offset(binary.BigEndian.Uint64(f.head[:])), int32(binary.BigEndian.Uint32(f.head[8:]))
		if off < 0 || n < 0 || n > maxBody {
			return fmt.Errorf("impossible frame: offset %d, length %d", off, n)
		}
		if err := h.begin(off, int(n)); err != nil {
			return err
		}
		f.left = int(n)
	}
	return nil
}
