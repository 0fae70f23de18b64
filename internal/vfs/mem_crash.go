package vfs

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashMode is what happens to the machine.
type CrashMode uint8

// Crash modes.
const (
	// PowerCut loses what was not synced: of each file a random subset of the unsynced pages survives, some of them
	// torn at a sector; sizes and names that were not synced may be the old or the new ones. The boot id changes.
	PowerCut CrashMode = iota
	// ProcessKill loses nothing: the operating system lives on, with its unsynced data. Locks are free.
	ProcessKill
)

// CrashClone returns what the disk holds after a crash at this moment. The original goes on unharmed, so that one run
// can be crashed at many points. The same rng state gives the same clone.
func (m *Mem) CrashClone(rng *rand.Rand, mode CrashMode) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &cloner{rng: rng, seen: map[*inode]*inode{}, keepAll: mode == ProcessKill}
	out := &Mem{
		now: m.now, capacity: m.capacity, locks: map[string]bool{}, bootID: m.bootID, crashes: m.crashes,
	}
	if mode == ProcessKill {
		out.root = c.tree(m.root, func(n *inode) map[string]*inode { return n.names })
		for _, op := range m.pending {
			out.pending = append(out.pending, c.op(op))
		}
		c.durableNames()
	} else {
		names := m.survivingNames(rng)
		out.root = c.tree(m.root, func(n *inode) map[string]*inode { return names[n] })
		out.crashes++
		out.bootID = memBootID(out.crashes + 1)
		for _, n := range c.seen {
			n.durNames = maps.Clone(n.names)
		}
	}
	for _, n := range c.seen {
		for _, child := range n.names {
			child.links++
		}
		if !n.dir {
			out.used += n.charged()
		}
	}
	for _, n := range c.seen { // known only to pending or durable names: not in the current tree
		if !n.dir && n.links == 0 {
			out.used -= n.charged()
			n.uncharged = true
		}
	}
	return out
}

// survivingNames returns the names of each directory after a power cut. Like a journal, the disk has a prefix of the
// pending changes in half of the cases; in the others any subset of them, as POSIX allows.
func (m *Mem) survivingNames(rng *rand.Rand) map[*inode]map[string]*inode {
	names := map[*inode]map[string]*inode{}
	var visit func(n *inode)
	visit = func(n *inode) {
		if n == nil || !n.dir || names[n] != nil {
			return
		}
		names[n] = maps.Clone(n.durNames)
		for _, c := range n.durNames {
			visit(c)
		}
		for _, c := range n.names {
			visit(c)
		}
	}
	visit(m.root)
	journal := rng.IntN(2) == 0
	cut := rng.IntN(len(m.pending) + 1)
	for i, op := range m.pending {
		if journal && i >= cut || !journal && rng.IntN(2) == 0 {
			continue
		}
		for _, s := range op.sets {
			visit(s.dir)
			visit(s.node)
			if s.node == nil {
				delete(names[s.dir], s.name)
			} else {
				names[s.dir][s.name] = s.node
			}
		}
	}
	return names
}

// cloner copies inodes, each once, so that hard links stay links.
type cloner struct {
	rng     *rand.Rand
	seen    map[*inode]*inode // original -> copy
	keepAll bool
}

// tree copies n and what names says is below it, in the order of names: the outcome depends on the rng only.
func (c *cloner) tree(n *inode, names func(*inode) map[string]*inode) *inode {
	if cp := c.seen[n]; cp != nil {
		return cp
	}
	if !n.dir {
		cp := c.file(n)
		c.seen[n] = cp
		return cp
	}
	cp := newDir(n.mtime)
	c.seen[n] = cp
	below := names(n)
	for _, name := range slices.Sorted(maps.Keys(below)) {
		cp.names[name] = c.tree(below[name], names)
	}
	return cp
}

// node copies an inode that is only known from the durable names or a pending change.
func (c *cloner) node(n *inode) *inode {
	if n == nil {
		return nil
	}
	return c.tree(n, func(d *inode) map[string]*inode { return d.names })
}

