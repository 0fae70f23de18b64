package keyindex

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A batch begins with room for batchMin entries and grows fourfold up to batchMax.
const (
	batchMin = 1 << 10
	batchMax = 1 << 16
)

// cell of the table of a batch; key is slot+1, 0 = free.
type cell struct {
	key    uint32
	newest int32 // entry of the slot
}

// batch holds the newest entries of the newest file until they are merged into it.
//
// The entries are in the form of the file. prev is the number of an older entry of the batch, or below base for the
// oldest entry of a slot: 0 until merging finds out how the chain goes on in the file.
type batch struct {
	base    int32  // number of the first entry
	entries []byte // len = what is there, cap = room
	table   []cell // twice as many as there is room; linear probing
	shift   uint8  // of the 64-bit hash of a slot, to get its place in the table
	slots   int32
	sorted  []uint64 // used cells by slot, made when the batch is merged: slot << 32 | newest

	head     header // of the file after the last entry, but for the number of slots in use
	resolved bool   // the oldest entries have got their prev
	newSlots int32  // that were free in the file; valid when resolved
}

func newBatch(room int, slots int32) *batch {
	b := &batch{slots: slots}
	b.allocate(room)
	return b
}

func (b *batch) allocate(room int) {
	b.entries = append(make([]byte, 0, room*entrySize), b.entries...)
	b.table = make([]cell, 2*room)
	b.shift = uint8(64 - bits.Len(uint(len(b.table)-1)))
}

func (b *batch) room() int   { return cap(b.entries) / entrySize }
func (b *batch) len() int    { return len(b.entries) / entrySize }
func (b *batch) next() int32 { return b.base + int32(b.len()) }

// reset empties the batch. The number of its first entry is to be set.
func (b *batch) reset() {
	b.base, b.entries, b.resolved, b.newSlots = 0, b.entries[:0], false, 0
	clear(b.table)
}

// spread is 2^64 divided by the golden ratio. Keys that count up have slots close together (unique keys do), so the
// place in the table must not follow the slot.
const spread = 0x9E3779B97F4A7C15

// find returns the cell of a slot, which is free when the batch has no entry of it.
func (b *batch) find(slot int32) *cell {
	key := uint32(slot) + 1
	i := int(uint64(key) * spread >> b.shift)
	for {
		c := &b.table[i]
		if c.key == key || c.key == 0 {
			return c
		}
		if i++; i == len(b.table) {
			i = 0
		}
	}
}

// sort makes sorted, by a radix sort with a second array, which it returns for the next time.
func (b *batch) sort(tmp []uint64) []uint64 {
	b.sorted = b.sorted[:0]
	for _, c := range b.table {
		if c.key != 0 {
			b.sorted = append(b.sorted, uint64(c.key-1)<<32|uint64(c.newest))
		}
	}
	const digit, few = 12, 1 << 9
	if len(b.sorted) < few {
		slices.Sort(b.sorted)
		return tmp
	}
	tmp = slices.Grow(tmp[:0], len(b.sorted))[:len(b.sorted)]
	for shift := 0; (b.slots-1)>>shift > 0; shift += digit {
		var at [1 << digit]int32
		for _, c := range b.sorted {
			at[c>>(32+shift)&(1<<digit-1)]++
		}
		sum := int32(0)
		for i, n := range &at {
			at[i] = sum
			sum += n
		}
		for _, c := range b.sorted {
			i := &at[c>>(32+shift)&(1<<digit-1)]
			tmp[*i] = c
			*i++
		}
		b.sorted, tmp = tmp, b.sorted
	}
	return tmp
}

// add appends an entry; there must be room.
func (b *batch) add(slot int32, e entry) {
	n := b.next()
	c := b.find(slot)
	e.prev = 0
	if c.key != 0 {
		e.prev = c.newest
	}
	c.key, c.newest = uint32(slot)+1, n
	at := len(b.entries)
	b.entries = b.entries[:at+entrySize]
	e.put(b.entries[at:])
}

func (b *batch) grow() {
	old := b.table
	b.allocate(4 * b.room())
	for _, c := range old {
		if c.key != 0 {
			*b.find(int32(c.key - 1)) = c
		}
	}
}

func (b *batch) entry(n int32) entry { return decodeEntry(b.entries[int(n-b.base)*entrySize:]) }

// newest returns the number of the newest entry of a slot, 0 when there is none.
func (b *batch) newest(slot int32) int32 {
	if c := b.find(slot); c.key != 0 {
		return c.newest
	}
	return 0
}

// endChain makes the oldest entry of the chain that begins at n go on with prev.
func (b *batch) endChain(n, prev int32) {
	for {
		at := b.entries[int(n-b.base)*entrySize+16:]
		older := int32(binary.BigEndian.Uint32(at))
		if older < b.base {
			binary.BigEndian.PutUint32(at, uint32(prev))
			return
		}
		n = older
	}
}
