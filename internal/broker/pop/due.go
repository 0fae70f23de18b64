package pop

// entry is one message that is handed out.
type entry struct {
	index     int64
	popTime   int64 // ms, names the handle
	visibleAt int64 // ms
	attempt   int32 // how often it was handed out before
	pos       int32 // in the heap, or where else it is
	prev      int32 // of the list of the visible ones
	next      int32 // likewise; of the free ones
	suspended bool  // the next time does not count as an attempt
	debt      bool  // a Java broker had handed it out: it is below the floor
}

// Places of an entry that is not in the heap.
const (
	inReady    int32 = -1 // visible again, in the list
	inSpilling int32 = -2 // on its way to the retry topic
)

const none int32 = -1

// entries holds the entries of one shard: a slab with a free list, a heap of those that are invisible, by the time they
// become visible, and a list of those that are visible again, first in first out.
type entries struct {
	slab  []entry
	free  int32
	n     int
	heap  []int32
	first int32
	last  int32
}

func (e *entries) init() { e.free, e.first, e.last = none, none, none }

func (e *entries) clear() {
	e.slab, e.heap, e.n = e.slab[:0], e.heap[:0], 0
	e.init()
}

// add makes an entry and returns its number; it is in neither heap nor list.
func (e *entries) add() int32 {
	e.n++
	if i := e.free; i != none {
		e.free = e.slab[i].next
		e.slab[i] = entry{}
		return i
	}
	e.slab = append(e.slab, entry{})
	return int32(len(e.slab) - 1)
}

// remove takes i out of wherever it is and gives its place back.
func (e *entries) remove(i int32) {
	e.detach(i)
	e.slab[i].next = e.free
	e.free = i
	e.n--
}

// detach takes i out of heap or list.
func (e *entries) detach(i int32) {
	x := &e.slab[i]
	switch {
	case x.pos >= 0:
		e.unheap(x.pos)
	case x.pos == inReady:
		e.unlink(i)
	}
	x.pos = inSpilling
}

// hide puts i, which is detached, among the invisible ones.
func (e *entries) hide(i int32) {
	e.slab[i].pos = int32(len(e.heap))
	e.heap = append(e.heap, i)
	e.up(e.slab[i].pos)
}

// show puts i, which is detached, at the end of the visible ones.
func (e *entries) show(i int32) {
	x := &e.slab[i]
	x.pos, x.prev, x.next = inReady, e.last, none
	if e.last != none {
		e.slab[e.last].next = i
	} else {
		e.first = i
	}
	e.last = i
}

func (e *entries) unlink(i int32) {
	x := &e.slab[i]
	if x.prev != none {
		e.slab[x.prev].next = x.next
	} else {
		e.first = x.next
	}
	if x.next != none {
		e.slab[x.next].prev = x.prev
	} else {
		e.last = x.prev
	}
}

// earliest returns the time at which the next one becomes visible.
func (e *entries) earliest() (int64, bool) {
	if len(e.heap) == 0 {
		return 0, false
	}
	return e.slab[e.heap[0]].visibleAt, true
}

// less orders by time, then by index.
func (e *entries) less(a, b int32) bool {
	x, y := &e.slab[a], &e.slab[b]
	if x.visibleAt != y.visibleAt {
		return x.visibleAt < y.visibleAt
	}
	return x.index < y.index
}

func (e *entries) unheap(at int32) {
	last := int32(len(e.heap) - 1)
	moved := e.heap[last]
	e.heap = e.heap[:last]
	if at == last {
		return
	}
	e.heap[at] = moved
	e.slab[moved].pos = at
	e.up(at)
	if e.slab[moved].pos == at {
		e.down(at)
	}
}

func (e *entries) up(at int32) {
	i := e.heap[at]
	for at > 0 {
		parent := (at - 1) / 2
		p := e.heap[parent]
		if !e.less(i, p) {
			break
		}
		e.heap[at], e.slab[p].pos = p, at
		at = parent
	}
	e.heap[at], e.slab[i].pos = i, at
}

func (e *entries) down(at int32) {
	i, n := e.heap[at], int32(len(e.heap))
	for {
		child := 2*at + 1
		if child >= n {
			break
		}
		if r := child + 1; r < n && e.less(e.heap[r], e.heap[child]) {
			child = r
		}
		c := e.heap[child]
		if !e.less(c, i) {
			break
		}
		e.heap[at], e.slab[c].pos = c, at
		at = child
	}
	e.heap[at], e.slab[i].pos = i, at
}
