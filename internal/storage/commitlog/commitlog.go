package commitlog

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options configures a Log.
type Options struct {
	SegmentSize   int64
	Key           string // the operator's name for SegmentSize
	CacheBytes    int64
	FlushInterval time.Duration // of the background flush
	PropCRC       bool          // the records end with a __CRC32# property that is to be filled in
	Now           func() time.Time
	Log           *slog.Logger
	// OnFlush is called after more of the log became durable. It must be cheap.
	OnFlush func()
	// Synced, if not nil, is told how long each flush took, failed ones included. It must be cheap.
	Synced func(took time.Duration)
}

// Log is the commit log of a store. Open it, Recover it, then Append; Run does the background work.
type Log struct {
	set *segment.Set
	o   Options

	appended   atomic.Int64 // readable end; written by the leader
	flushed    atomic.Int64 // durable end; written by whoever holds flushing
	replicated atomic.Int64
	alone      atomic.Bool // nobody waits for replicated

	failed atomic.Pointer[ReadOnlyError] // set once
	full   atomic.Pointer[DiskFullError] // no room for the next file
	crowd  atomic.Pointer[DiskFullError] // the cleaner says that too much of the disk is used
	tryAt  atomic.Int64                  // when a full log may try again, ns

	mu      sync.Mutex // guards what follows
	queue   []*Batch
	spare   []*Batch
	leading bool
	closed  bool

	w       writer        // the leader's
	lastMs  int64         // the leader's: store time of the newest record
	stamped atomic.Int64  // store time of the newest readable record
	flushMs int64         // store time of the newest durable record; under flushing
	syncing chan struct{} // one token: who has it may sync
	wake    chan struct{} // somebody waits for the flusher
	load    load
	prepare chan struct{} // the next file is wanted
	waits   waits

	watchers watchers
	holes    holes
	mended   mended
}

// Open loads the files of the log in dir. Recover must follow.
func Open(fsys vfs.FS, dir string, o Options) (*Log, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = 500 * time.Millisecond
	}
	set, err := segment.Open(fsys, dir, segment.Options{Size: o.SegmentSize, Key: o.Key, CacheBytes: o.CacheBytes, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("open commit log: %w", err)
	}
	l := &Log{set: set, o: o, syncing: make(chan struct{}, 1), wake: make(chan struct{}, 1), prepare: make(chan struct{}, 1)}
	l.waits.init(l)
	return l, nil
}

// Empty reports whether there is no file at all.
func (l *Log) Empty() bool { return len(l.set.Files()) == 0 }

// Files returns the files, oldest first.
func (l *Log) Files() []*segment.File { return l.set.Files() }

// File returns the path of the file that holds off, "" when there is none.
func (l *Log) File(off record.Offset) string {
	if f := l.set.Find(int64(off)); f != nil {
		return f.Path()
	}
	return ""
}

// FileSize returns the size of each file.
func (l *Log) FileSize() int64 { return l.set.FileSize() }

// Min returns the first offset.
func (l *Log) Min() record.Offset { return record.Offset(l.set.Min()) }

// FilesEnd returns the end of the last file, which is behind the end of the log.
func (l *Log) FilesEnd() record.Offset { return record.Offset(l.set.End()) }

// Appended returns the readable end.
func (l *Log) Appended() record.Offset { return record.Offset(l.appended.Load()) }

// Flushed returns the durable end.
func (l *Log) Flushed() record.Offset { return record.Offset(l.flushed.Load()) }

// Replicated returns how far replicas have the log.
func (l *Log) Replicated() record.Offset { return record.Offset(l.replicated.Load()) }

// SetReplicated moves the replicated mark forward and releases those who wait for it.
func (l *Log) SetReplicated(off record.Offset) {
	for {
		cur := l.replicated.Load()
		if int64(off) <= cur {
			return
		}
		if l.replicated.CompareAndSwap(cur, int64(off)) {
			l.waits.fire()
			return
		}
	}
}

