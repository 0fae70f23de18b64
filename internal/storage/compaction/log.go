package compaction

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options configures logs. Zero values are Java's defaults.
type Options struct {
	FS            vfs.FS
	Dir           string // <storePathRootDir>/compaction
	FileSize      int64  // compactionMappedFileSize, default 100 MiB
	QueueFileSize int64  // compactionCqMappedFileSize, default 10 MiB
	MapBytes      int64  // maxOffsetMapSize, default 100 MiB: memory of one compaction
	Log           *slog.Logger
}

// WithDefaults rounds the sizes as Java does: whole units in a queue file, and a log file is a multiple of that, at least five.
func (o Options) WithDefaults() Options {
	if o.FileSize <= 0 {
		o.FileSize = 100 << 20
	}
	if o.QueueFileSize <= 0 {
		o.QueueFileSize = 10 << 20
	}
	if o.MapBytes <= 0 {
		o.MapBytes = 100 << 20
	}
	o.QueueFileSize = max(o.QueueFileSize/UnitSize, 3) * UnitSize
	n, m := o.FileSize/o.QueueFileSize, o.FileSize%o.QueueFileSize
	switch {
	case n < 5:
		n = 5
	case m > 0 && m < o.QueueFileSize>>1:
	default:
		n++
	}
	o.FileSize = n * o.QueueFileSize
	return o
}

// Log is the compacted messages of one queue. One goroutine may change it (Append, Compact, Cut), any may read.
type Log struct {
	o             Options
	topic         string
	queue         int32
	logDir, cqDir string

	mu    sync.Mutex // guards files
	files []*file

	w        writer
	unsynced int64
}

// maxUnsynced is how many bytes may be behind what is known to be on disk; they are verified when the log is opened.
const maxUnsynced = 4 << 20

func newLog(o Options, topic string, queue int32) *Log {
	id := strconv.Itoa(int(queue))
	l := &Log{
		o: o, topic: topic, queue: queue,
		logDir: filepath.Join(o.Dir, "compactionLog", topic, id), cqDir: filepath.Join(o.Dir, "compactionCq", topic, id),
	}
	l.w = writer{l: l, fresh: func(f *file) {
		l.mu.Lock()
		l.files = append(l.files, f)
		l.mu.Unlock()
	}}
	return l
}

// Bounds returns the index of the first message and the one behind the last; both 0 when there is none.
func (l *Log) Bounds() (lo, next record.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if f.units.Load() > 0 {
			lo = record.Index(f.first.Load())
			break
		}
	}
	for _, f := range slices.Backward(l.files) {
		if f.units.Load() > 0 {
			return lo, record.Index(f.last.Load()) + 1
		}
	}
	return 0, 0
}

// Append adds a message behind all others, in memory until Flush. rec is copied. A message that is there already is left out.
func (l *Log) Append(rec []byte, u Unit) error {
	if _, next := l.Bounds(); u.Index < next || l.w.n > 0 && u.Index <= l.w.last {
		return nil
	}
	if err := l.w.add(rec, u); err != nil {
		if !errors.Is(err, ErrTooLarge) {
			l.w.drop()
		}
		return err
	}
	l.unsynced += int64(len(rec))
	return nil
}

// Flush writes what was appended; it is readable then.
func (l *Log) Flush() error {
	if err := l.w.write(); err != nil {
		l.w.drop()
		return err
	}
	if l.unsynced >= maxUnsynced/2 {
		return l.Sync()
	}
	return nil
}

// Sync makes what was flushed durable.
func (l *Log) Sync() error {
	if l.w.f == nil || l.unsynced == 0 {
		return nil
	}
	if err := l.w.f.sync(); err != nil {
		return fmt.Errorf("sync compaction log of %s/%d: %w", l.topic, l.queue, err)
	}
	l.unsynced = 0
	return nil
}

// pin returns the file that holds the first message at from or behind, nil when there is none.
func (l *Log) pin(from record.Index) *file {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if f.units.Load() > 0 && record.Index(f.last.Load()) >= from {
			f.refs.Add(1)
			return f
		}
	}
	return nil
}

// Each calls fn for each message from index from on, until it returns false. read appends the record to what it is given.
func (l *Log) Each(from record.Index, fn func(u *Unit, read func(dst []byte) ([]byte, error)) bool) error {
	var units [64]Unit
	buf := make([]byte, len(units)*UnitSize)
	for {
		f := l.pin(from)
		if f == nil {
			return nil
		}
		more, err := f.each(&from, units[:], buf, fn)
		if err = errors.Join(err, f.release()); err != nil || !more {
			return err
		}
	}
}

func (f *file) each(from *record.Index, units []Unit, buf []byte, fn func(u *Unit, read func(dst []byte) ([]byte, error)) bool) (bool, error) {
	at, err := f.find(*from)
	if err != nil {
		return false, err
	}
	for {
		n, err := f.read(at, units, buf)
		if err != nil {
			return false, err
		}
		if n == 0 {
			return true, nil
		}
		for i := range units[:n] {
			u := &units[i]
			if !fn(u, func(dst []byte) ([]byte, error) { return f.record(u, dst) }) {
				return false, nil
			}
			*from = u.Index + 1
		}
		at += int64(n)
	}
}

// Close closes the files. What was not flushed is lost.
func (l *Log) Close() error {
	l.mu.Lock()
	files := l.files
	l.files = nil
	l.mu.Unlock()
	l.w.f = nil
	var err error
	for _, f := range files {
		err = errors.Join(err, f.release())
	}
	return err
}

// Remove closes the log and removes its files.
func (l *Log) Remove() error {
	return errors.Join(l.Close(), l.o.FS.RemoveAll(l.logDir), l.o.FS.RemoveAll(l.cqDir))
}
