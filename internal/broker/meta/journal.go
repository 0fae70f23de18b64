package meta

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/vfs"
)

// A journal file:
//
//	offset  size  what
//	     0     8  "CMQJRNL1"
//	     8     8  generation, as in the file name
//	    16     4  CRC-32C of bytes 0..15
//	    20        frames
//
// A frame:
//
//	 0     1  0xC7
//	 1     1  kind
//	 2     4  length of the payload
//	 6     4  CRC-32C of generation, kind, length and payload
//	10        payload
//
// The generation in the CRC keeps a frame of another file, left behind by a crash, from looking valid. All integers are
// big-endian.
const (
	journalMagic = "CMQJRNL1"
	frameHead    = 10
	frameMark    = 0xC7
)

// Frame kinds.
const (
	// frameData holds records of the table; the ledger does not look inside.
	frameData byte = 1
	// frameBase holds the digest of a JSON text that contains everything of all earlier generations.
	frameBase byte = 2
	// frameStat holds digest and modification time of the JSON as it is on disk.
	frameStat byte = 3
)

// journal is one open journal file. It is written by one goroutine at a time.
type journal struct {
	f       vfs.File
	gen     uint64
	seed    journalfile.Seed
	size    int64
	scratch []byte
	// failed is the error of a sync: what the file holds is unknown from then on (style.md 4: never retry an fsync).
	failed error
}

// createJournal makes the file of generation gen, empty but for its head.
func createJournal(fsys vfs.FS, path string, gen uint64) (*journal, error) {
	f, err := fsys.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create journal %s: %w", path, err)
	}
	j := &journal{f: f, gen: gen, seed: journalfile.SeedOf(gen)}
	if _, err := f.WriteAt(journalfile.Head(journalMagic, gen), 0); err != nil {
		return nil, fmt.Errorf("write head of journal %s: %w", path, errors.Join(err, f.Close()))
	}
	j.size = journalfile.HeadSize
	return j, nil
}

// append writes one frame. After an error nothing of it counts: the next frame goes to the same place.
func (j *journal) append(kind byte, payload []byte) error {
	if j.failed != nil {
		return fmt.Errorf("journal %s: an earlier sync failed: %w", j.f.Name(), j.failed)
	}
	if len(payload) > journalfile.MaxFrame {
		return fmt.Errorf("journal %s: frame of %d bytes, at most %d", j.f.Name(), len(payload), journalfile.MaxFrame)
	}
	b := j.scratch[:0]
	b = append(b, frameMark, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.BigEndian.AppendUint32(b, j.seed.Sum(b[1:6], payload))
	b = append(b, payload...)
	if cap(b) <= 1<<20 {
		j.scratch = b
	}
	if _, err := j.f.WriteAt(b, j.size); err != nil {
		return fmt.Errorf("append to journal %s: %w", j.f.Name(), err)
	}
	j.size += int64(len(b))
	return nil
}

func (j *journal) sync() error {
	if j.failed != nil {
		return j.failed
	}
	if err := j.f.Datasync(); err != nil {
		j.failed = err
		return fmt.Errorf("sync journal %s: %w", j.f.Name(), err)
	}
	return nil
}

// frame is one decoded frame; payload aliases the file's bytes.
type frame struct {
	kind    byte
	payload []byte
}

// scanResult is what scanJournal found besides the frames.
type scanResult struct {
	holes [][2]int // damaged ranges that have valid frames behind them
	torn  int      // bytes after the last valid frame
}

// errJournalVersion is a journal that a newer program wrote.
var errJournalVersion = errors.New("journal of an unknown version")

// scanJournal decodes data, the content of the file of generation gen. Damaged ranges are skipped and reported: records are
// absolute values, so what follows a hole is still right.
func scanJournal(data []byte, gen uint64) ([]frame, scanResult, error) {
	var res scanResult
	if len(data) < journalfile.HeadSize {
		res.torn = len(data)
		return nil, res, nil
	}
	if h := data[:journalfile.HeadSize]; journalfile.HeadIntact(h) {
		if string(h[:8]) != journalMagic {
			return nil, res, fmt.Errorf("%w %q", errJournalVersion, h[:8])
		}
	} else {
		res.holes = append(res.holes, [2]int{0, journalfile.HeadSize})
	}
	var frames []frame
	pos, seed := journalfile.HeadSize, journalfile.SeedOf(gen)
	for pos < len(data) {
		fr, n := parseFrame(data[pos:], seed)
		if n > 0 {
			frames = append(frames, fr)
			pos += n
			continue
		}
		next := pos + 1
		for next < len(data) {
			if _, n = parseFrame(data[next:], seed); n > 0 {
				break
			}
			next++
		}
		if next == len(data) {
			res.torn = len(data) - pos
			break
		}
		res.holes = append(res.holes, [2]int{pos, next})
		pos = next
	}
	return frames, res, nil
}

// parseFrame decodes the frame at the start of b; n = 0 when there is none.
func parseFrame(b []byte, seed journalfile.Seed) (fr frame, n int) {
	if len(b) < frameHead || b[0] != frameMark {
		return fr, 0
	}
	size := binary.BigEndian.Uint32(b[2:])
	if size > journalfile.MaxFrame || int(size) > len(b)-frameHead {
		return fr, 0
	}
	payload := b[frameHead : frameHead+int(size)]
	if binary.BigEndian.Uint32(b[6:]) != seed.Sum(b[1:6], payload) {
		return fr, 0
	}
	return frame{kind: b[1], payload: payload}, frameHead + int(size)
}

func appendBytes[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}
