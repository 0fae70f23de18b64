package storetool

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Extent is what a log holds: the places of its first message and behind its last one.
type Extent struct {
	First int64 `json:"first_offset"`
	End   int64 `json:"end_offset"`
}

// Difference is a place of the log where one of two replicas has a message that the other one does not have so.
type Difference struct {
	Offset int64  `json:"offset"` // in the log
	Here   string `json:"here,omitempty"`
	There  string `json:"there,omitempty"` // the files
	Reason string `json:"reason"`
}

// Fault is a damaged part of one replica.
type Fault struct {
	Damage
	// Whole: the other replica has all the messages that belong there. What is outside of its log is not whole.
	Whole bool `json:"whole_in_the_other"`
}

// maxDifferences is how many differences are listed; all are counted.
const maxDifferences = 100

// Comparison is the result of Verify.
type Comparison struct {
	Dir         string       `json:"dir"`
	Against     string       `json:"against"`
	Log         Extent       `json:"log"`
	Other       Extent       `json:"other_log"`
	Same        int64        `json:"same_messages"`
	Bytes       int64        `json:"same_bytes"`
	Count       int64        `json:"differences"`
	Differences []Difference `json:"first_differences,omitempty"`
	Faults      []Fault      `json:"damages,omitempty"`
	OtherFaults []Fault      `json:"other_damages,omitempty"`
}

// OK reports that neither log is damaged and that they are the same where both have messages. One may begin later, because old files
// were deleted there, or end earlier, because it was behind.
func (c *Comparison) OK() bool {
	return c.Count == 0 && len(c.Faults) == 0 && len(c.OtherFaults) == 0
}

// piece is a message of a log, or a damaged part of it.
type piece struct {
	off, size int64
	sum       uint32
	damage    *Damage
}

func (p *piece) end() int64 { return p.off + p.size }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pieces goes through a log in its order. An error is the last thing that it yields.
func pieces(ctx context.Context, fsys vfs.FS, dir string) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		stopped := false
		_, err := walk(ctx, fsys, dir, func(m *record.Message, rec []byte) error {
			if stopped || !yield(piece{off: int64(m.Offset), size: int64(len(rec)), sum: crc32.Checksum(rec, castagnoli)}, nil) {
				stopped = true
				return errEnough
			}
			return nil
		}, func(d Damage) {
			stopped = stopped || !yield(piece{off: d.Offset, size: d.Length, damage: &d}, nil)
		})
		if err != nil && !stopped {
			yield(piece{}, err)
		}
	}
}

// side is one of the two logs.
type side struct {
	dir    string
	extent Extent
	next   func() (piece, error, bool)
	close  func()
	at     piece
	more   bool
	faults []Fault
	filled int64 // up to where the other one has what belongs into the last fault, without a gap
}

