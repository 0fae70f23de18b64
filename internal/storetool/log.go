package storetool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Damage is a part of the log that holds no readable record although records follow it.
type Damage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"` // in the log
	Length int64  `json:"length"`
	Reason string `json:"reason"`
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

const chunk = 1 << 20

// walk visits every readable record of the log and every damaged place. The record is valid until visit returns.
func walk(ctx context.Context, fsys vfs.FS, dir string, visit func(m *record.Message, rec []byte) error, damaged func(Damage)) error {
	files, err := logFiles(fsys, dir)
	if err != nil {
		return err
	}
	for i, lf := range files {
		if i > 0 && files[i-1].base+files[i-1].size != lf.base {
			damaged(Damage{File: lf.name, Offset: files[i-1].base + files[i-1].size, Length: lf.base - files[i-1].base - files[i-1].size, Reason: "a file is missing before this one"})
		}
		if err := walkFile(ctx, fsys, lf, i == len(files)-1, visit, damaged); err != nil {
			return err
		}
	}
	return nil
}

// window is a part of a file in memory.
type window struct {
	f    vfs.File
	size int64
	at   int64
	buf  []byte
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

const headBytes = 128 // enough for record.Header

func walkFile(ctx context.Context, fsys vfs.FS, lf logFile, last bool, visit func(*record.Message, []byte) error, damaged func(Damage)) error {
	f, err := fsys.Open(lf.name)
	if err != nil {
		return fmt.Errorf("open %s: %w", lf.name, err)
	}
	defer func() { _ = f.Close() }()
	w := &window{f: f, size: lf.size}
	var m record.Message
	var hole *Damage
	end := func(pos int64) {
		if hole != nil {
			hole.Length = lf.base + pos - hole.Offset
			damaged(*hole)
			hole = nil
		}
	}
	for pos := int64(0); pos < lf.size; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := w.record(pos, lf.base, &m)
		switch {
		case err == nil:
			end(pos)
			var rec []byte
			if rec, err = w.bytes(pos, n); err != nil {
				return err
			}
			if err = visit(&m, rec); err != nil {
				return err
			}
			pos += int64(n)
		case errors.Is(err, record.ErrBlank):
			end(pos)
			return nil
		default:
			if hole == nil {
				hole = &Damage{File: lf.name, Offset: lf.base + pos, Reason: err.Error()}
				if next, ok, err := zeroes(f, pos, lf.size); err != nil {
					return err
				} else if ok && last {
					return nil // the unwritten rest of the last file
				} else if ok {
					pos = next
					continue
				}
			}
			pos++
		}
	}
	end(lf.size)
	return nil
}

// zeroes reports whether nothing but zeroes follows pos.
func zeroes(f vfs.File, pos, size int64) (next int64, only bool, err error) {
	buf := make([]byte, chunk)
	for pos < size {
		data, err := f.NextData(pos)
		if err != nil {
			return 0, false, fmt.Errorf("look for data in %s: %w", f.Name(), err)
		}
		pos = max(pos, data)
		if pos >= size {
			break
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-pos)], pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		for _, b := range buf[:n] {
			if b != 0 {
				return 0, false, nil
			}
		}
		if n == 0 {
			break
		}
		pos += int64(n)
	}
	return size, true, nil
}

// record reads the record at pos and checks everything about it, also that it belongs there.
func (w *window) record(pos, base int64, m *record.Message) (int, error) {
	b, err := w.bytes(pos, headBytes)
	if err != nil {
		return 0, err
	}
	h, err := record.Header(b)
	if err != nil {
		return h.Size, err
	}
	if int64(h.Size) > w.size-pos {
		return 0, record.ErrLayout
	}
	if b, err = w.bytes(pos, h.Size); err != nil {
		return 0, err
	}
	n, err := record.Decode(b, m, true)
	if err == nil && int64(m.Offset) != base+pos {
		return 0, fmt.Errorf("the record says it stands at %d", m.Offset)
	}
	return n, err
}
