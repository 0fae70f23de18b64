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
		ix.sortBuf = b.sort(ix.sortBuf)
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

// group is what a batch has for the slots of one window, in order.
type group struct {
	cells []uint64 // slot << 32 | number of an entry, ascending
	first int32    // slot of the window
	lo    int32    // lowest slot in use
	hi    int32    // highest
}

func slotIn(c uint64) int32  { return int32(c >> 32) }
func entryIn(c uint64) int32 { return int32(uint32(c)) }

// eachGroup calls fn for the groups of the batch, which has been sorted.
func (b *batch) eachGroup(fn func(group) error) error {
	for rest := b.sorted; len(rest) > 0; {
		lo := slotIn(rest[0])
		first := lo - lo%windowSlots
		n := 1
		for n < len(rest) && slotIn(rest[n]) < first+windowSlots {
			n++
		}
		if err := fn(group{cells: rest[:n], first: first, lo: lo, hi: slotIn(rest[n-1])}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// at is the place of a slot in the window buffer.
func (g group) at(slot int32) int { return int(slot-g.first) * slotSize }

// read fills the window buffer with at least the slots of the group.
func (g group) read(f *file, h vfs.File, window []byte) error {
	if len(g.cells) >= denseGroup {
		_, err := h.ReadAt(window[g.at(g.lo):g.at(g.hi)+slotSize], f.slotPos(g.lo))
		return err
	}
	for _, c := range g.cells {
		slot := slotIn(c)
		if _, err := h.ReadAt(window[g.at(slot):g.at(slot)+slotSize], f.slotPos(slot)); err != nil {
			return err
		}
	}
	return nil
}

// resolve chains the entries of the batch by slot, behind what the file has of it. In b.sorted only the newest entry of
// each slot remains.
func (ix *Index) resolve(f *file, h vfs.File, b *batch) error {
	b.newSlots = 0
	newest := b.sorted[:0]
	err := b.eachGroup(func(g group) error {
		if err := g.read(f, h, ix.window); err != nil {
			return err
		}
		ix.mu.Lock() // queries read the entries
		defer ix.mu.Unlock()
		for i, c := range g.cells {
			if i > 0 && slotIn(g.cells[i-1]) == slotIn(c) {
				b.setPrev(entryIn(c), entryIn(g.cells[i-1]))
			} else {
				v := int32(binary.BigEndian.Uint32(ix.window[g.at(slotIn(c)):]))
				if !f.isEntry(v, b.base) {
					v = 0
					b.newSlots++
				}
				b.setPrev(entryIn(c), v)
			}
			if i == len(g.cells)-1 || slotIn(g.cells[i+1]) != slotIn(c) {
				newest = append(newest, c)
			}
		}
		return nil
	})
	if err == nil {
		b.sorted, b.resolved = newest, true
	}
	return err
}

func (ix *Index) writeSlots(f *file, h vfs.File, g group) error {
	dense := len(g.cells) >= denseGroup
	if dense {
		if err := g.read(f, h, ix.window); err != nil {
			return err
		}
	}
	for _, c := range g.cells {
		slot := slotIn(c)
		b := ix.window[g.at(slot) : g.at(slot)+slotSize]
		binary.BigEndian.PutUint32(b, uint32(entryIn(c)))
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
