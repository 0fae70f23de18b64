package topic

import "strings"

// Trie holds filters with a value for each subscriber K. It is not safe for use by several goroutines.
type Trie[K comparable, V any] struct {
	root node[K, V]
	size int
}

type node[K comparable, V any] struct {
	next map[string]*node[K, V]
	subs map[K]V
}

// Len is how many pairs of filter and subscriber there are.
func (t *Trie[K, V]) Len() int { return t.size }

// Put adds or replaces what k has at filter.
func (t *Trie[K, V]) Put(filter string, k K, v V) {
	n := &t.root
	for left, more := filter, true; more; {
		var level string
		level, left, more = strings.Cut(left, "/")
		next := n.next[level]
		if next == nil {
			next = &node[K, V]{}
			if n.next == nil {
				n.next = map[string]*node[K, V]{}
			}
			n.next[strings.Clone(level)] = next
		}
		n = next
	}
	if n.subs == nil {
		n.subs = map[K]V{}
	}
	if _, ok := n.subs[k]; !ok {
		t.size++
	}
	n.subs[k] = v
}

// Remove takes away what k has at filter; false: it had nothing.
func (t *Trie[K, V]) Remove(filter string, k K) bool {
	if !t.root.remove(filter, k) {
		return false
	}
	t.size--
	return true
}

func (n *node[K, V]) remove(filter string, k K) bool {
	level, left, more := strings.Cut(filter, "/")
	next := n.next[level]
	if next == nil {
		return false
	}
	if more {
		if !next.remove(left, k) {
			return false
		}
	} else {
		if _, ok := next.subs[k]; !ok {
			return false
		}
		delete(next.subs, k)
	}
	if len(next.subs) == 0 && len(next.next) == 0 {
		delete(n.next, level)
	}
	return true
}

// Match calls f for each subscriber of each filter that matches name. One that has several such filters is seen several times.
func (t *Trie[K, V]) Match(name string, f func(k K, v V)) {
	t.root.match(name, strings.HasPrefix(name, "$"), f)
}

func (n *node[K, V]) match(name string, system bool, f func(k K, v V)) {
	level, left, more := strings.Cut(name, "/")
	if !system {
		if all := n.next[rest]; all != nil {
			all.each(f)
		}
		n.next[one].step(left, more, f)
	}
	if level != one && level != rest {
		n.next[level].step(left, more, f)
	}
}

func (n *node[K, V]) step(left string, more bool, f func(k K, v V)) {
	switch {
	case n == nil:
	case more:
		n.match(left, false, f)
	default:
		n.each(f)
		if all := n.next[rest]; all != nil { // "a/#" matches "a"
			all.each(f)
		}
	}
}

func (n *node[K, V]) each(f func(k K, v V)) {
	for k, v := range n.subs {
		f(k, v)
	}
}
