package keyindex

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options of an Index. The zero value works.
type Options struct {
	Slots    int32 // maxHashSlotNum, default 5,000,000
	Capacity int32 // maxIndexNum, default 20,000,000; a file holds one key less
	// Recovering says that the last exit was not clean and that Recover follows: new files may be cut short.
	Recovering bool
	// Wake, if any, is called by Put when much is waiting in memory: a Flush now keeps Put from having to do it.
	Wake func()
	Now  func() time.Time // names new files, default time.Now
	Log  *slog.Logger     // default: discards
}

func (o Options) withDefaults() Options {
	if o.Slots <= 0 {
		o.Slots = 5_000_000
	}
	if o.Capacity <= 0 {
		o.Capacity = 20_000_000
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Index is all index files of a store. The parts: file.go (layout), batch.go (what waits in memory), merge.go (from
// there to the file), query.go, recover.go.
//
// One goroutine puts; queries, one flusher and one cleaner run beside it. Lock order: ioMu, mu. ioMu is held across
// I/O, which it orders; mu never is.
type Index struct {
	fs  vfs.FS
	dir string
	o   Options
	geometry

	ioMu     sync.Mutex // guards writing to files, and all of the next block
	window   []byte
	sortBuf  []uint64
	unsynced []*file
	failed   error   // a sync failed: nothing is known about the disk any more
	removed  bool    // a file was removed, perhaps by an earlier process: it must not come back with stale entries
	idle     int     // flushes without a put
	short    []*file // of wrong length, for Recover to judge

	mu      sync.Mutex // guards the rest
	files   []*file    // oldest first
	head    header     // of the newest file with what is in memory
	cur     *batch     // takes the puts; nil when there was none for a while
	merging *batch     // is being written; its entries come before those of cur
	spare   *batch
	mark    record.Offset // all records below were offered to Put
	safe    record.Offset // SafeUpTo
	found   record.Offset // end position when the index was opened: records up to here are complete
	scratch []byte
}

// Open opens the index in dir, which need not exist.
func Open(fsys vfs.FS, dir string, o Options) (*Index, error) {
	o = o.withDefaults()
	ix := &Index{fs: fsys, dir: dir, o: o, geometry: geometry{o.Slots, o.Capacity}, found: -1, removed: true}
	entries, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list index files: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() || !isFileName(e.Name()) })
	for _, e := range entries {
		if err := ix.openFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	// Differs from Java: the order is not that of the names, which follow the local time zone.
	slices.SortStableFunc(ix.files, func(a, b *file) int {
		if ea, eb := a.head == emptyHeader, b.head == emptyHeader; ea || eb {
			return cmp.Compare(btoi(ea), btoi(eb))
		}
		return cmp.Compare(a.head.beginOff, b.head.beginOff)
	})
	ix.unsynced = slices.Clone(ix.files) // a process that was killed may have written to them
	ix.useNewest()
	ix.safe, ix.mark = ix.head.endOff, ix.head.endOff
	return ix, nil
}

// emptyHeader is what a file has before its first key.
var emptyHeader = header{next: 1}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (ix *Index) openFile(name string) error {
	st, err := ix.fs.Stat(name)
	if err != nil {
		return fmt.Errorf("look at index file %s: %w", name, err)
	}
	if st.Size() == 0 {
		ix.o.Log.Warn("removed an empty index file", "file", name)
		return ix.remove(name)
	}
	f, err := openFile(ix.fs, name, ix.geometry)
	if errors.Is(err, errLength) && ix.o.Recovering && st.Size() < ix.fileSize() {
		ix.short = append(ix.short, f)
		return nil
	}
	if err != nil {
		return err
	}
	ix.files = append(ix.files, f)
	return nil
}

func (ix *Index) remove(name string) error {
	ix.removed = true
	if err := ix.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove index file %s: %w", name, err)
	}
	return nil
}

// useNewest takes over the header of the newest file.
func (ix *Index) useNewest() {
	ix.head = emptyHeader
	ix.found = -1
	if len(ix.files) > 0 {
		ix.head = ix.files[len(ix.files)-1].head
		if ix.head.next > 1 || ix.head.endOff > 0 {
			ix.found = ix.head.endOff
		}
	}
}

// Put adds one key of the record at off, which was stored at storeMs. Records are put in the order of the log; those
// that were in the files when the index was opened are ignored. After an error nothing was put and the call can be
// repeated.
func (ix *Index) Put(topic, key []byte, off record.Offset, storeMs int64) error {
	ix.mu.Lock()
	var hash int32
	hash, ix.scratch = keyHash(topic, key, ix.scratch)
	if off < ix.head.endOff || off <= ix.found {
		ix.mu.Unlock()
		return nil
	}
	for !ix.hasRoomLocked() { // a flush may take the batch away again
		ix.mu.Unlock()
		if err := ix.makeRoom(); err != nil {
			return err
		}
		ix.mu.Lock()
	}
	h := &ix.head
	b := ix.cur
	b.add(entry{hash: hash, off: off, seconds: h.seconds(storeMs)})
	if h.next <= 1 {
		h.beginOff, h.beginTime = off, storeMs
	}
	h.next++
	h.endOff, h.endTime = off, storeMs
	half := b.len() == batchMax/2
	ix.mu.Unlock()
	if half {
		ix.o.Wake()
	}
	return nil
}

func (ix *Index) hasRoomLocked() bool {
	return ix.cur != nil && len(ix.cur.entries) < cap(ix.cur.entries) && ix.head.next < ix.capacity
}

// makeRoom gives Put a file and a batch with room for one entry. Only a new file or a batch that is as large as batches get is
// worth waiting for a flush, which may be in the middle of a sync.
func (ix *Index) makeRoom() error {
	ix.mu.Lock()
	if len(ix.files) > 0 && ix.head.next < ix.capacity && (ix.cur == nil || ix.cur.room() < batchMax) {
		if ix.cur == nil {
			ix.takeBatchLocked()
		} else {
			ix.cur.grow()
		}
		ix.mu.Unlock()
		return nil
	}
	ix.mu.Unlock()

	ix.ioMu.Lock()
	defer ix.ioMu.Unlock()
	if err := ix.mergeAll(); err != nil {
		return err
	}
	ix.mu.Lock()
	roll := len(ix.files) == 0 || ix.head.next >= ix.capacity
	var prev *file
	if len(ix.files) > 0 {
		prev = ix.files[len(ix.files)-1]
	}
	ix.mu.Unlock()
	var f *file
	if roll {
		var err error
		if f, err = createFile(ix.fs, ix.dir, ix.geometry, ix.o.Now(), prev); err != nil {
			return err
		}
		ix.noteWrite(f)
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if roll {
		ix.files = append(slices.Clone(ix.files), f)
		ix.head = f.head
	}
	if ix.cur == nil {
		ix.takeBatchLocked()
	} else {
		ix.cur.base = ix.head.next
	}
	return nil
}

// takeBatchLocked gives Put an empty batch for what comes next.
func (ix *Index) takeBatchLocked() {
	ix.cur, ix.spare = ix.spare, nil
	if ix.cur == nil {
		ix.cur = newBatch(batchMin, ix.slots)
	}
	ix.cur.base = ix.head.next
}

// Advance tells that all keys of records below upTo were put. Without it SafeUpTo does not go past the last record
// that had a key.
func (ix *Index) Advance(upTo record.Offset) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.mark = max(ix.mark, upTo)
}

// SafeUpTo is the position up to which everything is in the files: the index survives the end of the process.
func (ix *Index) SafeUpTo() record.Offset {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.safe
}

// LastUpdate returns store time and position of the record of the last key.
func (ix *Index) LastUpdate() (ms int64, off record.Offset) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.head.endTime, ix.head.endOff
}

