package replication

import (
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// receiver puts what a master sends into the store. It is for one goroutine.
type receiver struct {
	store *storage.Store
	in    frames
	base  record.Offset // end of the store's log
	rest  []byte        // what follows in the master's log and is not a whole record yet
	fresh bool          // the log has never held anything: it begins where the master says
	moved bool          // a body has come

	// What is no record is stored all the same at hole: it has come twice, so the master's log is like that.
	hole   record.Offset
	inHole bool
}

// newReceiver returns a receiver; hole is the place where damage is to be copied, -1 for none.
func newReceiver(s *storage.Store, hole record.Offset) *receiver {
	return &receiver{store: s, base: s.Appended(), fresh: s.Unused(), hole: hole}
}

// feed takes bytes from the connection. grown: more is in the log than before, even with an error.
func (r *receiver) feed(p []byte) (grown bool, err error) {
	ferr := r.in.feed(p, r)
	n, err := r.append(false)
	for err != nil && errors.Is(err, storage.ErrUnsound) && (r.inHole || r.base == r.hole) {
		var more, sound int
		if more, err = r.append(true); err != nil || more == 0 {
			r.inHole = true
			break
		}
		sound, err = r.append(false)
		r.inHole = sound == 0
		n += more + sound
	}
	if cap(r.rest) > keepRest && len(r.rest) < keepRest/2 {
		r.rest = append(make([]byte, 0, keepRest), r.rest...)
	}
	return n > 0, errors.Join(err, ferr)
}

// append stores what can be stored of the rest.
func (r *receiver) append(hole bool) (int, error) {
	n, err := r.store.AppendRaw(r.base, r.rest, hole)
	r.base += record.Offset(n)
	r.rest = r.rest[:copy(r.rest, r.rest[n:])]
	return n, err
}

// keepRest is how much memory is kept after a long record.
const keepRest = 1 << 20

// begin implements handler.
func (r *receiver) begin(off record.Offset, n int) error {
	want := r.base + record.Offset(len(r.rest))
	switch {
	case off == want:
	case r.fresh && len(r.rest) == 0:
		if n == 0 {
			return nil // nothing to send yet
		}
		r.base = off
	case off>>32 >= 1 && off>>32 <= 4 && want>>32 != off>>32 && off&0xffff_ffff < maxBody:
		return ErrController // its frames begin with a state of 32 bits, then the length
	default:
		return fmt.Errorf("the master goes on at log offset %d, this slave's log ends at %d: the logs are not the same. Move this store away and let it copy anew", off, want)
	}
	if n > 0 {
		r.fresh, r.moved = false, true
	}
	return nil
}

// body implements handler.
func (r *receiver) body(p []byte) { r.rest = append(r.rest, p...) }
