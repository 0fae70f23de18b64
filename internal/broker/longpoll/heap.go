package longpoll

// deadlines is a binary heap of entries, the earliest deadline first. Each entry knows its place, so that one that is
// woken by a message leaves at once and nothing piles up.
type deadlines []*entry

func (h *deadlines) push(e *entry) {
	e.pos = int32(len(*h))
	*h = append(*h, e)
	h.up(e)
}

func (h *deadlines) remove(e *entry) {
	at, last := e.pos, len(*h)-1
	moved := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	if moved != e {
		(*h)[at], moved.pos = moved, at
		h.fix(moved)
	}
	if c := cap(*h); c > 1024 && last < c/4 {
		*h = append(make(deadlines, 0, c/2), *h...) // a burst does not keep its memory for ever
	}
}

// fix restores the order after e's deadline changed.
func (h *deadlines) fix(e *entry) {
	at := e.pos
	h.up(e)
	if e.pos == at {
		h.down(e)
	}
}

func (h *deadlines) up(e *entry) {
	s := *h
	at := e.pos
	for at > 0 {
		parent := (at - 1) / 2
		p := s[parent]
		if p.deadline <= e.deadline {
			break
		}
		s[at], p.pos = p, at
		at = parent
	}
	s[at], e.pos = e, at
}

func (h *deadlines) down(e *entry) {
	s := *h
	n, at := int32(len(s)), e.pos
	for {
		child := 2*at + 1
		if child >= n {
			break
		}
		if r := child + 1; r < n && s[r].deadline < s[child].deadline {
			child = r
		}
		c := s[child]
		if e.deadline <= c.deadline {
			break
		}
		s[at], c.pos = c, at
		at = child
	}
	s[at], e.pos = e, at
}
