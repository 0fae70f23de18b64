// Package bufpool lends byte buffers of twelve sizes, 512 B to 1 MiB, by powers of two.
//
// Invariants:
//   - Get returns an empty slice of at least the wanted capacity: callers append.
//   - The owner calls Release exactly once and touches neither the Buf nor its bytes afterwards. Who owns a buffer
//     after a call is said in the doc comment of that call.
//   - A Buf whose slice was grown by append goes back to the class that its new capacity fills; buffers larger than
//     the largest class are left to the garbage collector.
//
// The pool holds *Buf, not []byte, so that returning a buffer does not allocate. With the build tag invariants a
// released buffer is overwritten, which makes a use after Release visible.
package bufpool

import (
	"math/bits"
	"sync"
)

const (
	minShift = 9  // 512 B
	maxShift = 20 // 1 MiB
	classes  = maxShift - minShift + 1

	// MaxPooled is the largest capacity that is kept for reuse.
	MaxPooled = 1 << maxShift
)

// Buf is a lent buffer. B may be sliced, appended to and replaced by the owner.
type Buf struct {
	B []byte
	// free guards against a second Release, which would hand one buffer to two owners.
	free bool
}

// pools is a cache without observable state: losing all of it changes nothing but speed.
var pools [classes]sync.Pool

// Get returns a buffer with len(B) == 0 and cap(B) >= n.
func Get(n int) *Buf {
	c := classFor(n)
	if c < 0 {
		return &Buf{B: make([]byte, 0, n)}
	}
	if b, ok := pools[c].Get().(*Buf); ok {
		b.free = false
		b.B = b.B[:0]
		return b
	}
	return &Buf{B: make([]byte, 0, 1<<(minShift+c))}
}

// Release gives the buffer back. A nil b is ignored. It panics when b was released before: that is a bug in this
// process which would otherwise corrupt somebody else's data.
func (b *Buf) Release() {
	if b == nil {
		return
	}
	if b.free {
		panic("bufpool: buffer released twice")
	}
	b.free = true
	n := cap(b.B)
	if n < 1<<minShift || n > MaxPooled {
		b.B = nil
		return
	}
	poison(b.B[:n])
	b.B = b.B[:0]
	pools[bits.Len(uint(n))-1-minShift].Put(b) // rounded down: each member of a class has at least its size
}

// classFor returns the smallest class that holds n bytes, -1 when none does.
func classFor(n int) int {
	switch {
	case n <= 1<<minShift:
		return 0
	case n > MaxPooled:
		return -1
	}
	return bits.Len(uint(n-1)) - minShift
}
