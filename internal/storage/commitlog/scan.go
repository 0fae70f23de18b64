package commitlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/segment"
)

const (
	minRecord = record.MinSize
	// keepScratch is how much memory a scanner keeps between records that cross blocks.
	keepScratch = 1 << 20
)

// Scanner walks the records of the log. It is for one goroutine; Close it.
type Scanner struct {
	Msg     record.Message // the current record; its slices are valid until the next call
	Offset  record.Offset
	Size    int
	Damaged bool // the body does not match its checksum, but the record stands where it should and has its parts

	Holes int // places without a valid record that were stepped over so far

	l     *Log
	rd    segment.Reader
	pos   int64
	crc   bool
	floor int64 // bad bytes before it are never the end of the log
	open  bool  // the end is to be found: a bad place with nothing valid behind it is the end
	first bool  // with open: any bad place at or behind floor is the end
	// nextGood is the next valid record behind a bad place, -1 none, 0 not searched. Valid while pos <= nextGood.
	nextGood int64
	limit    int64 // of the running call of Next, 0 outside of it: nothing behind it is looked at
	err      error
}

// Scan returns a scanner that starts at from, which must be the start of a record (or of a hole).
func (l *Log) Scan(from record.Offset) *Scanner {
	return &Scanner{l: l, rd: l.set.Reader(), pos: int64(from)}
}

// Pos returns where the next record is looked for.
func (s *Scanner) Pos() record.Offset { return record.Offset(s.pos) }

// Err returns why the last Next returned false, nil at the end.
func (s *Scanner) Err() error { return s.err }

// Rewind makes the next call of Next return the current record again.
func (s *Scanner) Rewind() { s.pos = int64(s.Offset) }

// Close lets go of memory. The scanner can go on afterwards.
func (s *Scanner) Close() {
	s.rd.Close()
	s.rd.Shrink(keepScratch)
}

// what is at a place in the log
type found uint8

const (
	foundBad found = iota
	foundRecord
	foundDamaged
	foundBlank
)

var errCannotBe = errors.New("no record here")

// Next goes to the next record that starts before end. Holes are reported to the log and stepped over.
func (s *Scanner) Next(end record.Offset) bool {
	limit := int64(end)
	s.limit = limit
	defer func() { s.limit = 0 }()
	for s.pos < limit {
		f := s.l.set.Find(s.pos)
		if f == nil {
			if first := s.l.set.Min(); s.pos < first {
				s.pos = first // deleted before it was looked at
				continue
			}
			s.err = ErrGone
			return false
		}
		n, what, err := s.at(s.pos, f.End(), s.crc)
		if err != nil {
			s.err = err
			return false
		}
		switch what {
		case foundBlank:
			s.pos = f.End()
			continue
		case foundRecord:
			s.Offset, s.Size, s.Damaged = record.Offset(s.pos), n, false
			s.pos += int64(n)
			return true
		case foundDamaged, foundBad:
		}
		if s.open && s.first && s.pos >= s.floor {
			return false
		}
		next, err := s.good(s.pos+max(int64(n), 1), limit)
		if err != nil {
			s.err = err
			return false
		}
		if s.open && next < 0 {
			if s.pos >= s.floor {
				return false // the torn or empty end
			}
			next = s.floor
		}
		if what == foundDamaged {
			s.l.holes.add(s.hole(f, s.pos, s.pos+int64(n), "checksum does not match"))
			// The search has put another record into Msg.
			if n, _, err = s.at(s.pos, f.End(), s.crc); err != nil {
				s.err = err
				return false
			}
			s.Offset, s.Size, s.Damaged = record.Offset(s.pos), n, true
			s.pos += int64(n)
			return true
		}
		if next < 0 {
			next, s.nextGood = limit, 0 // there may be one when the log has grown
		}
		s.l.holes.add(s.hole(f, s.pos, next, "no valid record"))
		s.Holes++
		s.pos = next
	}
	return false
}

func (s *Scanner) hole(f *segment.File, from, to int64, why string) Hole {
	return Hole{File: f.Path(), At: from - f.Base(), From: record.Offset(from), To: record.Offset(to), Why: why}
}

// at looks at pos. n is the size of a record or, for foundBad, 0. The error is one of reading.
func (s *Scanner) at(pos, fileEnd int64, crc bool) (n int, what found, err error) {
	left := fileEnd - pos
	if left < blankLen {
		return 0, foundBlank, nil // Java never gets here; nothing can start in so little room
	}
	if s.limit > 0 && s.limit-pos < blankLen {
		return 0, foundBad, nil // a piece of a hole
	}
	p, err := s.rd.Head(pos, int(min(left, 1<<30)))
	if err != nil {
		return 0, foundBad, err
	}
	if len(p) < blankLen {
		if p, err = s.rd.View(pos, blankLen); err != nil {
			return 0, foundBad, err
		}
	}
	size, magic := int64(binary.BigEndian.Uint32(p)), binary.BigEndian.Uint32(p[4:])
	switch {
	case magic == record.MagicBlank && size == left:
		return 0, foundBlank, nil
	case magic != record.MagicV1 && magic != record.MagicV2, size < minRecord, size > left, s.limit > 0 && pos+size > s.limit:
		return 0, foundBad, nil
	}
	if int64(len(p)) < size {
		if size > keepScratch {
			if ok, perr := s.plausible(pos, size); perr != nil || !ok {
				return 0, foundBad, perr
			}
		}
		if p, err = s.rd.View(pos, int(size)); err != nil {
			return 0, foundBad, err
		}
	}
	n, what = s.parse(p[:size], pos, crc)
	return n, what, nil
}

