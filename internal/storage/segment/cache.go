package segment

import (
	"sync"
	"sync/atomic"
)

// Block is a piece of the sequence in memory. Its first bytes up to what the log has published are valid.
type Block struct {
	base int64
	data []byte
	disk bool         // filled from the file, not by the appender
	refs atomic.Int32 // one for the cache, one for each user

	load   sync.Mutex // held by the goroutine that fills the block
	err    error      // of that fill, valid once loaded
	loaded atomic.Bool

	// guarded by cache.mu
	hot        bool
	prev, next *Block
}

// wait returns the outcome of filling the block when the goroutine that does it is done.
func (b *Block) wait() error {
	b.load.Lock()
	defer b.load.Unlock()
	return b.err
}

// Base returns the position of the first byte of the block.
func (b *Block) Base() int64 { return b.base }

// End returns the position after the last byte of the block.
func (b *Block) End() int64 { return b.base + int64(len(b.data)) }

// Data returns the memory of the block.
func (b *Block) Data() []byte { return b.data }

// cache holds blocks by position: a ring of hot ones and a list of cold ones.
type cache struct {
	size   int // bytes of a block
	max    int // blocks in both, pinned ones may come on top
	hotMax int

	mu     sync.Mutex // guards what follows
	blocks map[int64]*Block
	hot    []*Block // oldest first
	cold   Block    // list head: next = most recently used
	ncold  int
	free   []*Block
}

func newCache(blockSize int, bytes int64) *cache {
	c := &cache{size: blockSize, max: max(int(bytes/int64(blockSize)), 16), blocks: map[int64]*Block{}}
	c.hotMax = c.max / 2
	c.cold.next, c.cold.prev = &c.cold, &c.cold
	return c
}

// get returns the block at base pinned; fresh = true: it is new, its load lock is held and the caller must fill it.
func (c *cache) get(base int64, n int) (b *Block, fresh bool) {
	c.mu.Lock()
	if b = c.blocks[base]; b != nil {
		b.refs.Add(1)
		if !b.hot && c.cold.next != b {
			b.unlink()
			c.pushLocked(b)
		}
		c.mu.Unlock()
		return b, false
	}
	b = c.takeLocked(base, n)
	b.disk = true
	b.refs.Store(2)
	b.load.Lock()
	c.blocks[base] = b
	c.pushLocked(b)
	c.ncold++
	c.mu.Unlock()
	return b, true
}

// find returns the block at base pinned, nil when it is not there.
func (c *cache) find(base int64) *Block {
	c.mu.Lock()
	b := c.blocks[base]
	if b != nil {
		b.refs.Add(1)
	}
	c.mu.Unlock()
	return b
}

// addHot makes the block at base the newest hot one and returns it pinned. The oldest hot one turns cold.
func (c *cache) addHot(base int64, n int) *Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.blocks[base]
	if b != nil {
		if !b.hot {
			b.unlink()
			c.ncold--
		}
	} else {
		b = c.takeLocked(base, n)
		b.disk = false
		b.loaded.Store(true)
		b.refs.Store(1)
		c.blocks[base] = b
	}
	b.refs.Add(1)
	if b.hot {
		return b
	}
	b.hot = true
	c.hot = append(c.hot, b)
	if len(c.hot) > c.hotMax {
		old := c.hot[0]
		copy(c.hot, c.hot[1:])
		c.hot = c.hot[:len(c.hot)-1]
		old.hot = false
		c.pushLocked(old)
		c.ncold++
	}
	return b
}

// takeLocked returns an unused block for base, evicting the least recently used cold one when the cache is full.
func (c *cache) takeLocked(base int64, n int) *Block {
	for len(c.hot)+c.ncold >= c.max && c.ncold > 0 {
		c.dropLocked(c.cold.prev)
	}
	var b *Block
	if k := len(c.free); k > 0 {
		b = c.free[k-1]
		c.free[k-1] = nil
		c.free = c.free[:k-1]
	} else {
		b = &Block{data: make([]byte, c.size)}
	}
	b.base, b.data, b.err = base, b.data[:n], nil
	b.loaded.Store(false)
	return b
}

// dropLocked takes a cold block out of the cache.
func (c *cache) dropLocked(b *Block) {
	b.unlink()
	c.ncold--
	delete(c.blocks, b.base)
	if b.refs.Add(-1) == 0 {
		c.recycleLocked(b)
	}
}

func (c *cache) recycleLocked(b *Block) {
	if len(c.free) < c.max {
		c.free = append(c.free, b)
	}
}

// release unpins b.
func (c *cache) release(b *Block) {
	if b.refs.Add(-1) == 0 {
		c.mu.Lock()
		c.recycleLocked(b)
		c.mu.Unlock()
	}
}

// forget drops b, whose fill went wrong, so that the next reader tries again.
func (c *cache) forget(b *Block) {
	c.mu.Lock()
	if c.blocks[b.base] == b && !b.hot {
		c.dropLocked(b)
	}
	c.mu.Unlock()
}

// dropRange takes all blocks that start in [from, to) out of the cache. The appender must not be using them.
func (c *cache) dropRange(from, to int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for base, b := range c.blocks {
		if base < from || base >= to {
			continue
		}
		if b.hot {
			b.hot = false
			for i, h := range c.hot {
				if h == b {
					c.hot = append(c.hot[:i], c.hot[i+1:]...)
					break
				}
			}
			c.pushLocked(b)
			c.ncold++
		}
		c.dropLocked(b)
	}
}

// trim gives the memory of all blocks back but the newest hot one.
func (c *cache) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.hot) > 1 {
		old := c.hot[0]
		c.hot[0], c.hot = nil, c.hot[1:]
		old.hot = false
		c.pushLocked(old)
		c.ncold++
	}
	for c.ncold > 0 {
		c.dropLocked(c.cold.prev)
	}
	clear(c.free)
	c.free = c.free[:0]
}

func (c *cache) pushLocked(b *Block) {
	b.prev, b.next = &c.cold, c.cold.next
	b.prev.next, b.next.prev = b, b
}

func (b *Block) unlink() {
	b.prev.next, b.next.prev = b.next, b.prev
	b.prev, b.next = nil, nil
}