// openSide stands at the first piece of a log.
func openSide(ctx context.Context, fsys vfs.FS, p Place) (*side, error) {
	s := &side{dir: p.log(), extent: Extent{First: -1}}
	s.next, s.close = iter.Pull2(pieces(ctx, fsys, s.dir))
	if err := s.advance(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *side) advance() error {
	p, err, ok := s.next()
	if err != nil {
		return err
	}
	if s.at, s.more = p, ok; !ok {
		return nil
	}
	if s.extent.First < 0 {
		s.extent.First = p.off
	}
	if s.extent.End = p.end(); p.damage != nil {
		s.faults = append(s.faults, Fault{Damage: *p.damage})
		s.filled = p.off
	}
	return nil
}

// fill notes that the other log has a message in the last fault.
func (s *side) fill(p *piece) {
	f := &s.faults[len(s.faults)-1]
	if p.off == s.filled {
		s.filled = p.end()
		f.Whole = s.filled == f.Offset+f.Length
	} else {
		f.Whole = false
	}
}

// Verify compares the logs of two replicas, message by message. No broker may run on either.
func Verify(ctx context.Context, fsys vfs.FS, p, other Place) (*Comparison, error) {
	a, err := openSide(ctx, fsys, p)
	if err != nil {
		return nil, err
	}
	defer a.close()
	b, err := openSide(ctx, fsys, other)
	if err != nil {
		return nil, err
	}
	defer b.close()
	c := &Comparison{Dir: p.Root, Against: other.Root}
	if !a.more || !b.more {
		return nil, fmt.Errorf("nothing to compare: %s", map[bool]string{true: a.dir + " has no messages", false: b.dir + " has no messages"}[!a.more])
	}
	if err := c.compare(fsys, a, b); err != nil {
		return nil, err
	}
	for _, s := range []*side{a, b} {
		for s.more {
			if err := s.advance(); err != nil {
				return nil, err
			}
		}
	}
	c.Log, c.Other, c.Faults, c.OtherFaults = a.extent, b.extent, a.faults, b.faults
	return c, nil
}

// compare goes through both logs up to the end of the shorter one.
func (c *Comparison) compare(fsys vfs.FS, a, b *side) error {
	var err error
	for err == nil && a.more && b.more {
		x, y := &a.at, &b.at
		switch {
		case x.end() <= b.extent.First: // not deleted yet here
			err = a.advance()
		case y.end() <= a.extent.First:
			err = b.advance()
		case x.damage != nil && y.end() <= x.end() && y.off >= x.off:
			if y.damage == nil {
				a.fill(y)
			}
			err = b.advance()
		case y.damage != nil && x.end() <= y.end() && x.off >= y.off:
			if x.damage == nil {
				b.fill(x)
			}
			err = a.advance()
		case x.damage != nil && x.end() <= y.off:
			err = a.advance()
		case y.damage != nil && y.end() <= x.off:
			err = b.advance()
		case x.damage == nil && y.damage == nil && x.off == y.off && x.size == y.size && x.sum == y.sum:
			c.Same++
			c.Bytes += x.size
			if err = a.advance(); err == nil {
				err = b.advance()
			}
		default:
			err = c.differ(fsys, a, b)
		}
	}
	return err
}

// differ notes a difference and steps over it.
func (c *Comparison) differ(fsys vfs.FS, a, b *side) error {
	x, y := a.at, b.at
	d := Difference{Offset: min(x.off, y.off)}
	stepA, stepB := x.off <= y.off, y.off <= x.off
	switch {
	case x.damage != nil || y.damage != nil:
		d.Reason = "a message reaches over the end of a damaged part of the other log"
	case x.off == y.off && x.size == y.size:
		d.Reason = fmt.Sprintf("two messages of %d bytes that are not the same", x.size)
	case x.off == y.off:
		d.Reason = fmt.Sprintf("a message of %d bytes here, one of %d there", x.size, y.size)
	case stepA:
		d.Reason = fmt.Sprintf("a message of %d bytes here, none begins there", x.size)
	default:
		d.Reason = fmt.Sprintf("a message of %d bytes there, none begins here", y.size)
	}
	if c.Count++; len(c.Differences) < maxDifferences {
		d.Here, d.There = fileAt(fsys, a.dir, d.Offset), fileAt(fsys, b.dir, d.Offset)
		c.Differences = append(c.Differences, d)
	}
	if stepA {
		if err := a.advance(); err != nil {
			return err
		}
	}
	if stepB {
		return b.advance()
	}
	return nil
}

// fileAt returns the file of a log that has a place, "" when there is none.
func fileAt(fsys vfs.FS, dir string, off int64) string {
	files, err := logFiles(fsys, dir)
	if err != nil {
		return ""
	}
	for _, lf := range files {
		if off >= lf.base && off < lf.base+lf.size {
			return lf.name
		}
	}
	return ""
}

// ErrNotAlike says that a log cannot be repaired from another one that differs from it.
var ErrNotAlike = errors.New("the logs differ: it cannot be told which of them is right")

// Repair writes into the damaged parts of p's log what the log of other has there, durably, as far as that is whole, and tells of each. c is
// what Verify has found. Nothing is written when the two logs are not the same elsewhere. The store is locked meanwhile.
func Repair(ctx context.Context, fsys vfs.FS, p, other Place, c *Comparison, repaired func(Damage)) error {
	if c.Count > 0 {
		return ErrNotAlike
	}
	lock, err := fsys.Lock(filepath.Join(p.Root, "lock"))
	if err != nil {
		return fmt.Errorf("a broker may be running: %w", err)
	}
	defer func() { _ = lock.Close() }()
	for i := range c.Faults {
		f := &c.Faults[i]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !f.Whole {
			continue
		}
		if err := copyPart(fsys, p.log(), other.log(), f.Offset, f.Length); err != nil {
			return fmt.Errorf("repair %s at log offset %d: %w", f.File, f.Offset, err)
		}
		repaired(f.Damage)
	}
	return nil
}

// copyPart copies whole messages from one log into another, where they stand in one file each. They are checked once more.
func copyPart(fsys vfs.FS, to, from string, off, size int64) error {
	src, err := openAt(fsys, from, off, size)
	if err != nil {
		return err
	}
	defer func() { _ = src.f.Close() }()
	dst, err := openAt(fsys, to, off, size)
	if err != nil {
		return err
	}
	defer func() { _ = dst.f.Close() }()
	var m record.Message
	for pos := off; pos < off+size; {
		rec, err := src.record(pos-src.base, &m)
		if err != nil {
			return err
		}
		if pos+int64(len(rec)) > off+size {
			return &unreadable{"the message is longer than the damaged part"}
		}
		if _, err := dst.f.WriteAt(rec, pos-dst.base); err != nil {
			return err
		}
		pos += int64(len(rec))
	}
	return dst.f.Sync()
}

// openAt opens the file of a log that has a part of it.
func openAt(fsys vfs.FS, dir string, off, size int64) (*window, error) {
	files, err := logFiles(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, lf := range files {
		if off < lf.base || off+size > lf.base+lf.size {
			continue
		}
		f, err := fsys.Open(lf.name)
		if err != nil {
			return nil, err
		}
		return &window{f: f, base: lf.base, size: lf.size}, nil
	}
	return nil, fmt.Errorf("no file of %s has the %d bytes from log offset %d on", dir, size, off)
}
