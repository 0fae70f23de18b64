package compaction

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strconv"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Positions is up to where the keys of each queue were compared, Java's compaction/position-checkpoint. It is for one goroutine. If it is
// lost, keys are compared again.
type Positions struct {
	fs   vfs.FS
	path string
	at   map[string]int64
}

type positionsFile struct {
	Empty bool             `json:"empty"`
	Table map[string]int64 `json:"queueOffsetMap"`
}

// OpenPositions reads the file in dir, if there is one.
func OpenPositions(fsys vfs.FS, dir string) (*Positions, error) {
	p := &Positions{fs: fsys, path: filepath.Join(dir, "position-checkpoint"), at: map[string]int64{}}
	text, err := vfs.ReadFile(fsys, p.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.path, err)
	}
	var f positionsFile
	if json.Unmarshal(text, &f) == nil {
		maps.Copy(p.at, f.Table)
	}
	return p, nil
}

func positionKey(topic string, queue int32) string { return topic + "_" + strconv.Itoa(int(queue)) }

// Get returns the position of a queue, -1 when nothing was compared yet.
func (p *Positions) Get(topic string, queue int32) record.Index {
	if at, ok := p.at[positionKey(topic, queue)]; ok {
		return record.Index(at)
	}
	return -1
}

// Set notes the position of a queue, -1 to forget it, and writes the file.
func (p *Positions) Set(topic string, queue int32, at record.Index) error {
	if at < 0 {
		delete(p.at, positionKey(topic, queue))
	} else {
		p.at[positionKey(topic, queue)] = int64(at)
	}
	text, err := json.Marshal(positionsFile{Empty: len(p.at) == 0, Table: p.at}) // keys are sorted
	if err != nil {
		return err
	}
	if err = p.fs.MkdirAll(filepath.Dir(p.path)); err != nil {
		return fmt.Errorf("make directory of %s: %w", p.path, err)
	}
	f, err := p.fs.Create(p.path + ".tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	_, err = f.WriteAt(text, 0)
	if err = errors.Join(err, f.Datasync(), f.Close()); err == nil {
		err = p.fs.Rename(p.path+".tmp", p.path)
	}
	if err == nil {
		err = p.fs.SyncDir(filepath.Dir(p.path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	return nil
}
