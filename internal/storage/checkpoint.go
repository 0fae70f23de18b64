package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/vfs"
)

// checkpoint is the used part of Java's file of that name (storage spec 6.1): five 64-bit numbers.
type checkpoint [40]byte

const checkpointSize = 4096

func (c *checkpoint) at(i int) int64     { return int64(binary.BigEndian.Uint64(c[8*i:])) }
func (c *checkpoint) set(i int, v int64) { binary.BigEndian.PutUint64(c[8*i:], uint64(v)) }

// logTime is the store time of the newest durable record in ms.
func (c *checkpoint) logTime() int64 { return c.at(0) }

// queueTime is the store time of the newest record in the queues in ms.
func (c *checkpoint) queueTime() int64 { return c.at(1) }

func (c *checkpoint) setTimes(log, queue, index int64) {
	c.set(0, max(log, c.at(0)))
	c.set(1, max(queue, c.at(1)))
	c.set(2, max(index, c.at(2)))
}

// loadCheckpoint reads the file; a missing or short one counts as zeros.
func loadCheckpoint(fsys vfs.FS, root string) (c checkpoint, err error) {
	data, err := vfs.ReadFile(fsys, filepath.Join(root, "checkpoint"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("read checkpoint: %w", err)
	}
	copy(c[:], data)
	return c, nil
}

// saveCheckpoint writes the file in place, as Java does: 40 bytes of one sector.
func saveCheckpoint(fsys vfs.FS, root string, c checkpoint) (err error) {
	name := filepath.Join(root, "checkpoint")
	f, err := fsys.Open(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		f, err = fsys.Create(name)
	}
	if err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size, err := f.Size(); err != nil || size != checkpointSize {
		if err := f.Truncate(checkpointSize); err != nil {
			return fmt.Errorf("size of checkpoint: %w", err)
		}
	}
	if _, err := f.WriteAt(c[:], 0); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := f.Datasync(); err != nil {
		return fmt.Errorf("sync checkpoint: %w", err)
	}
	if fresh {
		if err := fsys.SyncDir(root); err != nil {
			return fmt.Errorf("sync directory %s: %w", root, err)
		}
	}
	return nil
}