// parse takes the bytes at pos for a record.
func (s *Scanner) parse(p []byte, pos int64, crc bool) (n int, what found) {
	n, err := record.Decode(p, &s.Msg, crc)
	what = foundRecord
	if errors.Is(err, record.ErrCRC) || crc && errors.Is(record.VerifyCRC(p), record.ErrCRC) {
		what, err = foundDamaged, nil
	}
	if err != nil || n != len(p) || int64(s.Msg.Offset) != pos {
		return 0, foundBad
	}
	if s.open && pos+int64(n) > s.floor && (bytes.IndexByte(s.Msg.Topic, 0) >= 0 || bytes.IndexByte(s.Msg.Props, 0) >= 0) {
		// No checksum covers these. What a power cut did not get to disk is zero, which no writer puts there.
		return 0, foundBad
	}
	return n, what
}

// plausible reports whether the parts of the record at pos add up to size, before memory is taken for it.
func (s *Scanner) plausible(pos, size int64) (bool, error) {
	p, err := s.rd.View(pos, record.FixedSize)
	if err != nil {
		return false, err
	}
	h, _ := record.Header(p) // the sum below fails when it is none
	if int64(h.Size) != size || h.BodyAt == 0 {
		return false, nil
	}
	at := int64(h.BodyAt) + int64(h.BodyLen)
	if p, err = s.rd.View(pos+at, 2); err != nil {
		return false, err
	}
	if h.Magic == record.MagicV2 {
		at += 2 + int64(int16(binary.BigEndian.Uint16(p)))
	} else {
		at += 1 + int64(int8(p[0]))
	}
	if at < 0 || at+2 > size {
		return false, nil
	}
	if p, err = s.rd.View(pos+at, 2); err != nil {
		return false, err
	}
	return at+2+int64(int16(binary.BigEndian.Uint16(p))) == size, nil
}

// magicPrefix starts both magic numbers of a record.
var magicPrefix = []byte{0xDA, 0xA3, 0x20}

// good returns the first valid record that starts in [from, limit), -1 when there is none.
func (s *Scanner) good(from, limit int64) (int64, error) {
	if s.nextGood < 0 || s.nextGood >= from {
		return s.nextGood, nil
	}
	at, err := s.search(from, limit)
	if err == nil {
		s.nextGood = at
	}
	return at, err
}

func (s *Scanner) search(from, limit int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for {
		at, err := s.l.set.NextData(from)
		if err != nil {
			return 0, err
		}
		// The first byte of a record may be zero: its size is big-endian.
		from = max(from, at-3)
		if from >= limit {
			return -1, nil
		}
		f := s.l.set.Find(from)
		if f == nil {
			return -1, nil
		}
		p := buf[:min(int64(len(buf)), f.End()-from, limit-from)]
		if len(p) < minRecord {
			if from+int64(len(p)) >= limit {
				return -1, nil
			}
			from = f.End()
			continue
		}
		if err := s.l.set.ReadSmall(p, from); err != nil {
			return 0, fmt.Errorf("search for a record: %w", err)
		}
		for i := 4; ; i++ {
			k := bytes.Index(p[i:], magicPrefix)
			if k < 0 {
				break
			}
			i += k
			pos := from + int64(i) - 4
			if pos >= limit {
				return -1, nil
			}
			_, what, err := s.at(pos, f.End(), true)
			if err != nil {
				return 0, err
			}
			if what == foundRecord {
				return pos, nil
			}
		}
		if from+int64(len(p)) >= limit {
			return -1, nil
		}
		if from+int64(len(p)) >= f.End() {
			from = f.End()
		} else {
			from += int64(len(p)) - 7 // a magic number may lie across the border
		}
	}
}

// check says what is wrong with the record that a queue says is at off, nil when nothing is.
func check(p []byte, off record.Offset) error {
	if len(p) < minRecord {
		return errCannotBe
	}
	size, magic := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	if magic != record.MagicV1 && magic != record.MagicV2 {
		return fmt.Errorf("%w: magic %#08x", errCannotBe, magic)
	}
	if int64(size) != int64(len(p)) {
		return fmt.Errorf("%w: size %d, the queue says %d", errCannotBe, size, len(p))
	}
	if at := record.Offset(binary.BigEndian.Uint64(p[28:])); at != off {
		return fmt.Errorf("%w: it says that it is at %d", errCannotBe, at)
	}
	return nil
}
