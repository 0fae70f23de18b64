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

// batch holds the newest entries of the newest file until they are merged into it.
//
// The entries are in the form of the file, without prev: merging finds out what belongs there. Until then they are
// chained by bucket of their hash, for queries only.
type batch struct {
	base    int32   // number of the first entry
	entries []byte  // len = what is there, cap = room
	heads   []int32 // by bucket: 1 + place of its newest entry in entries, 0 = none
	older   []int32 // by place: the same of the next older entry of the bucket
	shift   uint8   // of the 64-bit hash of a hash, to get its bucket
	slots   int32
	sorted  []uint64 // slot << 32 | number, by both; made when the batch is merged; when resolved, the newest of each slot

	head     header // of the file after the last entry, but for the number of slots in use
	resolved bool   // the entries have got their prev
	newSlots int32  // that were free in the file; valid when resolved
}

func newBatch(room int, slots int32) *batch {
	b := &batch{slots: slots}
	b.allocate(room)
	return b
}

func (b *batch) allocate(room int) {
	b.entries = append(make([]byte, 0, room*entrySize), b.entries...)
	b.heads = make([]int32, room)
	b.older = make([]int32, room)
	b.shift = uint8(64 - bits.Len(uint(room-1)))
}

func (b *batch) room() int { return cap(b.entries) / entrySize }
func (b *batch) len() int  { return len(b.entries) / entrySize }

// reset empties the batch. The number of its first entry is to be set.
func (b *batch) reset() {
	b.base, b.entries, b.resolved, b.newSlots = 0, b.entries[:0], false, 0
	clear(b.heads)
}

// spread is 2^64 divided by the golden ratio. Keys that count up have hashes close together (unique keys do), so the
// bucket must not follow the hash.
const spread = 0x9E3779B97F4A7C15

func (b *batch) bucket(hash int32) *int32 { return &b.heads[uint64(hash)*spread>>b.shift] }

// chain puts the entry at place i in front of its bucket.
func (b *batch) chain(i, hash int32) {
	head := b.bucket(hash)
	b.older[i] = *head
	*head = i + 1
}

// add appends an entry; there must be room.
func (b *batch) add(e entry) {
	at := len(b.entries)
	b.chain(int32(at/entrySize), e.hash)
	b.entries = b.entries[:at+entrySize]
	e.put(b.entries[at:])
}

func (b *batch) grow() {
	b.allocate(4 * b.room())
	for i := range int32(b.len()) {
		b.chain(i, b.hash(i))
	}
}

// hash returns the hash of the entry at place i.
func (b *batch) hash(i int32) int32 {
	return int32(binary.BigEndian.Uint32(b.entries[int(i)*entrySize:]))
}

// visit shows the entries of a hash, newest first, until fn returns false. It reports whether fn never did.
func (b *batch) visit(hash int32, fn func(n int32, e entry) bool) bool {
	for i := *b.bucket(hash) - 1; i >= 0; i = b.older[i] - 1 {
		e := decodeEntry(b.entries[int(i)*entrySize:])
		if e.hash == hash && !fn(b.base+i, e) {
			return false
		}
	}
	return true
}

// setPrev makes the chain of a slot go on behind entry n with prev.
func (b *batch) setPrev(n, prev int32) {
	binary.BigEndian.PutUint32(b.entries[int(n-b.base)*entrySize+16:], uint32(prev))
}

// sort makes sorted, by a radix sort with a second array, which it returns for the next time.
func (b *batch) sort(tmp []uint64) []uint64 {
	n := b.len()
	b.sorted = slices.Grow(b.sorted[:0], n)[:n]
	for i := range b.sorted {
		slot := b.hash(int32(i)) % b.slots
		b.sorted[i] = uint64(slot)<<32 | uint64(b.base+int32(i))
	}
	const digit, few = 12, 1 << 9
	if n < few {
		slices.Sort(b.sorted)
		return tmp
	}
	tmp = slices.Grow(tmp[:0], n)[:n]
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
