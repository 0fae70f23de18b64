package compaction

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Open opens the log of a queue, which may not be there yet. What a crash left half done is finished or taken back.
func Open(o Options, topic string, queue int32) (*Log, error) {
	l := newLog(o.WithDefaults(), topic, queue)
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open compaction log of %s/%d: %w", topic, queue, err), l.Close())
	}
	return l, nil
}

func (l *Log) open() error {
	if err := l.finishSwap(); err != nil {
		return err
	}
	for _, dir := range []string{l.logDir, l.cqDir} {
		for _, sub := range []string{compacting, "replicating"} {
			if err := l.o.FS.RemoveAll(filepath.Join(dir, sub)); err != nil {
				return err
			}
		}
	}
	bases, err := l.list(l.logDir)
	if err != nil {
		return err
	}
	queues, err := l.list(l.cqDir)
	if err != nil {
		return err
	}
	for _, base := range bases {
		if !slices.Contains(queues, base) {
			err = errors.Join(err, l.o.FS.Remove(filepath.Join(l.logDir, name(base))))
		}
	}
	for _, base := range queues {
		if !slices.Contains(bases, base) {
			err = errors.Join(err, l.o.FS.Remove(filepath.Join(l.cqDir, name(base))))
		}
	}
	if err != nil {
		return err
	}
	for _, base := range bases {
		if slices.Contains(queues, base) {
			if err := l.load(base); err != nil {
				return err
			}
		}
	}
	if n := len(l.files); n > 0 {
		l.w.f = l.files[n-1]
		return l.trim(l.w.f)
	}
	return nil
}

// list returns the bases of the files in dir, in order. Others than those are left alone.
func (l *Log) list(dir string) ([]int64, error) {
	entries, err := l.o.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []int64
	for _, e := range entries {
		if base, perr := strconv.ParseInt(e.Name(), 10, 64); perr == nil && len(e.Name()) == 20 && base >= 0 && !e.IsDir() {
			out = append(out, base)
		}
	}
	slices.Sort(out)
	return out, err
}

// load opens the pair of files at base.
func (l *Log) load(base int64) error {
	f := &file{base: base}
	f.refs.Store(1)
	var err error
	if f.log, err = l.o.FS.Open(filepath.Join(l.logDir, name(base))); err != nil {
		return err
	}
	if f.cq, err = l.o.FS.Open(filepath.Join(l.cqDir, name(base))); err != nil {
		return errors.Join(err, f.log.Close())
	}
	l.files = append(l.files, f)
	size, err := f.cq.Size()
	if err != nil {
		return err
	}
	// Sound units come first, then an end mark or zeros. All of them: a power cut may leave holes in the last file.
	buf := make([]byte, 1000*UnitSize)
	n, last := int64(0), record.Index(-1)
	for at := int64(0); at+UnitSize <= size; {
		b := buf[:min(int64(len(buf)), (size-at)/UnitSize*UnitSize)]
		if _, err := f.cq.ReadAt(b, at); err != nil {
			return err
		}
		for i := 0; i < len(b); i += UnitSize {
			var u Unit
			if !u.decode(b[i:]) || u.Index <= last || u.Pos != base+f.end || f.end+int64(u.Size) > l.o.FileSize {
				f.setUnits(n, last)
				return nil
			}
			if n == 0 {
				f.first.Store(int64(u.Index))
			}
			last, f.end = u.Index, f.end+int64(u.Size)
			n++
		}
		at += int64(len(b))
	}
	f.setUnits(n, last)
	return nil
}

func (f *file) setUnits(n int64, last record.Index) {
	f.last.Store(int64(last))
	f.units.Store(n)
}

// trim takes messages off the end of the last file that were not on disk when the machine stopped.
func (l *Log) trim(f *file) error {
	total := f.units.Load()
	good, end := total, f.end
	var u [1]Unit
	var b [UnitSize]byte
	var rec []byte
	for i := total - 1; i >= 0; i-- {
		if _, err := f.read(i, u[:], b[:]); err != nil {
			return err
		}
		if total > 0 && f.end-(u[0].Pos-f.base) > maxUnsynced {
			break
		}
		var err error
		if rec, err = f.record(&u[0], rec[:0]); errors.Is(err, errOther) {
			good, end = i, u[0].Pos-f.base
		} else if err != nil {
			return err
		}
	}
	if good < total {
		l.o.Log.Warn("the compaction log is cut, what follows comes again", "topic", l.topic, "queue", l.queue, "messages", total-good)
	}
	return l.cut(f, good, end)
}

