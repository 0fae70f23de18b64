package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// checkpoint is the used part of Java's file of that name: six 64-bit numbers. The first five are in storage spec 6.1;
// 5.5.0 added the log offset of the newest record in the flushed queues and begins its recovery there.
type checkpoint [48]byte

const checkpointSize = 4096

func (c *checkpoint) at(i int) int64     { return int64(binary.BigEndian.Uint64(c[8*i:])) }
func (c *checkpoint) set(i int, v int64) { binary.BigEndian.PutUint64(c[8*i:], uint64(v)) }

// logTime is the store time of the newest durable record in ms.
func (c *checkpoint) logTime() int64 { return c.at(0) }

// queueTime is the store time of the newest record in the queues in ms.
func (c *checkpoint) queueTime() int64 { return c.at(1) }

// reach says how far log, queues and index are durable: store times of their newest records, and where the newest one
// in the queues is. No number goes back.
func (c *checkpoint) reach(logMs, queueMs, indexMs int64, last record.Offset) {
	c.set(0, max(logMs, c.at(0)))
	c.set(1, max(queueMs, c.at(1)))
	c.set(2, max(indexMs, c.at(2)))
	c.set(5, max(int64(last), c.at(5)))
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

// saveCheckpoint writes the file in place, as Java does: 48 bytes of one sector.
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
