package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
)

// Repair puts rec where the log holds a damaged record of the same size, durably. rec must be sound and say that it stands there. Where the
// record can be read nothing is done.
func (l *Log) Repair(off record.Offset, rec []byte) error {
	if err := check(rec, off); err != nil {
		return fmt.Errorf("repair the log at %d: %w", off, err)
	}
	err := record.Verify(rec)
	if err == nil && errors.Is(record.VerifyCRC(rec), record.ErrCRC) {
		err = record.ErrCRC
	}
	if err != nil {
		return fmt.Errorf("repair the log at %d: %w", off, err)
	}
	r := l.NewReader()
	defer r.Close()
	_, _, err = r.Record(off, len(rec))
	if _, damaged := errors.AsType[*CorruptError](err); !damaged {
		return err
	}
	r.Close() // lets go of the block
	l.syncing <- struct{}{}
	defer func() { <-l.syncing }()
	if e := l.failed.Load(); e != nil {
		return e
	}
	hot, err := l.set.Patch(rec, int64(off))
	switch {
	case errors.Is(err, segment.ErrGone):
		return ErrGone
	case err != nil:
		return l.fail(err)
	}
	if hot {
		l.mended.put(off, rec)
	}
	_, _, err = r.Record(off, len(rec))
	return err
}

// mended are records that were repaired in their file while the memory of the appender holds them as they were: until the log is
// closed they come from here. Readers look here only when they find damage.
type mended struct {
	mu    sync.Mutex // guards what follows
	m     map[record.Offset][]byte
	bytes int
}

// maxMended bounds what is kept; what is more can be read after a restart.
const maxMended = 16 << 20

func (d *mended) put(off record.Offset, rec []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bytes+len(rec) > maxMended {
		return
	}
	if d.m == nil {
		d.m = map[record.Offset][]byte{}
	}
	d.m[off] = bytes.Clone(rec)
	d.bytes += len(rec)
}

// get returns the record of that size at off, nil when there is none. It must not be changed.
func (d *mended) get(off record.Offset, size int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rec := d.m[off]; len(rec) == size {
		return rec
	}
	return nil
}
