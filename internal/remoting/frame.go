package remoting

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/protocol"
)

// ErrMalformed is wrapped by the reason of a connection that was closed because its bytes are no remoting frames.
var ErrMalformed = errors.New("malformed input")

// splitFrame looks at the start of b for a frame (see protocol.PrefixLen for the layout) of at most limit bytes, the four
// length bytes included. n is the length of the whole frame when all of it is there. Otherwise n is 0 and want is how
// long b must become before it pays to ask again. The lengths are checked as soon as they can be seen.
func splitFrame(b []byte, limit int) (n, want int, err error) {
	if len(b) < 4 {
		return 0, protocol.PrefixLen, nil
	}
	total := binary.BigEndian.Uint32(b)
	if total < 4 || int64(total) > int64(limit)-4 {
		return 0, 0, fmt.Errorf("%w: frame length %d, allowed are 4 to %d", ErrMalformed, int32(total), limit-4)
	}
	if len(b) < protocol.PrefixLen {
		return 0, max(int(total)+4, protocol.PrefixLen), nil
	}
	word := binary.BigEndian.Uint32(b[4:])
	if s, headerLen := protocol.SplitWord(word); s > protocol.Binary || headerLen > int(total)-4 {
		return 0, 0, fmt.Errorf("%w: serialisation %d, header of %d bytes in a frame of %d", ErrMalformed, s, headerLen, total)
	}
	n = int(total) + 4
	if len(b) < n {
		return 0, n, nil
	}
	return n, n, nil
}
