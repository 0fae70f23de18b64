package keyindex

import (
	"encoding/binary"
	"errors"
	"io/fs"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// search is one query.
type search struct {
	hash       int32
	max        int
	begin, end int64
	found      []record.Offset
}

// take looks at entry n of a file that begins at beginTime. It reports whether the chain is to be followed on.
//
// Differs from Java: an entry has only whole seconds, cut off. Java leaves out a record that was stored exactly at
// begin or up to a second after it; here it counts when its second touches [begin, end]. And entry 1, whose time is
// the begin of the file, may have seconds that count from the end of the file before; they are not used.
func (s *search) take(n int32, e entry, beginTime int64) bool {
	if e.seconds < 0 || len(s.found) >= s.max {
		return false
	}
	from := beginTime + int64(e.seconds)*1000
	to := from + 999
	if n == 1 {
		from, to = beginTime, beginTime
	}
	if e.hash == s.hash && to >= s.begin && from <= s.end {
		s.found = append(s.found, e.off)
	}
	return to >= s.begin
}

// Query returns positions of records that may have the key, newest first, at most limit. Two keys can have one hash:
// the caller compares. begin and end are store times in milliseconds.
func (ix *Index) Query(topic, key string, limit int, begin, end int64) []record.Offset {
	hash, _ := keyHash(topic, key, nil)
	s := &search{hash: hash, max: limit, begin: begin, end: end}
	if limit <= 0 {
		return nil
	}
	files, next, more := ix.queryMemory(s)
	for i := len(files) - 1; i >= 0 && len(s.found) < limit; i-- {
		f := &files[i]
		if f.head.overlaps(begin, end) && (more || i < len(files)-1) {
			if i < len(files)-1 {
				next = f.head.next
			}
			if err := ix.queryFile(s, f, next); err != nil && !errors.Is(err, fs.ErrNotExist) {
				ix.o.Log.Error("query of an index file failed", "file", f.name, "err", err)
			}
		}
		if f.head.beginTime < begin {
			break
		}
	}
	return s.found
}

// queried is what a query needs to know of a file.
type queried struct {
	name string
	head header
}

// queryMemory looks at the batches. It returns the files and, for the newest, the number of the first entry that is
// not in its file alone, and whether the chain goes on there.
func (ix *Index) queryMemory(s *search) (files []queried, next int32, more bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if len(ix.files) == 0 {
		return nil, 0, false
	}
	files = make([]queried, len(ix.files))
	for i, f := range ix.files {
		files[i] = queried{f.name, f.head}
	}
	newest := &files[len(files)-1]
	newest.head = ix.head
	next, more = ix.head.next, true
	inTime := ix.head.overlaps(s.begin, s.end)
	for _, b := range []*batch{ix.cur, ix.merging} {
		if b == nil || len(b.entries) == 0 {
			continue
		}
		next = b.base
		more = more && (!inTime || b.visit(s.hash, func(n int32, e entry) bool { return s.take(n, e, ix.head.beginTime) }))
	}
	return files, next, more
}

// queryFile follows the chain of the hash in a file. Entries from next on are passed over: the batches had them.
func (ix *Index) queryFile(s *search, f *queried, next int32) error {
	h, err := ix.fs.Open(f.name)
	if err != nil {
		return err
	}
	err = ix.followChain(s, f, h, next)
	return errors.Join(err, h.Close())
}

func (ix *Index) followChain(s *search, f *queried, h vfs.File, next int32) error {
	var b [entrySize]byte
	if _, err := h.ReadAt(b[:slotSize], ix.slotPos(ix.slotOf(s.hash))); err != nil {
		return err
	}
	n := int32(binary.BigEndian.Uint32(b[:]))
	// What was put since the batches were looked at may be above f.head.next.
	for above := ix.capacity; ix.isEntry(n, above); {
		if _, err := h.ReadAt(b[:], ix.entryPos(n)); err != nil {
			return err
		}
		e := decodeEntry(b[:])
		if n < next && !s.take(n, e, f.head.beginTime) {
			return nil
		}
		above = n // chains only lead down: a damaged one ends
		n = e.prev
	}
	return nil
}
