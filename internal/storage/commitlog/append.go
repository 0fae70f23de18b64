package commitlog

import (
	"fmt"
	"slices"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	// blankLen is the length of the end-of-file marker, which must always fit behind a record.
	blankLen = record.EndOfFileSize
	// maxRounds is how often a leader goes on for others before it hands over.
	maxRounds = 4
	// maxStepBack is the longest step of the clock backwards that is hidden from store times.
	maxStepBack = 60_000
)

// writer is the end of the log as the leader sees it.
type writer struct {
	pos     int64 // next byte
	written int64 // bytes before it are in the file
	end     int64 // end of the file that holds pos
	dirty   int64 // bytes in [written, dirty) of the file may hold the remains of a failed write
	blk     *segment.Block
	from    int // first byte of blk that is not in the file
	iov     [][]byte
	done    []*segment.Block // pinned: filled, to be written
	err     error            // the write that failed in this round; takeBack clears it
}

// Append stores the records of b and returns when they are readable. b holds their places then.
func (l *Log) Append(b *Batch) error {
	if len(b.entries) == 0 {
		return nil
	}
	if b.open != 0 {
		return errGroup
	}
	if err := l.refuse(); err != nil {
		return err
	}
	return l.join(b)
}

// Exclusive runs f while no record is appended.
func (l *Log) Exclusive(f func() error) error {
	return l.join(&Batch{excl: f})
}

func (l *Log) refuse() error {
	if e := l.failed.Load(); e != nil {
		return e
	}
	if e := l.crowd.Load(); e != nil {
		return e
	}
	if e := l.noRoom(); e != nil {
		return e
	}
	return nil
}