// mergeAll writes all that was put before the call. ioMu is held.
func (ix *Index) mergeAll() error {
	if ix.merging != nil { // left by an error
		if err := ix.finishMerge(); err != nil {
			return err
		}
	}
	ix.mu.Lock()
	upTo := max(ix.mark, ix.head.endOff)
	if ix.cur != nil && len(ix.cur.entries) > 0 {
		ix.merging, ix.cur, ix.spare = ix.cur, ix.spare, nil
		ix.merging.head = ix.head
		if ix.cur != nil {
			ix.cur.base = ix.head.next
		}
	}
	ix.mu.Unlock()
	if ix.merging != nil {
		if err := ix.finishMerge(); err != nil {
			return err
		}
	}
	ix.mu.Lock()
	ix.safe = max(ix.safe, upTo)
	ix.mu.Unlock()
	return nil
}

// finishMerge writes the batch that was taken away from Put. ioMu is held.
func (ix *Index) finishMerge() error {
	b := ix.merging
	if err := ix.merge(ix.files[len(ix.files)-1], b); err != nil {
		return err
	}
	ix.idle = 0
	ix.mu.Lock()
	ix.merging = nil
	ix.safe = max(ix.safe, b.head.endOff)
	ix.mu.Unlock()
	if b.len() < b.room()/8 {
		return nil // too large for what comes
	}
	b.reset()
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.spare == nil || ix.spare.room() < b.room() {
		ix.spare = b
	}
	return nil
}

