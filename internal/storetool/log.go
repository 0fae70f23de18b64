package storetool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Damage is a part of the log that holds no readable record.
type Damage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"` // in the log
	Length int64  `json:"length"`
	Reason string `json:"reason"`
}

// Place says where a store is.
type Place struct {
	Root string // storePathRootDir
	Log  string // storePathCommitLog, default <Root>/commitlog
}

func (p Place) log() string {
	if p.Log == "" {
		return filepath.Join(p.Root, "commitlog")
	}
	return p.Log
}

// logFile is one file of the commit log.
type logFile struct {
	name string
	base int64
	size int64
}

// logFiles lists the files of dir in the order of the log.
func logFiles(fsys vfs.FS, dir string) ([]logFile, error) {
	es, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	var out []logFile
	for _, e := range es {
		base, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || e.IsDir() || len(e.Name()) != 20 {
			continue
		}
		info, err := fsys.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, logFile{filepath.Join(dir, e.Name()), base, info.Size()})
	}
	return out, nil // ReadDir sorts by name, which is by offset
}

// walker goes through the log. What is unreadable is damage only when something readable follows it, also in a later
// file: until then it may be the unwritten rest of the log or a write that was cut.
type walker struct {
	fsys    vfs.FS
	visit   func(m *record.Message, rec []byte) error // the record is valid until it returns
	damaged func(Damage)
	open    []hole
}

// hole is an unreadable place.
type hole struct {
	Damage
	used int64 // bytes up to the last one that is not zero
}

// walk visits every readable record of the log and every damaged place. tail is what stands behind the last readable
// record, nil when there are only zeroes: a broker cuts it off when it starts.
func walk(ctx context.Context, fsys vfs.FS, dir string, visit func(m *record.Message, rec []byte) error, damaged func(Damage)) (tail *Damage, err error) {
	files, err := logFiles(fsys, dir)
	if err != nil {
		return nil, err
	}
	w := &walker{fsys: fsys, visit: visit, damaged: damaged}
	for i, lf := range files {
		if i > 0 {
			if end := files[i-1].base + files[i-1].size; end != lf.base {
				w.open = append(w.open, hole{Damage{File: lf.name, Offset: end, Length: lf.base - end, Reason: "a file is missing before this one"}, 0})
			}
		}
		if err := w.file(ctx, lf); err != nil {
			return nil, err
		}
	}
	for _, h := range w.open {
		if h.used > 0 {
			h.Length = h.used
			return &h.Damage, nil
		}
	}
	return nil, nil
}

// readable tells that something follows the holes that are open.
func (w *walker) readable() {
	for _, h := range w.open {
		w.damaged(h.Damage)
	}
	w.open = w.open[:0]
}

func (w *walker) file(ctx context.Context, lf logFile) error {
	f, err := w.fsys.Open(lf.name)
	if err != nil {
		return fmt.Errorf("open %s: %w", lf.name, err)
	}
	defer func() { _ = f.Close() }()
	win := &window{f: f, base: lf.base, size: lf.size}
	var m record.Message
	for pos := int64(0); pos < lf.size; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rec, err := win.record(pos, &m)
		var bad *unreadable
		switch {
		case err == nil:
			w.readable()
			if err = w.visit(&m, rec); err != nil {
				return err
			}
			pos += int64(len(rec))
		case errors.Is(err, record.ErrBlank):
			w.readable()
			return nil
		case errors.As(err, &bad):
			next, used, failed := win.next(ctx, pos)
			if failed != nil {
				return failed
			}
			w.open = append(w.open, hole{Damage{File: lf.name, Offset: lf.base + pos, Length: next - pos, Reason: bad.why}, used})
			pos = next
		default:
			return err
		}
	}
	return nil
}

// chunk is how much is read at once.
const chunk = 1 << 20

// window is a part of a file in memory.
type window struct {
	f    vfs.File
	base int64 // of the file, in the log
	size int64
	at   int64
	buf  []byte
	scan []byte
}

