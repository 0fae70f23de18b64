package timerlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/vfs"
)

// JavaSlots is how many seconds a wheel must be able to look ahead; it has twice as many slots.
const JavaSlots = 7 * 24 * 3600

// slotSize is the length of a slot:
//
//	 0  8  time in ms / precision
//	 8  8  First
//	16  8  Last
//	24  4  Num
//	28  4  0
const slotSize = 32

// Slot is the timers of one second.
type Slot struct {
	First, Last int64 // positions of the oldest and newest unit, -1: there are none
	Num         int32 // how many there are, less those that are taken back; Java counts so
}

const (
	slotsPerPage = 128
	pageSize     = slotsPerPage * slotSize
)

type page [pageSize]byte

// Wheel is the array of slots. Pages are read when they are used; those that changed stay in memory until they are written.
type Wheel struct {
	fs        vfs.FS
	path      string
	f         vfs.File // nil: not made yet
	slots     int64    // both halves
	precision int64    // ms
	pages     map[int64]*page
	dirty     map[int64]bool
	taken     map[int64]page // on their way to the disk
}

// OpenWheel opens the wheel, if there is one. slots is JavaSlots but in tests; precision is in ms.
func OpenWheel(fsys vfs.FS, path string, slots int, precision int64) (*Wheel, error) {
	w := &Wheel{fs: fsys, path: path, slots: 2 * int64(slots), precision: precision, pages: map[int64]*page{}, dirty: map[int64]bool{}}
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open timer wheel: %w", err)
	}
	size, err := f.Size()
	if err == nil && size < w.slots*slotSize {
		size, err = w.slots*slotSize, f.Truncate(w.slots*slotSize) // a power cut while it was made
	}
	if err == nil && size != w.slots*slotSize {
		err = fmt.Errorf("%s has %d bytes, want %d", path, size, w.slots*slotSize)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open timer wheel: %w", err), f.Close())
	}
	w.f = f
	return w, nil
}

// Span returns how many ms ahead of the oldest slot in use a timer may be.
func (w *Wheel) Span() int64 { return w.slots / 2 * w.precision }

// page returns the page of a slot, and where in it the slot is.
func (w *Wheel) page(ms int64) (*page, int64, int64, error) {
	i := (ms / w.precision) % w.slots
	n, at := i/slotsPerPage, i%slotsPerPage*slotSize
	p := w.pages[n]
	if p == nil {
		p = new(page)
		if w.f != nil {
			size := min(pageSize, w.slots*slotSize-n*pageSize)
			if _, err := w.f.ReadAt(p[:size], n*pageSize); err != nil {
				return nil, 0, 0, fmt.Errorf("read timer wheel: %w", err)
			}
		}
		if len(w.pages) > 1024 { // 4 MiB
			for k := range w.pages {
				if _, taken := w.taken[k]; !taken && !w.dirty[k] {
					delete(w.pages, k)
				}
			}
		}
		w.pages[n] = p
	}
	return p, at, n, nil
}

// Get returns the slot of a time in ms.
func (w *Wheel) Get(ms int64) (Slot, error) {
	p, at, _, err := w.page(ms)
	if err != nil {
		return Slot{}, err
	}
	b := p[at : at+slotSize]
	be := binary.BigEndian
	if int64(be.Uint64(b)) != ms/w.precision {
		return Slot{First: -1, Last: -1}, nil
	}
	return Slot{First: int64(be.Uint64(b[8:])), Last: int64(be.Uint64(b[16:])), Num: int32(be.Uint32(b[24:]))}, nil
}

// Put sets the slot of a time in ms. Whatever was there of another time is gone.
func (w *Wheel) Put(ms int64, s Slot) error {
	p, at, n, err := w.page(ms)
	if err != nil {
		return err
	}
	b := p[at : at+slotSize]
	be := binary.BigEndian
	be.PutUint64(b, uint64(ms/w.precision))
	be.PutUint64(b[8:], uint64(s.First))
	be.PutUint64(b[16:], uint64(s.Last))
	be.PutUint32(b[24:], uint32(s.Num))
	be.PutUint32(b[28:], 0)
	w.dirty[n] = true
	return nil
}

// Pages is a copy of what has changed since the last one.
type Pages struct {
	w     *Wheel
	pages map[int64]page
}

// Take copies the changed pages. When they have been written, or could not be, tell it with Done, before the next Take.
func (w *Wheel) Take() *Pages {
	t := &Pages{w: w, pages: make(map[int64]page, len(w.dirty))}
	for n := range w.dirty {
		t.pages[n] = *w.pages[n]
	}
	clear(w.dirty)
	w.taken = t.pages
	return t
}

// Done ends what Take began.
func (w *Wheel) Done(written bool) {
	if !written {
		for n := range w.taken {
			w.dirty[n] = true // it is still in pages
		}
	}
	w.taken = nil
}

// Write writes the pages and makes them durable. It may run beside everything but itself.
func (t *Pages) Write() error {
	if len(t.pages) == 0 {
		return nil
	}
	w := t.w
	for n, p := range t.pages {
		size := min(pageSize, w.slots*slotSize-n*pageSize)
		if _, err := w.f.WriteAt(p[:size], n*pageSize); err != nil {
			return fmt.Errorf("write timer wheel: %w", err)
		}
	}
	if err := w.f.Datasync(); err != nil {
		return fmt.Errorf("sync timer wheel: %w", err)
	}
	return nil
}

// Create makes the file if there is none. Pages can be written then.
func (w *Wheel) Create() error {
	if w.f != nil {
		return nil
	}
	f, err := w.fs.Create(w.path)
	if err == nil {
		err = errors.Join(f.Truncate(w.slots*slotSize), f.Sync(), w.fs.SyncDir(filepath.Dir(w.path)))
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("make timer wheel: %w", err)
	}
	w.f = f
	return nil
}

// Oldest returns the time in ms of the oldest slot that was ever used and has not been used again, 0 when there is none.
func (w *Wheel) Oldest() (int64, error) {
	if w.f == nil {
		return 0, nil
	}
	buf := make([]byte, 256*pageSize)
	oldest := int64(0)
	for at := int64(0); at < w.slots*slotSize; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), w.slots*slotSize-at)]
		if _, err := w.f.ReadAt(b, at); err != nil {
			return 0, fmt.Errorf("read timer wheel: %w", err)
		}
		for ; len(b) >= slotSize; b = b[slotSize:] {
			if t := int64(binary.BigEndian.Uint64(b)); t > 0 && (oldest == 0 || t < oldest) {
				oldest = t
			}
		}
	}
	return oldest * w.precision, nil
}

// Close closes the file. What was not written is lost.
func (w *Wheel) Close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}