// SetAlone says that the replicated mark is not to be waited for, or that it is. It changes nothing for those who wait already.
func (l *Log) SetAlone(alone bool) { l.alone.Store(alone) }

// LastStoreTime returns the store time of the newest record in ms, 0 when none is known.
func (l *Log) LastStoreTime() int64 { return l.stamped.Load() }

// FlushedTime returns the store time of the newest durable record in ms.
func (l *Log) FlushedTime() int64 {
	l.syncing <- struct{}{}
	defer func() { <-l.syncing }()
	return l.flushMs
}

// Writable returns nil when the log takes records, else a *ReadOnlyError or *DiskFullError.
func (l *Log) Writable() error {
	if e := l.failed.Load(); e != nil {
		return e
	}
	if e := l.crowd.Load(); e != nil {
		return e
	}
	if e := l.full.Load(); e != nil {
		return e
	}
	return nil
}

// Failed returns why the log is read-only, nil when it is not.
func (l *Log) Failed() error {
	if e := l.failed.Load(); e != nil {
		return e
	}
	return nil
}

// SetCrowded says that too much of the disk is used (reason), or not any more (nil).
func (l *Log) SetCrowded(reason error) {
	switch had := l.crowd.Load(); {
	case reason == nil && had != nil:
		l.crowd.Store(nil)
		l.o.Log.Info("disk has room again")
	case reason != nil:
		l.crowd.Store(&DiskFullError{Reason: reason})
		if had == nil {
			l.o.Log.Error("disk nearly full, new messages are refused", "err", reason)
		}
	}
}

// Fail makes the log read-only: queues or index cannot follow it.
func (l *Log) Fail(err error) {
	_ = l.fail(err) // who stores a message gets it
}

// fail makes the log read-only.
func (l *Log) fail(err error) *ReadOnlyError {
	e := &ReadOnlyError{Reason: err}
	if l.failed.CompareAndSwap(nil, e) {
		l.o.Log.Error("store turned read-only", "err", err)
		l.waits.giveUp()
	}
	return l.failed.Load()
}

// fillUp notes that the disk has no room.
func (l *Log) fillUp(err error) *DiskFullError {
	e := &DiskFullError{Reason: err}
	if l.full.Swap(e) == nil {
		l.o.Log.Error("disk full, new messages are refused", "err", err)
	}
	l.tryAt.Store(l.o.Now().Add(fullRetry).UnixNano())
	return e
}

// noRoom returns why nothing is taken until it is time to look whether the disk has room again. A clock that was set back does not make
// that longer.
func (l *Log) noRoom() *DiskFullError {
	e := l.full.Load()
	if e == nil {
		return nil
	}
	if left := time.Duration(l.tryAt.Load() - l.o.Now().UnixNano()); left <= 0 || left > fullRetry {
		return nil
	}
	return e
}

// fullRetry is how often a full log looks whether there is room.
const fullRetry = 200 * time.Millisecond

// DeleteFirst deletes the oldest file. It refuses the file that holds the durable or the readable end.
func (l *Log) DeleteFirst() (*segment.File, error) {
	fl := l.set.Files()
	if len(fl) < 2 || fl[0].End() > min(l.flushed.Load(), l.appended.Load()) {
		return nil, ErrGone
	}
	return l.set.RemoveFirst()
}

// ModTime returns when f was last written.
func (l *Log) ModTime(f *segment.File) (time.Time, error) { return l.set.ModTime(f) }

// Trim gives cache memory back. No append may be under way: a block that is not in the file yet must not go.
func (l *Log) Trim() error {
	return l.Exclusive(func() error {
		l.set.Trim()
		return nil
	})
}

// Close flushes and closes the files. Run must have returned.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	var err error
	if l.failed.Load() == nil {
		err = l.Flush()
	}
	l.waits.giveUp()
	l.w.reset(l.set)
	if cerr := l.set.Close(l.appended.Load()); err == nil {
		err = cerr
	}
	return err
}
