package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// mark says how far queues and index are written. It bounds recovery: only the log behind it is walked.
//
// The file <root>/cometmq/dispatch has three slots, each in a page of its own:
//
//	   0  written   all units and index entries of records before queues have been written; true as long as the
//	                operating system runs (same boot id). Not synced.
//	4096  synced 0  the same, and they are on disk; true for ever. The two are written in turn and synced, so that one
//	8192  synced 1  of them is whole at every moment.
//
// A slot:
//
//	 0  8  "CMQMARK1"
//	 8  8  generation, the newest wins
//	16 40  boot id, zero-padded
//	56  8  queues   log offset, start of a record or end of the log
//	64  8  log      the log before it is on disk
//	72  8  last     start of the last record before queues, -1 unknown, -2 queue files may have units behind queues
//	80 48  Java's checkpoint before this mark
//	128 48 Java's checkpoint with this mark
//	176 4  CRC-32 of the 176 bytes before
//
// When Java's checkpoint is neither of the two, Java has run in between and the mark says nothing.
type mark struct {
	gen    uint64
	boot   [40]byte
	queues record.Offset
	log    record.Offset
	last   record.Offset
	before checkpoint
	with   checkpoint

	synced bool // what it covers is on disk
}

const (
	markMagic = "CMQMARK1"
	markLen   = 180
	markPage  = 4096
	ownDir    = "cometmq"
	markName  = "dispatch"

	unclean record.Offset = -2 // see mark.last
)

func (m *mark) encode() []byte {
	b := make([]byte, 0, markLen)
	b = append(b, markMagic...)
	b = binary.BigEndian.AppendUint64(b, m.gen)
	b = append(b, m.boot[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.queues))
	b = binary.BigEndian.AppendUint64(b, uint64(m.log))
	b = binary.BigEndian.AppendUint64(b, uint64(m.last))
	b = append(b, m.before[:]...)
	b = append(b, m.with[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func (m *mark) decode(b []byte) bool {
	if len(b) < markLen || string(b[:8]) != markMagic ||
		crc32.ChecksumIEEE(b[:markLen-4]) != binary.BigEndian.Uint32(b[markLen-4:]) {
		return false
	}
	m.gen = binary.BigEndian.Uint64(b[8:])
	copy(m.boot[:], b[16:])
	m.queues = record.Offset(binary.BigEndian.Uint64(b[56:]))
	m.log = record.Offset(binary.BigEndian.Uint64(b[64:]))
	m.last = record.Offset(binary.BigEndian.Uint64(b[72:]))
	copy(m.before[:], b[80:])
	copy(m.with[:], b[128:])
	return m.queues >= 0 && m.log >= 0
}

// marks is the open file of marks. The keeper is its only user after Open.
type marks struct {
	f    vfs.File
	gen  uint64
	boot [40]byte
	slot int64 // of the next synced mark
}

// openMarks opens or makes the file and returns the newest mark that still holds, nil when there is none. sameBoot: what
// was written is there even if it was not synced.
func openMarks(fsys vfs.FS, root string) (ms *marks, found *mark, sameBoot bool, err error) {
	dir := filepath.Join(root, ownDir)
	if err = fsys.MkdirAll(dir); err != nil {
		return nil, nil, false, fmt.Errorf("make %s: %w", dir, err)
	}
	ms = &marks{slot: 1}
	copy(ms.boot[:], fsys.BootID())
	path := filepath.Join(dir, markName)
	ms.f, err = fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if ms.f, err = fsys.Create(path); err != nil {
			return nil, nil, false, fmt.Errorf("make marks: %w", err)
		}
		for _, d := range []string{dir, root} {
			if err = fsys.SyncDir(d); err != nil {
				return nil, nil, false, errors.Join(fmt.Errorf("sync directory %s: %w", d, err), ms.f.Close())
			}
		}
		return ms, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, fmt.Errorf("open marks: %w", err)
	}
	data, err := vfs.ReadFile(fsys, path)
	if err != nil {
		return nil, nil, false, errors.Join(fmt.Errorf("read marks: %w", err), ms.f.Close())
	}
	for slot := range 3 {
		var m mark
		if len(data) < slot*markPage || !m.decode(data[slot*markPage:]) {
			continue
		}
		ms.gen = max(ms.gen, m.gen)
		same := m.boot == ms.boot && ms.boot != [40]byte{}
		if slot == 0 && !same || found != nil && m.gen < found.gen {
			continue
		}
		m.synced = slot > 0
		found, sameBoot = &m, same
		if slot > 0 {
			ms.slot = int64(3 - slot)
		}
	}
	return ms, found, sameBoot, nil
}

// write puts down m; synced says that all it covers is on disk.
func (ms *marks) write(m *mark, synced bool) error {
	ms.gen++
	m.gen, m.boot = ms.gen, ms.boot
	at := int64(0)
	if synced {
		at = ms.slot * markPage
		ms.slot = 3 - ms.slot
	}
	if _, err := ms.f.WriteAt(m.encode(), at); err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	if !synced {
		return nil
	}
	if err := ms.f.Datasync(); err != nil {
		return fmt.Errorf("sync mark: %w", err)
	}
	return nil
}
