package keyindex

import (
	"encoding/binary"
	"fmt"

	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	windowSlots = 1 << 14 // slots are read and written in windows of 64 KiB
	denseGroup  = 16      // from so many slots of a window on the window is read and written in one piece
)

// merge writes a batch into the newest file: entries, slots, header, in that order. It can be repeated after an error:
// what was written is written again, and slots are read before the first of them is written.
func (ix *Index) merge(f *file, b *batch) error {
	h, err := f.use(ix.fs)
	if err != nil {
		return err
	}
	ix.noteWrite(f)
	if ix.window == nil {
		ix.window = make([]byte, windowSlots*slotSize)
	}
	if !b.resolved {
		if err = ix.resolve(f, h, b); err != nil {
			return fmt.Errorf("read index file %s: %w", f.name, err)
		}
	}
	if _, err = h.WriteAt(b.entries, f.entryPos(b.base)); err != nil {
		return fmt.Errorf("write index file %s: %w", f.name, err)
	}
	err = b.eachGroup(func(g group) error { return ix.writeSlots(f, h, g) })
	if err != nil {
		return fmt.Errorf("write index file %s: %w", f.name, err)
	}
	head := b.head
	head.slots = f.head.slots + b.newSlots
	if _, err = h.WriteAt(head.append(ix.window[:0]), 0); err != nil {
		return fmt.Errorf("write index file %s: %w", f.name, err)
	}
	ix.mu.Lock()
	f.head = head
	ix.mu.Unlock()
	return nil
}

// group is a part of the table of a batch whose slots are in one window.
type group struct {
	cells []cell // some are free
	used  int
	first int32 // slot of the window
	lo    int32 // lowest slot in use
	hi    int32 // highest
}

// eachGroup calls fn for the cells in the order of the table. A window may come twice, because a cell can be a little
// away from its place.
func (b *batch) eachGroup(fn func(group) error) error {
	var g group
	start := 0
	for i, c := range b.table {
		if c.key == 0 {
			continue
		}
		slot := int32(c.key - 1)
		if first := slot - slot%windowSlots; g.used == 0 || first != g.first {
			if g.used > 0 {
				g.cells = b.table[start:i]
				if err := fn(g); err != nil {
					return err
				}
			}
			g = group{first: first, lo: slot, hi: slot}
			start = i
		}
		g.used++
		g.lo, g.hi = min(g.lo, slot), max(g.hi, slot)
	}
	if g.used == 0 {
		return nil
	}
	g.cells = b.table[start:]
	return fn(g)
}

// at is the place of a slot in the window buffer.
func (g group) at(slot int32) int { return int(slot-g.first) * slotSize }

// read fills the window buffer with at least the slots of the group.
func (g group) read(f *file, h vfs.File, window []byte) error {
	if g.used >= denseGroup {
		_, err := h.ReadAt(window[g.at(g.lo):g.at(g.hi)+slotSize], f.slotPos(g.lo))
		return err
	}
	for _, c := range g.cells {
		if c.key == 0 {
			continue
		}
		slot := int32(c.key - 1)
		if _, err := h.ReadAt(window[g.at(slot):g.at(slot)+slotSize], f.slotPos(slot)); err != nil {
			return err
		}
	}
	return nil
}

// resolve makes the chains of the batch go on in the file.
func (ix *Index) resolve(f *file, h vfs.File, b *batch) error {
	b.newSlots = 0
	err := b.eachGroup(func(g group) error {
		if err := g.read(f, h, ix.window); err != nil {
			return err
		}
		ix.mu.Lock() // queries walk the chains
		defer ix.mu.Unlock()
		for _, c := range g.cells {
			if c.key == 0 {
				continue
			}
			v := int32(binary.BigEndian.Uint32(ix.window[g.at(int32(c.key-1)):]))
			if !f.isEntry(v, b.base) {
				v = 0
				b.newSlots++
			}
			b.endChain(c.newest, v)
		}
		return nil
	})
	b.resolved = err == nil
	return err
}

func (ix *Index) writeSlots(f *file, h vfs.File, g group) error {
	dense := g.used >= denseGroup
	if dense {
		if err := g.read(f, h, ix.window); err != nil {
			return err
		}
	}
	for _, c := range g.cells {
		if c.key == 0 {
			continue
		}
		slot := int32(c.key - 1)
		b := ix.window[g.at(slot) : g.at(slot)+slotSize]
		binary.BigEndian.PutUint32(b, uint32(c.newest))
		if !dense {
			if _, err := h.WriteAt(b, f.slotPos(slot)); err != nil {
				return err
			}
		}
	}
	if !dense {
		return nil
	}
	_, err := h.WriteAt(ix.window[g.at(g.lo):g.at(g.hi)+slotSize], f.slotPos(g.lo))
	return err
}