// bytes returns n bytes at pos, fewer at the end of the file.
func (w *window) bytes(pos int64, n int) ([]byte, error) {
	if left := w.size - pos; int64(n) > left {
		n = int(max(0, left))
	}
	if pos < w.at || pos+int64(n) > w.at+int64(len(w.buf)) {
		want := int(min(int64(max(n, chunk)), w.size-pos))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.buf = w.buf[:want]
		got, err := w.f.ReadAt(w.buf, pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s at %d: %w", w.f.Name(), pos, err)
		}
		w.buf, w.at = w.buf[:got], pos
		n = min(n, got)
	}
	return w.buf[pos-w.at:][:n], nil
}

// unreadable says why there is no record at a place.
type unreadable struct{ why string }

func (u *unreadable) Error() string { return u.why }

// header reads the fixed part of the record at pos. All errors but those of the disk are unreadable, or ErrBlank for a
// marker that fits.
func (w *window) header(pos int64) (record.Head, error) {
	b, err := w.bytes(pos, record.FixedSize)
	if err != nil {
		return record.Head{}, err
	}
	h, err := record.Header(b)
	switch {
	case errors.Is(err, record.ErrBlank) && int64(h.Size) == w.size-pos:
		return h, err
	case err != nil:
		return h, &unreadable{err.Error()}
	case int64(h.Offset) != w.base+pos:
		return h, &unreadable{fmt.Sprintf("the record says that it stands at %d", h.Offset)}
	case int64(h.Size) > w.size-pos:
		return h, &unreadable{"the record is longer than the rest of the file"}
	}
	return h, nil
}

// record reads the record at pos and checks everything about it, also that it belongs there.
func (w *window) record(pos int64, m *record.Message) ([]byte, error) {
	h, err := w.header(pos)
	if err != nil {
		return nil, err
	}
	rec, err := w.bytes(pos, h.Size)
	if err != nil {
		return nil, err
	}
	if _, err := record.Decode(rec, m, true); err != nil {
		return nil, &unreadable{err.Error()}
	}
	return rec, nil
}

// next looks for the next readable place behind pos, where nothing can be read. used is how many bytes from pos on there
// are up to the last one that is not zero.
func (w *window) next(ctx context.Context, pos int64) (next, used int64, err error) {
	const magicAt = 4 // a record starts with its length
	var m record.Message
	if w.scan == nil {
		w.scan = make([]byte, chunk)
	}
	buf := w.scan
	for at := pos; at < w.size; {
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		data, err := w.f.NextData(at)
		if err != nil {
			return 0, 0, fmt.Errorf("look for data in %s: %w", w.f.Name(), err)
		}
		at = max(at, data-2*magicAt) // the first bytes of a record may be zeroes in front of the data
		n, err := w.f.ReadAt(buf[:min(chunk, w.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, fmt.Errorf("read %s: %w", w.f.Name(), err)
		}
		for i, b := range buf[:n] {
			if b != 0 {
				used = at + int64(i) + 1 - pos
			}
			if i < magicAt+3 || !isMagic(binary.BigEndian.Uint32(buf[i-3:])) {
				continue
			}
			try := at + int64(i) - magicAt - 3
			if try <= pos {
				continue
			}
			_, err := w.record(try, &m)
			var bad *unreadable
			switch {
			case err == nil || errors.Is(err, record.ErrBlank):
				return try, min(used, try-pos), nil
			case !errors.As(err, &bad):
				return 0, 0, err
			}
		}
		if int64(n) <= 2*magicAt || at+int64(n) >= w.size {
			break
		}
		at += int64(n) - 2*magicAt // a magic number may lie across the border
	}
	return w.size, used, nil
}

func isMagic(v uint32) bool {
	return v == record.MagicV1 || v == record.MagicV2 || v == record.MagicBlank
}
