package segment

import "fmt"

// Patch overwrites what is at off with p, durably. It must lie in one file, be written already, and be what nobody needs as it was: a
// reader may see the old bytes, the new ones or both for a moment. Blocks of the cache are read anew, but not those that the appender has:
// hot says that there are such.
func (s *Set) Patch(p []byte, off int64) (hot bool, err error) {
	end := off + int64(len(p))
	f := s.Find(off)
	if f == nil || end > f.End() || !f.acquire() {
		return false, ErrGone
	}
	if _, err = f.f.WriteAt(p, off-f.base); err == nil {
		err = f.f.Datasync()
	}
	if cerr := f.release(); err == nil {
		err = cerr
	}
	first, _ := s.blockRange(off)
	hot = s.cache.dropCold(first, end)
	if err != nil {
		return hot, fmt.Errorf("patch %s at %d: %w", f.path, off-f.base, err)
	}
	return hot, nil
}

// dropCold takes the cold blocks that start in [from, to) out of the cache, and reports whether there are hot ones.
func (c *cache) dropCold(from, to int64) (hot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for base := from; base < to; base += int64(c.size) {
		switch b := c.blocks[base]; {
		case b == nil:
		case b.hot:
			hot = true
		default:
			c.dropLocked(b)
		}
	}
	return hot
}