// cut makes n units and end bytes the contents of f, which is the last file. What is behind is erased, an end mark too.
func (l *Log) cut(f *file, n, end int64) error {
	last := record.Index(-1)
	if n > 0 {
		var u [1]Unit
		var b [UnitSize]byte
		if _, err := f.read(n-1, u[:], b[:]); err != nil {
			return err
		}
		last = u[0].Index
	}
	f.setUnits(n, last)
	f.end = end
	err := errors.Join(f.cq.Truncate(n*UnitSize), f.cq.Truncate(l.o.QueueFileSize), f.log.Truncate(end), f.log.Truncate(l.o.FileSize), f.sync())
	if err != nil {
		return fmt.Errorf("cut %s: %w", f.log.Name(), err)
	}
	return nil
}

// Cut removes the messages at next and behind.
func (l *Log) Cut(next record.Index) error {
	for {
		l.mu.Lock()
		n := len(l.files)
		l.mu.Unlock()
		if n == 0 {
			return nil
		}
		f := l.files[n-1]
		at, err := f.find(next)
		if err != nil {
			return err
		}
		if at > 0 || n == 1 {
			if at == f.units.Load() {
				return nil
			}
			var u [1]Unit
			var b [UnitSize]byte
			if _, err = f.read(at, u[:], b[:]); err != nil {
				return err
			}
			return l.cut(f, at, u[0].Pos-f.base)
		}
		l.mu.Lock()
		l.files = l.files[:n-1]
		l.w.f = l.files[n-2]
		l.mu.Unlock()
		err = errors.Join(f.release(), l.o.FS.Remove(filepath.Join(l.logDir, name(f.base))), l.o.FS.Remove(filepath.Join(l.cqDir, name(f.base))))
		if err != nil {
			return fmt.Errorf("cut compaction log: %w", err)
		}
	}
}

// A swap is what a compaction is about to do, written down before: move New from the sub folder, remove Old.
type swap struct {
	Old []int64 `json:"old"`
	New []int64 `json:"new"`
}

const swapName = "swap"

func (l *Log) swapPath() string { return filepath.Join(l.logDir, compacting, swapName) }

// writeSwap makes the swap durable: from now on it will be done.
func (l *Log) writeSwap(s *swap) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	text = binary.BigEndian.AppendUint32(text, crc32.ChecksumIEEE(text))
	f, err := l.o.FS.Create(l.swapPath())
	if err != nil {
		return fmt.Errorf("note of a compaction: %w", err)
	}
	_, err = f.WriteAt(text, 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = l.o.FS.SyncDir(filepath.Dir(l.swapPath()))
	}
	if err != nil {
		return fmt.Errorf("note of a compaction: %w", err)
	}
	return nil
}

func parseSwap(text []byte) (s swap, ok bool) {
	n := len(text) - 4
	ok = n >= 0 && crc32.ChecksumIEEE(text[:n]) == binary.BigEndian.Uint32(text[n:]) && json.Unmarshal(text[:n], &s) == nil
	return s, ok
}

// finishSwap does what a swap says, again if need be. It is no error when there is none, or only half of one.
func (l *Log) finishSwap() error {
	text, err := vfs.ReadFile(l.o.FS, l.swapPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note of a compaction: %w", err)
	}
	s, ok := parseSwap(text)
	if !ok {
		return nil // it had not begun
	}
	for _, dir := range []string{l.logDir, l.cqDir} {
		for _, base := range s.New {
			err := l.o.FS.Rename(filepath.Join(dir, compacting, name(base)), filepath.Join(dir, name(base)))
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // else it was moved before
				return fmt.Errorf("put a compacted file in its place: %w", err)
			}
		}
		for _, base := range s.Old {
			if slices.Contains(s.New, base) {
				continue
			}
			if err := l.o.FS.Remove(filepath.Join(dir, name(base))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove a file that was compacted: %w", err)
			}
		}
		if err := l.o.FS.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory %s: %w", dir, err)
		}
	}
	if err := l.o.FS.Remove(l.swapPath()); err != nil {
		return fmt.Errorf("note of a compaction: %w", err)
	}
	return l.o.FS.SyncDir(filepath.Dir(l.swapPath()))
}
