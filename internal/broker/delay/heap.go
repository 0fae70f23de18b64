package delay

import "github.com/cometmq/cometmq/internal/record"

// entry is a timer that is due soon.
type entry struct {
	due      int64 // ms
	offset   record.Offset
	slot     int64 // ms
	enqueued int64 // ms
	size     int32
	roll     bool
}

func (e *entry) before(o *entry) bool {
	if e.due != o.due {
		return e.due < o.due
	}
	return e.offset < o.offset
}

// heap has the entry that is due first in front; of equal ones that which is first in the log, so that reading goes forward.
type heap []entry

func (h *heap) push(e entry) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		p := (i - 1) / 2
		if !s[i].before(&s[p]) {
			return
		}
		s[i], s[p] = s[p], s[i]
		i = p
	}
}

// pop removes the first entry.
func (h *heap) pop() {
	s := *h
	n := len(s) - 1
	s[0] = s[n]
	s = s[:n]
	*h = s
	if n == 0 && cap(s) > 4*maxPending {
		*h = nil // a rare crowd does not keep its memory
	}
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return
		}
		if c+1 < n && s[c+1].before(&s[c]) {
			c++
		}
		if !s[c].before(&s[i]) {
			return
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}
