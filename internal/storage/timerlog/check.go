package timerlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/vfs"
)

// CheckSize is the length of a checkpoint, on disk and on the wire; the file is padded to checkFile.
const (
	CheckSize = 56
	checkFile = 4096
)

// Check is the checkpoint, Java's config/timercheck: seven 64-bit numbers.
type Check struct {
	ReadTime    int64 // ms: all slots before it have been delivered
	LogPos      int64 // the timer log is on disk up to here
	QueueIndex  int64 // messages of the timer topic before it are in the log
	MasterIndex int64 // the same, of the master
	State       int64 // version of the counters per topic
	Timestamp   int64
	Counter     int64
}

// AppendTo appends the 56 bytes.
func (c *Check) AppendTo(dst []byte) []byte {
	for _, v := range [...]int64{c.ReadTime, c.LogPos, c.QueueIndex, c.MasterIndex, c.State, c.Timestamp, c.Counter} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

// LoadCheck reads the file. ok = false: there is none.
func LoadCheck(fsys vfs.FS, path string) (c Check, ok bool, err error) {
	data, err := vfs.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("read timer checkpoint: %w", err)
	}
	var b [CheckSize]byte // old files end after the fourth number
	copy(b[:], data)
	if c, err = DecodeCheck(b[:]); err != nil {
		return Check{}, false, fmt.Errorf("timer checkpoint %s: %w", path, err)
	}
	return c, len(data) > 0, nil
}

// DecodeCheck reads the 56 bytes.
func DecodeCheck(b []byte) (c Check, err error) {
	if len(b) < CheckSize {
		return c, fmt.Errorf("%d bytes, want %d", len(b), CheckSize)
	}
	for i, p := range [...]*int64{&c.ReadTime, &c.LogPos, &c.QueueIndex, &c.MasterIndex, &c.State, &c.Timestamp, &c.Counter} {
		*p = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	if c.ReadTime < 0 || c.LogPos < 0 || c.QueueIndex < 0 || c.MasterIndex < 0 {
		return Check{}, fmt.Errorf("it is damaged: %+v", c)
	}
	return c, nil
}

// Save writes the file in place, as Java does: all in one sector. It is durable then.
func (c *Check) Save(fsys vfs.FS, path string) error { return c.write(fsys, path, true) }

// Put is Save that does not wait for the disk.
func (c *Check) Put(fsys vfs.FS, path string) error { return c.write(fsys, path, false) }

func (c *Check) write(fsys vfs.FS, path string, sync bool) (err error) {
	f, err := fsys.Open(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		if err = fsys.MkdirAll(filepath.Dir(path)); err == nil {
			f, err = fsys.Create(path)
		}
	}
	if err != nil {
		return fmt.Errorf("open timer checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err == nil && size != checkFile {
		err = f.Truncate(checkFile)
	}
	if err == nil {
		_, err = f.WriteAt(c.AppendTo(nil), 0)
	}
	if err == nil && sync {
		err = f.Datasync()
	}
	if err == nil && fresh {
		err = fsys.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write timer checkpoint: %w", err)
	}
	return nil
}
