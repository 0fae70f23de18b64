package timerlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Log is the timer log: files of one size, as one sequence of units.
type Log struct {
	fs   vfs.FS
	dir  string
	size int64
	end  int64 // where the next unit goes

	mu     sync.Mutex // guards the fields below
	files  []logFile
	unsafe map[int64]bool // bases of files with writes that are not on disk
	fresh  bool           // a file's name is not on disk

	out   []byte
	buf   []byte // bytes read at bufAt
	bufAt int64
}

type logFile struct {
	base int64
	f    vfs.File
}

// OpenLog opens the files in dir, if there are any. Recover finds the end.
func OpenLog(fsys vfs.FS, dir string, fileSize int64) (*Log, error) {
	if fileSize < 2*UnitSize+minBlank || fileSize > math.MaxInt32 {
		return nil, fmt.Errorf("mappedFileSizeTimerLog = %d: must be %d to %d", fileSize, 2*UnitSize+minBlank, math.MaxInt32)
	}
	l := &Log{fs: fsys, dir: dir, size: fileSize, unsafe: map[int64]bool{}}
	ents, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list timer log: %w", err)
	}
	for _, e := range ents {
		base, ok := parseName(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		f, err := fsys.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open timer log: %w", err), l.Close())
		}
		l.files = append(l.files, logFile{base, f})
		n, err := f.Size()
		if err == nil && n < fileSize && base%fileSize == 0 {
			n, err = fileSize, f.Truncate(fileSize) // a power cut while it was made
		}
		if err == nil && (n != fileSize || base%fileSize != 0) {
			err = fmt.Errorf("%s has %d bytes: mappedFileSizeTimerLog is %d", f.Name(), n, fileSize)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open timer log: %w", err), l.Close())
		}
	}
	slices.SortFunc(l.files, func(a, b logFile) int { return int(a.base/fileSize - b.base/fileSize) })
	for i := 1; i < len(l.files); i++ {
		if l.files[i].base != l.files[i-1].base+fileSize {
			return nil, errors.Join(fmt.Errorf("timer log %s: a file is missing before %s", dir, l.files[i].f.Name()), l.Close())
		}
	}
	l.end = l.begin()
	return l, nil
}

func parseName(name string) (int64, bool) {
	if len(name) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(name, 10, 64)
	return n, err == nil && n >= 0
}

// Close closes the files.
func (l *Log) Close() error {
	var err error
	for _, f := range l.files {
		err = errors.Join(err, f.f.Close())
	}
	l.files = nil
	return err
}

// begin is the position of the first unit.
func (l *Log) begin() int64 {
	if len(l.files) == 0 {
		return 0
	}
	return l.files[0].base
}

// End returns where the next unit goes.
func (l *Log) End() int64 { return l.end }

// Begin returns the position of the oldest unit.
func (l *Log) Begin() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begin()
}

// file returns the file that holds pos.
func (l *Log) file(pos int64) (logFile, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.files) == 0 || pos < l.files[0].base {
		return logFile{}, false
	}
	i := (pos - l.files[0].base) / l.size
	if i >= int64(len(l.files)) {
		return logFile{}, false
	}
	return l.files[i], true
}

// Recover calls fn for each unit from the file of position from on until fn returns false or there is none, and makes that the
// end. The caller decides about damage by what fn returns.
func (l *Log) Recover(from int64, fn func(pos int64, u *Unit) bool) error {
	pos := max(from-from%l.size, l.begin())
	if last := len(l.files); last > 0 {
		pos = min(pos, l.files[last-1].base)
	}
	end, err := l.walk(pos, fn)
	if err != nil {
		return err
	}
	l.end = end
	return l.cut()
}