// Flush writes what waits in memory to the files. With sync it also waits until everything that was put before the
// call is on disk. After a sync that failed each later one fails too.
func (ix *Index) Flush(sync bool) error {
	ix.ioMu.Lock()
	defer ix.ioMu.Unlock()
	ix.idle++
	if err := ix.mergeAll(); err != nil {
		return err
	}
	if ix.idle > 2 {
		ix.releaseMemory()
	}
	if sync {
		return ix.syncFiles()
	}
	return nil
}

// releaseMemory gives the batches back when nothing was put for some flushes. ioMu is held.
func (ix *Index) releaseMemory() {
	ix.window, ix.sortBuf = nil, nil
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.spare = nil
	if ix.cur != nil && len(ix.cur.entries) == 0 {
		ix.cur = nil
	}
}

// noteWrite remembers a file for the next sync. ioMu is held.
func (ix *Index) noteWrite(f *file) {
	if !slices.Contains(ix.unsynced, f) {
		ix.unsynced = append(ix.unsynced, f)
	}
}

func (ix *Index) syncFiles() error {
	if ix.failed != nil {
		return ix.failed
	}
	list := ix.unsynced
	ix.unsynced = nil
	names := ix.removed
	for _, f := range list {
		err := ix.syncFile(f)
		if err != nil {
			ix.failed = fmt.Errorf("sync index file %s: %w", f.name, err)
			return ix.failed
		}
		names = names || f.created
		f.created = false
	}
	if names {
		for _, dir := range []string{ix.dir, filepath.Dir(ix.dir)} {
			if err := ix.fs.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				ix.failed = fmt.Errorf("sync directory %s: %w", dir, err)
				return ix.failed
			}
		}
	}
	ix.removed = false
	return nil
}

// syncFile syncs one file and closes it unless it is the newest.
func (ix *Index) syncFile(f *file) error {
	ix.mu.Lock()
	i := slices.Index(ix.files, f)
	newest := i == len(ix.files)-1
	ix.mu.Unlock()
	if i < 0 {
		return f.close() // deleted meanwhile
	}
	h, err := f.use(ix.fs)
	if err != nil {
		return err
	}
	if err = h.Datasync(); err != nil || newest {
		return err
	}
	return f.close()
}

// Clean removes the leading files whose records are all below logMin; the newest file stays. It returns how many
// files it removed.
func (ix *Index) Clean(logMin record.Offset) (int, error) {
	ix.ioMu.Lock()
	defer ix.ioMu.Unlock()
	removed := 0
	for {
		ix.mu.Lock()
		if len(ix.files) < 2 || ix.files[0].head.endOff >= logMin {
			ix.mu.Unlock()
			return removed, nil
		}
		f := ix.files[0]
		ix.files = slices.Clone(ix.files[1:])
		ix.mu.Unlock()
		if err := errors.Join(f.close(), ix.remove(f.name)); err != nil {
			return removed, err
		}
		removed++
	}
}

// Close writes what waits in memory, without syncing, and closes the files.
func (ix *Index) Close() error {
	err := ix.Flush(false)
	ix.ioMu.Lock()
	defer ix.ioMu.Unlock()
	for _, f := range slices.Concat(ix.unsynced, ix.files) {
		err = errors.Join(err, f.close())
	}
	return err
}
