package pop

// settled marks an index that needs nothing any more.
const settled int32 = -1

// window says for each index from the floor on whether it is settled or which entry holds it. It is a ring.
type window struct {
	buf  []int32 // length is a power of two
	head int
	n    int
}

func (w *window) at(i int) *int32 { return &w.buf[(w.head+i)&(len(w.buf)-1)] }

func (w *window) push(v int32) {
	if w.n == len(w.buf) {
		w.grow()
	}
	w.buf[(w.head+w.n)&(len(w.buf)-1)] = v
	w.n++
}

// pop removes the first one.
func (w *window) pop() {
	w.head = (w.head + 1) & (len(w.buf) - 1)
	w.n--
	if w.n == 0 && len(w.buf) > keepWindow {
		w.buf, w.head = nil, 0 // a queue that was once far behind does not keep its memory
	}
}

// keepWindow is how many places an empty window keeps.
const keepWindow = 1 << 14

func (w *window) grow() {
	next := make([]int32, max(64, 2*len(w.buf)))
	for i := range w.n {
		next[i] = *w.at(i)
	}
	w.buf, w.head = next, 0
}

func (w *window) clear() { w.head, w.n = 0, 0 }
