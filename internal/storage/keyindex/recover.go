package keyindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Recover makes the files consistent after an exit that was not clean, before the index is used. Keys of records at or
// above trust are dropped; dispatching the log from trust puts them again. What is below trust must have been in the
// files (after the end of a process) or synced (after a power cut).
func (ix *Index) Recover(trust record.Offset) error {
	ix.ioMu.Lock()
	defer ix.ioMu.Unlock()
	if err := ix.removeShort(trust); err != nil {
		return err
	}
	for len(ix.files) > 0 {
		f := ix.files[len(ix.files)-1]
		kept, err := ix.recoverFile(f, trust)
		if err != nil {
			return fmt.Errorf("recover index file %s: %w", f.name, err)
		}
		if kept {
			break // older files hold older records only
		}
		if err = errors.Join(f.close(), ix.remove(f.name)); err != nil {
			return err
		}
		ix.mu.Lock()
		ix.files = ix.files[:len(ix.files)-1]
		ix.mu.Unlock()
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.useNewest()
	ix.safe = ix.head.endOff
	if trust < math.MaxInt64 {
		ix.safe = max(trust, 0)
	}
	ix.mark = ix.safe
	return nil
}

// removeShort removes files that a power cut left cut short: they were never synced, so they hold nothing below trust.
// Others have that length because the configured counts were changed.
func (ix *Index) removeShort(trust record.Offset) error {
	for _, f := range ix.short {
		if f.head.next > 1 && f.head.beginOff < trust {
			return f.wrongLength()
		}
		ix.o.Log.Warn("removed an index file that a crash cut short", "file", f.name, "err", f.wrongLength())
		if err := ix.remove(f.name); err != nil {
			return err
		}
	}
	ix.short = nil
	return nil
}

// recoverFile drops the entries at or above trust. It reports whether the file is to stay.
func (ix *Index) recoverFile(f *file, trust record.Offset) (bool, error) {
	h, err := f.use(ix.fs)
	if err != nil {
		return false, err
	}
	last, err := f.lastTrusted(h, trust)
	if err != nil || last == 0 {
		return false, err
	}
	if f.head.beginTime <= 0 || f.head.next <= 1 {
		ix.o.Log.Error("the header of an index file is damaged, the file is removed", "file", f.name)
		return false, nil
	}
	r := repair{f: f, h: h, last: last, trust: trust}
	if err = r.slots(); err != nil {
		return false, err
	}
	if err = zeroFrom(h, f.entryPos(last+1)); err != nil {
		return false, err
	}
	e, err := r.entry(last)
	if err != nil {
		return false, err
	}
	head := f.head
	head.slots = r.used
	if head.next != last+1 || head.endOff != e.off {
		head.endTime = head.beginTime + int64(e.seconds)*1000 + 999 // the second is known, not the millisecond
	}
	head.next, head.endOff = last+1, e.off
	if _, err = h.WriteAt(head.append(nil), 0); err != nil {
		return false, err
	}
	ix.noteWrite(f)
	ix.mu.Lock()
	f.head = head
	ix.mu.Unlock()
	return true, nil
}

// lastTrusted returns the number of the last entry below trust. The entries below trust are all there and ascend;
// each one after them is at or above trust or was lost, so binary search is exact.
func (f *file) lastTrusted(h vfs.File, trust record.Offset) (int32, error) {
	var failed error
	n := sort.Search(int(f.capacity-1), func(i int) bool {
		ok, err := f.trusts(h, int32(i)+1, trust)
		failed = errors.Join(failed, err)
		return !ok
	})
	return int32(n), failed
}

// trusts reports whether entry n is there and below trust.
func (f *file) trusts(h vfs.File, n int32, trust record.Offset) (bool, error) {
	var b [2 * entrySize]byte // the entry before it, and it; entry 0 is not used
	if _, err := h.ReadAt(b[:], f.entryPos(n-1)); err != nil {
		return false, err
	}
	if [entrySize]byte(b[entrySize:]) == [entrySize]byte{} {
		return false, nil
	}
	e := decodeEntry(b[entrySize:])
	if e.off < 0 || e.off >= trust {
		return false, nil
	}
	if n == 1 || !straddles(f.entryPos(n)) {
		return true, nil
	}
	// A power cut may have left only the second part, with a position that seems low.
	return [entrySize]byte(b[:]) != [entrySize]byte{} && decodeEntry(b[:]).off <= e.off, nil
}

// straddles reports whether an entry lies in two sectors, of which a power cut may keep one.
func straddles(pos int64) bool {
	const sector = 512
	return pos/sector != (pos+entrySize-1)/sector
}

// repair is the work on one file whose entries up to last stay.
type repair struct {
	f     *file
	h     vfs.File
	last  int32
	trust record.Offset
	used  int32 // slots
	// lost slots lead to entries that are not there; the number of the newest entry that stays is to be found.
	lost map[int32]int32
}

func (r *repair) entry(n int32) (entry, error) {
	var b [entrySize]byte
	_, err := r.h.ReadAt(b[:], r.f.entryPos(n))
	return decodeEntry(b[:]), err
}

// slots makes each slot lead to an entry that stays. It looks first and writes then, each slot once: what was written
// half-way would be believed if the recovery itself is cut short.
func (r *repair) slots() error {
	changed, err := r.eachSlot(false)
	if err != nil || !changed {
		return err
	}
	if err = r.findLost(); err != nil {
		return err
	}
	_, err = r.eachSlot(true)
	return err
}

// eachSlot finds what each slot must be, and writes those that are not.
func (r *repair) eachSlot(write bool) (changed bool, err error) {
	r.used = 0
	buf := make([]byte, windowSlots*slotSize)
	for first := int32(0); first < r.f.slots; first += windowSlots {
		n := min(windowSlots, r.f.slots-first)
		b := buf[:n*slotSize]
		if _, err := r.h.ReadAt(b, r.f.slotPos(first)); err != nil {
			return false, err
		}
		lo, hi := int32(-1), int32(0) // changed
		for i := range n {
			v := int32(binary.BigEndian.Uint32(b[i*slotSize:]))
			keep, err := r.newest(first+i, v)
			if err != nil {
				return false, err
			}
			if keep > 0 {
				r.used++
			}
			if keep != v {
				binary.BigEndian.PutUint32(b[i*slotSize:], uint32(keep))
				if lo < 0 {
					lo = i
				}
				hi = i + 1
			}
		}
		if lo < 0 {
			continue
		}
		changed = true
		if !write {
			continue
		}
		if _, err := r.h.WriteAt(b[lo*slotSize:hi*slotSize], r.f.slotPos(first+lo)); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// newest follows the chain of a slot down to the first entry that stays. When a part of the chain was lost, the slot
// is noted as lost. An entry in two sectors may consist of an old and a new part: the chain is believed only as long
// as it leads to entries of the slot, and the end of the chain in such an entry is not believed.
func (r *repair) newest(slot, v int32) (int32, error) {
	if v <= r.last {
		return max(v, 0), nil
	}
	for above := r.f.capacity; v > 0; {
		if v >= above {
			return r.lose(slot), nil
		}
		e, err := r.entry(v)
		if err != nil {
			return 0, err
		}
		switch {
		case e.hash < 0, r.f.slotOf(e.hash) != slot:
			return r.lose(slot), nil
		case v <= r.last:
			return v, nil
		case e.off < r.trust, e.prev <= 0 && straddles(r.f.entryPos(v)):
			return r.lose(slot), nil
		}
		above, v = v, e.prev
	}
	return 0, nil
}

// lose returns what findLost found for a lost slot, 0 before.
func (r *repair) lose(slot int32) int32 {
	if r.lost == nil {
		r.lost = map[int32]int32{}
	}
	n := r.lost[slot]
	r.lost[slot] = n
	return n
}

// findLost finds the newest entry of each lost slot by reading all entries that stay.
func (r *repair) findLost() error {
	if len(r.lost) == 0 {
		return nil
	}
	isLost := make([]bool, r.f.slots)
	for slot := range r.lost {
		isLost[slot] = true
	}
	const many = 8192
	buf := make([]byte, many*entrySize)
	for from := int32(1); from <= r.last; from += many {
		b := buf[:min(many, r.last+1-from)*entrySize]
		if _, err := r.h.ReadAt(b, r.f.entryPos(from)); err != nil {
			return err
		}
		for i := 0; i < len(b); i += entrySize {
			hash := int32(binary.BigEndian.Uint32(b[i:]))
			if slot := r.f.slotOf(max(hash, 0)); isLost[slot] {
				r.lost[slot] = from + int32(i/entrySize)
			}
		}
	}
	return nil
}

// zeroFrom overwrites the data of f from pos on.
func zeroFrom(f vfs.File, pos int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	zero := make([]byte, 64<<10)
	for pos < size {
		if pos, err = f.NextData(pos); err != nil || pos >= size {
			return err
		}
		// Up to a multiple of 64 KiB, so that holes after it stay holes.
		n := min(int64(len(zero))-pos%int64(len(zero)), size-pos)
		if _, err = f.WriteAt(zero[:n], pos); err != nil {
			return err
		}
		pos += n
	}
	return nil
}