// walk calls fn for the units from pos, the start of a file, on and returns where it stopped.
func (l *Log) walk(pos int64, fn func(pos int64, u *Unit) bool) (int64, error) {
	buf := make([]byte, 0, 1<<16)
	at := pos
	for {
		f, ok := l.file(pos)
		if !ok {
			return pos, nil
		}
		left := f.base + l.size - pos
		if left < UnitSize+minBlank { // here is an end mark, or there is no room for one
			pos = f.base + l.size
			continue
		}
		if pos < at || pos+UnitSize > at+int64(len(buf)) {
			at, buf = pos, buf[:min(int64(cap(buf)), left)]
			if _, err := f.f.ReadAt(buf, pos-f.base); err != nil && !errors.Is(err, io.EOF) {
				return pos, fmt.Errorf("read timer log: %w", err)
			}
		}
		var u Unit
		if !u.decode(buf[pos-at:]) || u.Prev >= pos || !fn(pos, &u) {
			return pos, nil
		}
		pos += UnitSize
	}
}

// cut removes everything behind the end, so that old units there are never taken for new ones.
func (l *Log) cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := len(l.files); n > 0 && l.files[n-1].base > l.end; n-- {
		f := l.files[n-1]
		l.files = l.files[:n-1]
		if err := errors.Join(f.f.Close(), l.fs.Remove(f.f.Name())); err != nil {
			return fmt.Errorf("remove timer log file: %w", err)
		}
	}
	if len(l.files) == 0 {
		return nil
	}
	last := l.files[len(l.files)-1]
	if l.end >= last.base+l.size {
		return nil
	}
	err := errors.Join(last.f.Truncate(l.end-last.base), last.f.Truncate(l.size), last.f.Sync())
	if err != nil {
		return fmt.Errorf("cut timer log: %w", err)
	}
	return nil
}

// Append adds units, all to the slot whose newest unit is at prev (-1: none), and returns the position of the last. After an error
// none of them counts, and the next append goes to the same place.
func (l *Log) Append(units []Unit, place func(i int, pos int64)) error {
	end := l.end
	for len(units) > 0 {
		f, err := l.room(end)
		if err != nil {
			return err
		}
		end = f.pos
		n := min(int64(len(units)), (f.base+l.size-end-minBlank)/UnitSize)
		l.out = l.out[:0]
		for i := range units[:n] {
			place(i, end+int64(i)*UnitSize)
			l.out = units[i].AppendTo(l.out)
		}
		if _, err := f.f.WriteAt(l.out, end-f.base); err != nil {
			return fmt.Errorf("write timer log: %w", err)
		}
		l.mu.Lock()
		l.unsafe[f.base] = true
		l.mu.Unlock()
		l.forget(end)
		end += n * UnitSize
		units = units[n:]
		next := place
		place = func(i int, pos int64) { next(i+int(n), pos) }
	}
	l.end = end
	return nil
}

type roomAt struct {
	logFile
	pos int64
}

// room returns where the next unit goes: at end or at the begin of the next file.
func (l *Log) room(end int64) (roomAt, error) {
	f, ok := l.file(end)
	if ok && f.base+l.size-end >= UnitSize+minBlank {
		return roomAt{f, end}, nil
	}
	if ok {
		var b [minBlank]byte
		left := f.base + l.size - end
		binary.BigEndian.PutUint32(b[:], uint32(left))
		binary.BigEndian.PutUint32(b[12:], magicBlank)
		if left >= minBlank {
			if _, err := f.f.WriteAt(b[:], end-f.base); err != nil {
				return roomAt{}, fmt.Errorf("write timer log: %w", err)
			}
			l.mu.Lock()
			l.unsafe[f.base] = true
			l.mu.Unlock()
		}
		end = f.base + l.size
		if f, ok = l.file(end); ok {
			return roomAt{f, end}, nil
		}
	}
	f, err := l.create(end)
	return roomAt{f, end}, err
}