func (c *cloner) op(op dirOp) dirOp {
	sets := make([]dirSet, len(op.sets))
	for i, s := range op.sets {
		sets[i] = dirSet{dir: c.node(s.dir), name: s.name, node: c.node(s.node)}
	}
	return dirOp{sets}
}

// durableNames copies the durable names of all directories that were copied, and of those found on the way.
func (c *cloner) durableNames() {
	for done := map[*inode]bool{}; len(done) < len(c.seen); {
		for orig, cp := range maps.Clone(c.seen) {
			if done[orig] {
				continue
			}
			done[orig] = true
			for name, n := range orig.durNames {
				cp.durNames[name] = c.node(n)
			}
		}
	}
}

// file copies a file as the crash leaves it. Shared pages stay shared: a clean page is never written to.
func (c *cloner) file(n *inode) *inode {
	cp := newFile(n.mtime)
	cp.allocated = n.allocated
	if c.keepAll {
		cp.size, cp.durSize = n.size, n.durSize
		cp.dur = maps.Clone(n.dur)
		cp.dirty = maps.Clone(n.dirty)
		for p, b := range n.pages {
			if n.dirty[p] {
				b = slices.Clone(b)
			}
			cp.pages[p] = b
		}
		return cp
	}
	cp.size = c.survivingSize(n)
	cp.durSize = cp.size
	cp.pages = maps.Clone(n.dur)
	for _, p := range slices.Sorted(maps.Keys(n.dirty)) {
		c.page(n, cp, p)
	}
	last := (cp.size + pageSize - 1) / pageSize
	for p, b := range cp.pages {
		switch {
		case p >= last:
			delete(cp.pages, p)
		case (p+1)*pageSize > cp.size: // nothing lives beyond the end
			b = slices.Clone(b)
			clear(b[cp.size-p*pageSize:])
			cp.pages[p] = b
		}
	}
	cp.allocated = min(cp.allocated, last)
	cp.dur = maps.Clone(cp.pages)
	return cp
}

// survivingSize chooses between the old and the new size. A file that grew may have got any part of the way.
func (c *cloner) survivingSize(n *inode) int64 {
	grown := n.size - n.durSize
	switch r := c.rng.IntN(3); {
	case grown == 0, r == 0:
		return n.size
	case r == 1, grown < 0:
		return n.durSize
	}
	return n.durSize + c.rng.Int64N(grown)/sectorSize*sectorSize
}

// page decides what becomes of unsynced page p: lost, kept or torn.
func (c *cloner) page(n, cp *inode, p int64) {
	now, ok := n.pages[p]
	if !ok { // dropped by a truncation: gone if the new size survived
		if cp.size == n.size && n.size != n.durSize || c.rng.IntN(2) == 0 {
			delete(cp.pages, p)
		}
		return
	}
	switch c.rng.IntN(5) {
	case 0, 1: // lost
	case 2, 3:
		cp.pages[p] = slices.Clone(now)
	default: // torn: some of its sectors were written
		torn := make([]byte, pageSize)
		copy(torn, n.dur[p])
		prefix := c.rng.IntN(2) == 0
		at := (1 + c.rng.IntN(pageSize/sectorSize-1)) * sectorSize
		if prefix {
			copy(torn[:at], now)
		} else {
			copy(torn[at:], now[at:])
		}
		cp.pages[p] = torn
	}
}

// Unsynced lists the files that would lose data in a power cut, for tests that check what a program promised.
func (m *Mem) Unsynced() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	var walk func(n *inode, name string)
	walk = func(n *inode, name string) {
		if !n.dir && (len(n.dirty) > 0 || n.size != n.durSize) {
			list = append(list, name)
		}
		for base, c := range n.names {
			walk(c, name+"/"+base)
		}
	}
	walk(m.root, "")
	slices.SortFunc(list, cmp.Compare[string])
	return list
}
