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
	x     *crossing     // AutoSwitchHA: the epochs of what comes

	// What is no record is stored all the same at hole: it has come twice, so the master's log is like that.
	hole   record.Offset
	inHole bool
}

// newReceiver returns a receiver; hole is the place where damage is to be copied, -1 for none. x is nil for DefaultHA.
func newReceiver(s *storage.Store, hole record.Offset, x *crossing) *receiver {
	r := &receiver{store: s, base: s.Appended(), fresh: s.Unused(), hole: hole, x: x}
	r.in.auto = x != nil
	return r
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
func (r *receiver) append(hole bool) (stored int, err error) {
	for {
		p, cut := r.rest, false
		if r.x != nil && len(p) > 0 {
			if err = r.x.cross(r.base); err != nil {
				return stored, err
			}
			if left := r.x.border() - r.base; left < record.Offset(len(p)) {
				p, cut = p[:left], true
			}
		}
		n, err := r.store.AppendRaw(r.base, p, hole)
		r.base += record.Offset(n)
		r.rest = r.rest[:copy(r.rest, r.rest[n:])]
		stored += n
		if err != nil || !cut {
			return stored, err
		}
		if n < len(p) {
			return stored, fmt.Errorf("the master says that an epoch begins at log offset %d, which is inside of a record", r.base+record.Offset(len(p)-n))
		}
	}
}

// keepRest is how much memory is kept after a long record.
const keepRest = 1 << 20

// begin implements handler.
func (r *receiver) begin(f *frame) error {
	want := r.base + record.Offset(len(r.rest))
	switch off := f.off; {
	case off == want:
	case r.fresh && len(r.rest) == 0:
		if f.n == 0 {
			return nil // nothing to send yet
		}
		r.base = off
	case r.x == nil && off>>32 >= 1 && off>>32 <= 4 && want>>32 != off>>32 && off&0xffff_ffff < maxBody:
		return ErrController // its frames begin with a state of 32 bits, then the length
	default:
		return fmt.Errorf("the master goes on at log offset %d, this slave's log ends at %d: the logs are not the same. Move this store away and let it copy anew", off, want)
	}
	if r.x != nil {
		if err := r.x.label(f); err != nil {
			return err
		}
	}
	if f.n > 0 {
		r.fresh, r.moved = false, true
	}
	return nil
}

// body implements handler.
func (r *receiver) body(p []byte) { r.rest = append(r.rest, p...) }

// crossing writes down the epochs of what a slave stores: before the first byte of each.
type crossing struct {
	epochs  *Epochs
	ahead   []Epoch       // the master has said that they come
	confirm record.Offset // the master's newest
}

// border returns where the next epoch begins.
func (x *crossing) border() record.Offset {
	if len(x.ahead) == 0 {
		return forever
	}
	return x.ahead[0].Start
}

// cross writes down what begins at or before base, where a byte is to be stored.
func (x *crossing) cross(base record.Offset) error {
	n := epochsBefore(x.ahead, base+1)
	if n == 0 {
		return nil
	}
	err := x.epochs.edit(func(list []Epoch) []Epoch {
		for _, e := range x.ahead[:n] {
			list = addEpoch(list, e)
		}
		return list
	})
	if err != nil {
		return fmt.Errorf("write down the epochs of the log: %w", err)
	}
	x.ahead = x.ahead[n:]
	return nil
}

// label takes what a frame says of the epoch that it is of.
//
// Java's master says of the last frame of an epoch that it is of the next one. So the begin may be behind the frame.
func (x *crossing) label(f *frame) error {
	x.confirm = max(f.confirm, 0)
	last := x.epochs.Last()
	known := last != Epoch{} || len(x.epochs.List()) > 0
	if n := len(x.ahead); n > 0 {
		last, known = x.ahead[n-1], true
	}
	switch e := f.epoch; {
	case known && e.Number < last.Number || e == last:
		return nil
	case e.Start < f.off || known && (e.Number == last.Number || e.Start < last.Start) || len(x.ahead) >= maxAnswered:
		return fmt.Errorf("the master says that epoch %d begins at log offset %d, with what is at %d; before that was epoch %d from %d on", e.Number, e.Start, f.off, last.Number, last.Start)
	default:
		x.ahead = addEpoch(x.ahead, e)
		return nil
	}
}