func (l *Log) create(base int64) (logFile, error) {
	if err := l.fs.MkdirAll(l.dir); err != nil {
		return logFile{}, fmt.Errorf("make timer log folder: %w", err)
	}
	name := filepath.Join(l.dir, fmt.Sprintf("%020d", base))
	f, err := l.fs.Create(name)
	if err == nil {
		if err = f.Allocate(l.size); err != nil {
			err = errors.Join(err, f.Close(), l.fs.Remove(name))
		}
	}
	if err != nil {
		return logFile{}, fmt.Errorf("make timer log file: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = append(l.files, logFile{base, f})
	l.unsafe[base], l.fresh = true, true
	return l.files[len(l.files)-1], nil
}

// forget drops read bytes from pos on.
func (l *Log) forget(pos int64) {
	if l.bufAt+int64(len(l.buf)) > pos {
		l.buf = l.buf[:0]
	}
}

// blockSize is how much is read at a time: neighbours in a log are often of one slot.
const blockSize = 16 << 10

// ErrDamaged says that there is no sound unit where one should be.
var ErrDamaged = errors.New("timer log is damaged")

// Read reads the unit at pos. It is made for walking backwards.
func (l *Log) Read(pos int64, u *Unit) error {
	if pos < l.bufAt || pos+UnitSize > l.bufAt+int64(len(l.buf)) {
		f, ok := l.file(pos)
		if !ok || pos < 0 || pos+UnitSize > l.end || pos+UnitSize > f.base+l.size {
			return fmt.Errorf("%w: no unit at %d, it has %d to %d", ErrDamaged, pos, l.Begin(), l.end)
		}
		from := max(pos+UnitSize-blockSize, f.base)
		if l.buf == nil {
			l.buf = make([]byte, blockSize)
		}
		l.buf = l.buf[:pos+UnitSize-from]
		if _, err := f.f.ReadAt(l.buf, from-f.base); err != nil {
			l.buf = l.buf[:0]
			return fmt.Errorf("read timer log: %w", err)
		}
		l.bufAt = from
	}
	if !u.decode(l.buf[pos-l.bufAt:]) || u.Prev >= pos {
		return fmt.Errorf("%w: bad unit at %d", ErrDamaged, pos)
	}
	return nil
}

// Each calls fn for every sound unit of the log.
func (l *Log) Each(fn func(pos int64, u *Unit)) error {
	l.mu.Lock()
	files := slices.Clone(l.files)
	l.mu.Unlock()
	buf := make([]byte, (1<<16)/UnitSize*UnitSize)
	for _, f := range files {
		for at := int64(0); at+UnitSize <= l.size && f.base+at < l.end; {
			n := min(int64(len(buf)), (l.size-at)/UnitSize*UnitSize)
			if _, err := f.f.ReadAt(buf[:n], at); err != nil {
				return fmt.Errorf("read timer log: %w", err)
			}
			for i := int64(0); i < n && f.base+at+i < l.end; i += UnitSize {
				var u Unit
				if u.decode(buf[i:]) {
					fn(f.base+at+i, &u)
				}
			}
			at += n
		}
	}
	return nil
}

// Sync makes all units durable that were appended before the call.
func (l *Log) Sync() error {
	l.mu.Lock()
	var files []logFile
	for _, f := range l.files {
		if l.unsafe[f.base] {
			files = append(files, f)
		}
	}
	clear(l.unsafe)
	fresh := l.fresh
	l.fresh = false
	l.mu.Unlock()
	var err error
	for _, f := range files {
		err = errors.Join(err, f.f.Datasync())
	}
	if fresh && err == nil {
		err = errors.Join(l.fs.SyncDir(l.dir), l.fs.SyncDir(filepath.Dir(l.dir)))
	}
	if err != nil {
		return fmt.Errorf("sync timer log: %w", err)
	}
	return nil
}

// Clean removes files whose newest message is before min in the commit log, and so gone. The last file stays. It must not run
// beside Sync.
func (l *Log) Clean(oldest record.Offset) error {
	for {
		l.mu.Lock()
		if len(l.files) < 2 {
			l.mu.Unlock()
			return nil
		}
		f := l.files[0]
		l.mu.Unlock()
		var u Unit
		at := (l.size - minBlank) / UnitSize * UnitSize
		var b [UnitSize]byte
		if _, err := f.f.ReadAt(b[:], at-UnitSize); err != nil {
			return fmt.Errorf("read timer log: %w", err)
		}
		if u.decode(b[:]) && u.Offset >= oldest {
			return nil
		}
		l.mu.Lock()
		l.files = l.files[1:]
		delete(l.unsafe, f.base)
		l.mu.Unlock()
		if err := errors.Join(f.f.Close(), l.fs.Remove(f.f.Name())); err != nil {
			return fmt.Errorf("remove timer log file: %w", err)
		}
	}
}