// join queues b and returns when it has been handled, by this goroutine or by another leader.
func (l *Log) join(b *Batch) error {
	if b.sig == nil {
		b.sig = make(chan signal, 1)
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.queue = append(l.queue, b)
	if l.leading {
		l.mu.Unlock()
		if <-b.sig == sigDone {
			return b.err
		}
		l.mu.Lock()
	}
	l.leading = true
	for round := 0; ; round++ {
		group := l.queue
		l.queue, l.spare = l.spare[:0], nil
		l.mu.Unlock()

		l.writeGroup(group)
		for i, o := range group {
			if group[i] = nil; o != b {
				o.sig <- sigDone
			}
		}

		l.mu.Lock()
		l.spare = group[:0]
		if len(l.queue) == 0 {
			l.leading = false
			break
		}
		if round+1 >= maxRounds {
			l.queue[0].sig <- sigLead
			break
		}
	}
	l.mu.Unlock()
	return b.err
}

// writeGroup stores the batches of group, sets their errors and publishes the new end.
func (l *Log) writeGroup(group []*Batch) {
	now := l.stamp()
	defer l.load.writing.Store(0)
	for _, b := range group {
		b.placed, b.storeMs, b.err = 0, now, nil
		if b.excl != nil {
			if b.err = l.settle(group); b.err == nil {
				b.err = b.excl()
			}
			continue
		}
		if e := l.failed.Load(); e != nil {
			b.err = e
			continue
		}
		if b.err = l.w.err; b.err == nil {
			b.err = l.place(b)
		}
	}
	if err := l.settle(group); err == nil && l.full.Load() != nil && !l.anyErr(group) {
		l.full.Store(nil)
		l.o.Log.Info("disk has room again")
	}
}

func (l *Log) anyErr(group []*Batch) bool {
	for _, b := range group {
		if b.err != nil {
			return true
		}
	}
	return false
}

// settle writes what has been placed and publishes it. On an error the records that did not make it are taken back.
func (l *Log) settle(group []*Batch) error {
	err := l.flushWriter()
	if err != nil {
		err = l.takeBack(group, err)
	}
	if l.w.written != l.appended.Load() {
		l.appended.Store(l.w.written)
		l.stamped.Store(l.lastMs) // after appended, see Flush
		l.watchers.tell()
		if l.w.end-l.w.pos < l.set.FileSize()/2 && l.set.End() == l.w.end {
			select {
			case l.prepare <- struct{}{}:
			default:
			}
		}
	}
	return err
}

// stamp returns the store time of this round. It does not go back with a small step of the clock.
func (l *Log) stamp() int64 {
	at := l.o.Now()
	l.load.writing.Store(at.UnixNano())
	now := at.UnixMilli()
	if now < l.lastMs && l.lastMs-now <= maxStepBack {
		return l.lastMs
	}
	l.lastMs = now
	return now
}

// place gives the records of b their positions and copies them to the tail blocks.
func (l *Log) place(b *Batch) error {
	w := &l.w
	for i, stamps := 0, 0; i < len(b.entries); {
		n := max(b.entries[i].group, 1)
		size := 0
		for j := i; j < i+n; j++ {
			size += b.entries[j].size
		}
		if w.pos+int64(size)+blankLen > w.end {
			if int64(size)+blankLen > l.set.FileSize() {
				return fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
			}
			if err := l.roll(); err != nil {
				return err
			}
		}
		for ; n > 0; n-- {
			e := &b.entries[i]
			e.offset, e.index = record.Offset(w.pos), 0
			if e.seq != nil {
				e.index = record.Index(e.seq.next)
				e.seq.next += e.count
			}
			i++
			b.placed = i
			rec := b.buf[e.pos : e.pos+e.size]
			for end := stamps + e.stamps; stamps < end; stamps++ {
				b.stamps[stamps].put(rec)
			}
			record.Patch(rec, e.index, e.offset, b.storeMs)
			if l.o.PropCRC {
				record.SealCRC(rec)
			}
			if err := l.put(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// roll moves the end to a new file. The file is made before anything else changes.
func (l *Log) roll() error {
	w := &l.w
	if l.set.End() == w.end {
		f, err := l.set.Grow(w.pos)
		if err != nil {
			if vfs.IsNoSpace(err) {
				return l.fillUp(err)
			}
			return l.fail(err)
		}
		l.o.Log.Info("new log file", "file", f.Path())
	}
	if w.pos < w.end {
		if err := l.put(record.EndOfFile(nil, int(w.end-w.pos))); err != nil {
			return err
		}
		// The rest of the file is zeros. A slave gets it too, from this block, which may have been used before.
		clear(w.blk.Data()[w.pos-w.blk.Base():])
	}
	if err := l.flushWriter(); err != nil {
		return err
	}
	w.reset(l.set)
	w.pos, w.written, w.end = w.end, w.end, w.end+l.set.FileSize()
	return nil
}

// put copies p behind the end.
func (l *Log) put(p []byte) error {
	w := &l.w
	for len(p) > 0 {
		if w.blk == nil || w.pos == w.blk.End() {
			if err := l.nextBlock(); err != nil {
				return err
			}
		}
		n := copy(w.blk.Data()[w.pos-w.blk.Base():], p)
		w.pos += int64(n)
		p = p[n:]
	}
	return nil
}

// nextBlock sets the full block aside and takes the one that holds the end.
func (l *Log) nextBlock() error {
	w := &l.w
	if w.blk != nil {
		if w.from < len(w.blk.Data()) {
			w.iov = append(w.iov, w.blk.Data()[w.from:])
		}
		w.done = append(w.done, w.blk)
		w.blk = nil
		if len(w.done) >= l.set.BatchBlocks() {
			if err := l.flushWriter(); err != nil {
				return err
			}
		}
	}
	b, err := l.set.Tail(w.pos)
	if err != nil {
		w.err = fmt.Errorf("tail of the log: %w", err)
		return w.err
	}
	w.blk, w.from = b, int(w.pos-b.Base())
	return nil
}

// flushWriter writes what was put to the file.
func (l *Log) flushWriter() error {
	w := &l.w
	if w.err != nil || w.written == w.pos {
		return w.err
	}
	if w.blk != nil {
		if to := int(w.pos - w.blk.Base()); to > w.from {
			w.iov = append(w.iov, w.blk.Data()[w.from:to])
			w.from = to
		}
	}
	var err error
	if w.dirty > w.written {
		// What a failed write left behind must not follow the new records: it could look valid after a crash.
		err = l.set.Zero(w.written, min(w.dirty, w.end))
	}
	if err == nil {
		err = l.set.Write(w.iov, w.written)
	}
	clear(w.iov)
	w.iov = w.iov[:0]
	for i, b := range w.done {
		l.set.Unpin(b)
		w.done[i] = nil
	}
	w.done = w.done[:0]
	if err != nil {
		w.dirty, w.err = max(w.dirty, w.pos), err
		return err
	}
	w.written, w.dirty = w.pos, 0
	return nil
}

// takeBack undoes what was placed behind the written end after the write failed with cause.
func (l *Log) takeBack(group []*Batch, cause error) error {
	var err error
	if vfs.IsNoSpace(cause) {
		err = l.fillUp(cause)
	} else {
		err = l.fail(cause)
	}
	w := &l.w
	for _, b := range slices.Backward(group) {
		stamps := 0
		for j := range b.placed {
			stamps += b.entries[j].stamps
		}
		for j := b.placed - 1; j >= 0; j-- {
			e := &b.entries[j]
			if int64(e.offset)+int64(e.size) <= w.written {
				break
			}
			if e.seq != nil {
				e.seq.next -= e.count
			}
			for range e.stamps {
				stamps--
				b.stamps[stamps].seq.next -= b.stamps[stamps].advance
			}
			b.placed = j
			b.err = err
		}
	}
	w.reset(l.set)
	w.pos, w.err = w.written, nil
	return err
}

// reset lets go of all blocks.
func (w *writer) reset(set *segment.Set) {
	if w.blk != nil {
		set.Unpin(w.blk)
		w.blk = nil
	}
	for i, b := range w.done {
		set.Unpin(b)
		w.done[i] = nil
	}
	w.done = w.done[:0]
	clear(w.iov)
	w.iov = w.iov[:0]
	w.from = 0
}
