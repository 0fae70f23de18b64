package storetool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Report is the result of Check.
type Report struct {
	Dir        string   `json:"dir"`
	Clean      bool     `json:"clean_exit"` // no abort file
	Messages   int64    `json:"messages"`
	Bytes      int64    `json:"bytes"`
	First      int64    `json:"first_offset"`
	End        int64    `json:"end_offset"`
	Damages    []Damage `json:"damages,omitempty"`
	Tail       *Damage  `json:"torn_tail,omitempty"` // behind the last message; a broker cuts it off when it starts
	Queues     int      `json:"queues"`
	Units      int64    `json:"queue_units"`
	Wrong      int64    `json:"wrong_units"`   // name a place where no such message stands
	Beyond     int64    `json:"beyond_units"`  // name a place behind the last message; a broker drops them when it starts
	Missing    int64    `json:"missing_units"` // messages that no unit names; a broker adds them when it starts
	WrongFirst string   `json:"first_wrong_unit,omitempty"`
}

// OK reports that nothing is damaged. Missing units are no damage: the log has what they would name. Nor is what a kill or
// a power cut leaves at the end of the log.
func (r *Report) OK() bool {
	return len(r.Damages) == 0 && r.Wrong == 0 && (!r.Clean || r.Tail == nil && r.Beyond == 0)
}

type queueKey struct {
	topic string
	id    int32
}

// Check reads a whole store.
func Check(ctx context.Context, fsys vfs.FS, p Place) (*Report, error) {
	r := &Report{Dir: p.Root, Clean: true, First: -1}
	if _, err := fsys.Stat(filepath.Join(p.Root, "abort")); err == nil {
		r.Clean = false
	}
	seen := map[queueKey]int64{} // the next index after the newest message of each queue
	var err error
	r.Tail, err = walk(ctx, fsys, p.log(), func(m *record.Message, rec []byte) error {
		if r.First < 0 {
			r.First = int64(m.Offset)
		}
		r.Messages++
		r.Bytes += int64(len(rec))
		r.End = int64(m.Offset) + int64(len(rec))
		k := queueKey{string(m.Topic), m.QueueID}
		seen[k] = max(seen[k], int64(m.Index)+1)
		return nil
	}, func(d Damage) { r.Damages = append(r.Damages, d) })
	if err != nil {
		return r, err
	}
	err = r.queues(ctx, fsys, p, seen)
	return r, err
}

const unitSize = 20

func (r *Report) queues(ctx context.Context, fsys vfs.FS, p Place, seen map[queueKey]int64) error {
	root := filepath.Join(p.Root, "consumequeue")
	log := &opened{fsys: fsys, dir: p.log()}
	defer log.close()
	topics, err := fsys.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", root, err)
	}
	for _, t := range topics {
		ids, err := fsys.ReadDir(filepath.Join(root, t.Name()))
		if err != nil {
			continue // not a folder of a topic
		}
		for _, q := range ids {
			id, err := strconv.ParseInt(q.Name(), 10, 32)
			if err != nil {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.Queues++
			end, err := r.queue(fsys, filepath.Join(root, t.Name(), q.Name()), log)
			if err != nil {
				return err
			}
			k := queueKey{t.Name(), int32(id)}
			if end < seen[k] {
				r.Missing += seen[k] - end
			}
			delete(seen, k)
		}
	}
	for _, n := range seen {
		r.Missing += n
	}
	return nil
}

// queue compares the units of one queue with the log and returns the index after the last one.
func (r *Report) queue(fsys vfs.FS, dir string, log *opened) (end int64, err error) {
	files, err := logFiles(fsys, dir)
	if err != nil {
		return 0, err
	}
	for _, qf := range files {
		f, err := fsys.Open(qf.name)
		if err != nil {
			return end, fmt.Errorf("open %s: %w", qf.name, err)
		}
		n, err := r.units(f, qf, log)
		_ = f.Close()
		if err != nil {
			return end, err
		}
		end = (qf.base + n) / unitSize
	}
	return end, nil
}

func (r *Report) units(f vfs.File, qf logFile, log *opened) (used int64, err error) {
	buf := make([]byte, 64<<10/unitSize*unitSize)
	for pos := int64(0); pos < qf.size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), qf.size-pos)], pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return pos, fmt.Errorf("read %s: %w", qf.name, err)
		}
		for i := 0; i+unitSize <= n; i += unitSize {
			off, size := int64(binary.BigEndian.Uint64(buf[i:])), int32(binary.BigEndian.Uint32(buf[i+8:]))
			if size <= 0 || off < 0 {
				return pos + int64(i), nil // unwritten from here on
			}
			if size == 0x7FFFFFFF {
				continue // a blank before the first message
			}
			r.Units++
			index := (qf.base + pos + int64(i)) / unitSize
			if off >= r.End {
				r.Beyond++
				continue
			}
			if r.within(off) {
				continue // reported already
			}
			if why := log.names(off, size, index); why != "" {
				if r.Wrong++; r.WrongFirst == "" {
					r.WrongFirst = fmt.Sprintf("%s index %d names %d: %s", qf.name, index, off, why)
				}
			}
		}
		if n == 0 {
			break
		}
		pos += int64(n)
	}
	return qf.size, nil
}

// within reports whether a place of the log is known to be damaged.
func (r *Report) within(off int64) bool {
	return slices.ContainsFunc(r.Damages, func(d Damage) bool { return off >= d.Offset && off < d.Offset+d.Length })
}

// opened reads headers out of the log for Check.
type opened struct {
	fsys  vfs.FS
	dir   string
	files []logFile
	w     *window
}

func (o *opened) close() {
	if o.w != nil {
		_ = o.w.f.Close()
	}
}

// names returns why a unit does not name a message, "" when it does. A unit below the log names a deleted message.
func (o *opened) names(off int64, size int32, index int64) string {
	if o.files == nil {
		var err error
		if o.files, err = logFiles(o.fsys, o.dir); err != nil || len(o.files) == 0 {
			return "no log"
		}
	}
	if off < o.files[0].base {
		return ""
	}
	if o.w == nil || off < o.w.base || off >= o.w.base+o.w.size {
		o.close()
		o.w = nil
		for _, lf := range o.files {
			if off >= lf.base && off < lf.base+lf.size {
				f, err := o.fsys.Open(lf.name)
				if err != nil {
					return err.Error()
				}
				o.w = &window{f: f, base: lf.base, size: lf.size}
			}
		}
		if o.w == nil {
			return "a file of the log is missing"
		}
	}
	h, err := o.w.header(off - o.w.base)
	switch {
	case err != nil:
		return err.Error()
	case h.Size != int(size):
		return fmt.Sprintf("the message has %d bytes, the unit says %d", h.Size, size)
	case int64(h.Index) != index:
		return fmt.Sprintf("the message has index %d", h.Index)
	}
	return ""
}
