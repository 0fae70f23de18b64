package pop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// A journal file, cometmq/pop.<generation>.journal:
//
//	offset  size  what
//	     0     8  "CMQPOPJ1"
//	     8     8  generation, as in the file name
//	    16     4  CRC-32C of bytes 0..15
//	    20        frames
//
// A frame is what one flush wrote:
//
//	0     1  0xC9
//	1     4  length of the payload
//	5     4  CRC-32C of generation, length and payload
//	9        payload: records
//
// A record is a kind and signed varints, see the kinds; texts are a length and bytes. Generations are applied in order; a
// snapshot replaces what is known of its shard, so that older generations can go when a newer one has all shards.
const (
	journalMagic = "CMQPOPJ1"
	journalFiles = "pop"
	frameHead    = 9
	frameMark    = 0xC9
)

// Kinds of records. All begin with the number of the shard.
const (
	recDefine  byte = 1  // group, topic, queue
	recHandOut byte = 2  // pop time, invisible, from, next-from, count, then for each the distance from the one before
	recLease   byte = 3  // index, pop time, invisible, attempt
	recSuspend byte = 4  // the same; handing out again does not count
	recAck     byte = 5  // index
	recReset   byte = 6  // index
	recForget  byte = 7  //
	recShard   byte = 8  // known, floor, next, count, then for each: distance, pop time, invisible, attempt, flags
	recOrder   byte = 9  // state as bytes, see order.go
	recDebt    byte = 10 // index, pop time, invisible, attempt
	recSettled byte = 11 // index, pop time, until
	recBorn    byte = 13 // ms of the first start; the number of the shard is 0
	recRevived byte = 14 // revive queue, how far it was read; the number of the shard is 0
	recFile    byte = 12 // digest of consumerOrderInfo.json as bytes; the number of the shard is 0
)

// maxUnwritten bounds what is kept for a journal that cannot be written. What is more is left out, and the journal is written
// anew as soon as that works.
const maxUnwritten = 32 << 20

// journal is the append-only file. Whoever flushes writes for all who appended meanwhile.
type journal struct {
	fs    vfs.FS
	dir   string
	sync  bool
	log   *slog.Logger
	feed  *tablefeed.Feed // may be nil
	dirty chan struct{}   // something waits that nobody may flush
	off   bool            // nothing is kept

	mu    sync.Mutex // guards the fields below
	buf   []byte
	seq   uint64 // bytes appended
	anew  bool   // records were left out: the journal must be written anew
	spare []byte

	turn chan struct{} // its holder may use the rest

	f       vfs.File // nil before the first write
	gen     uint64
	size    int64 // of the current file
	older   int64 // of the older ones
	pending []byte
	written uint64
	frame   []byte
}

func newJournal(fsys vfs.FS, dir string, sync bool, log *slog.Logger) *journal {
	return &journal{
		fs: fsys, dir: path.Join(dir, "cometmq"), sync: sync, log: log, dirty: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

func (j *journal) poke() {
	select {
	case j.dirty <- struct{}{}:
	default:
	}
}

// begin starts a record; end must follow.
func (j *journal) begin(kind byte, id uint64) []byte {
	return binary.AppendUvarint(append(j.open(), kind), id)
}

// open is begin for records that the caller has in full.
func (j *journal) open() []byte {
	j.mu.Lock()
	return j.buf
}

func (j *journal) end(b []byte) {
	j.feed.Add(tablefeed.Pops, b[len(j.buf):], false)
	j.endHere(b)
}

// endHere is end for records that are of no use to a slave.
func (j *journal) endHere(b []byte) {
	if j.off {
		j.buf = b[:0]
		j.mu.Unlock()
		return
	}
	n := len(b) - len(j.buf)
	first := len(j.buf) == 0
	if len(b) > maxUnwritten {
		b, j.anew = b[:0], true
	}
	j.buf = b
	j.seq += uint64(n)
	j.mu.Unlock()
	if first {
		j.poke()
	}
}

// put appends a record of up to four numbers.
func (j *journal) put(s *Shard, kind byte, w, x, y, z int64) {
	b := j.begin(kind, s.id)
	switch kind {
	case recLease, recSuspend, recDebt:
		b = binary.AppendVarint(b, w)
		b = binary.AppendVarint(b, x)
		b = binary.AppendVarint(b, y)
		b = binary.AppendVarint(b, z)
	case recAck, recReset:
		b = binary.AppendVarint(b, w)
	case recSettled:
		b = binary.AppendVarint(b, w)
		b = binary.AppendVarint(b, x)
		b = binary.AppendVarint(b, y)
	}
	j.end(b)
}

func (j *journal) putHandOut(s *Shard, l Lease, from, next int64, given []mq.Index) {
	b := j.begin(recHandOut, s.id)
	b = binary.AppendVarint(b, l.PopTime)
	b = binary.AppendVarint(b, l.Invisible)
	b = binary.AppendVarint(b, from)
	b = binary.AppendVarint(b, next-from)
	b = binary.AppendVarint(b, int64(len(given)))
	for _, at := range given {
		b = binary.AppendVarint(b, int64(at)-from)
		from = int64(at)
	}
	j.end(b)
}

func (s *Shard) define() { s.e.j.end(s.appendDefinition(s.e.j.begin(recDefine, s.id))) }

func (s *Shard) appendDefinition(b []byte) []byte {
	b = appendText(b, s.key.group)
	b = appendText(b, s.key.topic)
	return binary.AppendVarint(b, int64(s.key.queue))
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

// flush writes what was appended before it was called.
func (j *journal) flush() error {
	j.mu.Lock()
	want := j.seq
	j.mu.Unlock()
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if j.written >= want {
		return nil
	}
	return j.flushLocked()
}

func (j *journal) flushLocked() error {
	j.mu.Lock()
	taken, upto := j.buf, j.seq
	j.buf = j.spare[:0]
	j.spare = nil
	j.mu.Unlock()
	if len(j.pending) > 0 { // an earlier write failed
		j.pending = append(j.pending, taken...)
	} else {
		j.pending, taken = taken, j.pending
	}
	err := j.writePending()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if len(j.pending) > maxUnwritten {
			j.pending, j.anew = nil, true
		}
		return err
	}
	j.written = upto
	// Both buffers go on being used in turn, unless a burst made them large.
	if cap(j.pending) <= 1<<20 {
		j.spare = j.pending[:0]
	}
	j.pending = taken[:0]
	return nil
}

// writePending writes the frame of what is pending.
func (j *journal) writePending() error {
	if len(j.pending) == 0 {
		return nil
	}
	if j.f == nil {
		if err := j.start(); err != nil {
			return err
		}
	}
	seed := journalfile.SeedOf(j.gen)
	for rest := j.pending; len(rest) > 0; {
		n := min(len(rest), journalfile.MaxFrame) // a record that is cut in two is lost, which costs a second delivery at worst
		b := j.frame[:0]
		b = append(b, frameMark)
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		b = binary.BigEndian.AppendUint32(b, seed.Sum(b[1:5], rest[:n]))
		b = append(b, rest[:n]...)
		if cap(b) <= 1<<20 {
			j.frame = b
		}
		if _, err := j.f.WriteAt(b, j.size); err != nil {
			return fmt.Errorf("append to journal %s: %w", j.f.Name(), err)
		}
		j.size += int64(len(b))
		rest = rest[n:]
	}
	if j.sync {
		if err := j.f.Datasync(); err != nil {
			j.mu.Lock()
			j.anew = true // what the disk has is not known
			j.mu.Unlock()
			return fmt.Errorf("sync journal %s: %w", j.f.Name(), err)
		}
	}
	return nil
}

// start begins the next generation. The caller has the turn.
func (j *journal) start() error {
	gen := j.gen + 1
	name := j.name(gen)
	f, err := j.fs.Create(name)
	if err != nil {
		return fmt.Errorf("create journal %s: %w", name, err)
	}
	if _, err = f.WriteAt(journalfile.Head(journalMagic, gen), 0); err == nil && j.sync {
		err = j.fs.SyncDir(j.dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start journal %s: %w", name, err), f.Close())
	}
	if j.f != nil {
		if err := j.f.Close(); err != nil {
			j.log.Warn("close old journal", "file", j.f.Name(), "err", err)
		}
		j.older += j.size
	}
	j.f, j.gen, j.size = f, gen, journalfile.HeadSize
	return nil
}

// long reports whether the journal had better be written anew.
func (j *journal) long(limit int64) bool {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.anew || j.size+j.older > limit
}

// rotate starts a generation; what is appended from now on goes there.
func (j *journal) rotate() error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if err := j.flushLocked(); err != nil {
		// The snapshots that follow have all of it.
		j.mu.Lock()
		j.written, j.pending = j.seq-uint64(len(j.buf)), nil
		j.mu.Unlock()
	}
	if err := j.start(); err != nil {
		return err
	}
	j.mu.Lock()
	j.anew = false
	j.mu.Unlock()
	return nil
}

// settle makes the current generation durable and removes the older ones, which it replaces.
func (j *journal) settle() error {
	if err := j.flush(); err != nil {
		return err
	}
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if err := j.f.Datasync(); err != nil {
		return fmt.Errorf("sync journal %s: %w", j.f.Name(), err)
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return fmt.Errorf("sync folder %s: %w", j.dir, err)
	}
	gens, err := j.generations()
	if err != nil {
		return err
	}
	for _, g := range gens {
		if g == j.gen {
			continue
		}
		if err := j.fs.Remove(j.name(g)); err != nil {
			return fmt.Errorf("remove old journal: %w", err)
		}
	}
	// What follows is measured from here: a state that is large by itself is not written over and over.
	j.older = -j.size / 2
	return nil
}

func (j *journal) name(gen uint64) string {
	return path.Join(j.dir, journalfile.Name(journalFiles, gen))
}

// generations lists the files in order.
func (j *journal) generations() ([]uint64, error) {
	ents, err := j.fs.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", j.dir, err)
	}
	var gens []uint64
	for _, e := range ents {
		if g, ok := journalfile.Generation(journalFiles, e.Name()); ok {
			gens = append(gens, g)
		}
	}
	slices.Sort(gens)
	return gens, nil
}

// load applies all generations. What is damaged is left out with a line in the log: it can only make messages come twice.
func (j *journal) load(apply func(r *journalfile.Reader) error) error {
	if err := j.fs.MkdirAll(j.dir); err != nil {
		return fmt.Errorf("make folder %s: %w", j.dir, err)
	}
	gens, err := j.generations()
	if err != nil {
		return err
	}
	for _, g := range gens {
		name := j.name(g)
		data, err := vfs.ReadFile(j.fs, name)
		if err != nil {
			return fmt.Errorf("read journal %s: %w", name, err)
		}
		j.gen = g
		j.older += int64(len(data))
		j.apply(name, g, data, apply)
	}
	return nil
}

func (j *journal) apply(name string, gen uint64, data []byte, apply func(r *journalfile.Reader) error) {
	pos, good, seed := journalfile.HeadSize, journalfile.HeadSize, journalfile.SeedOf(gen)
	if len(data) < journalfile.HeadSize || string(data[:8]) != journalMagic {
		j.log.Warn("a journal of popped messages has no head: it is left out", "file", name)
		return
	}
	for pos < len(data) {
		payload, ok := parseFrame(data[pos:], seed)
		if !ok {
			pos++
			continue
		}
		if pos > good {
			j.log.Error("damaged range in a journal: what it held is skipped", "file", name, "offset", good, "size", pos-good)
		}
		r := journalfile.NewReader(payload)
		for r.More() && r.Err() == nil {
			if err := apply(&r); err != nil {
				j.log.Error("a record in a journal cannot be applied: the rest of its frame is skipped", "file", name, "offset", pos, "err", err)
				break
			}
		}
		pos += frameHead + len(payload)
		good = pos
	}
	if good < len(data) {
		j.log.Warn("torn tail of a journal is ignored", "file", name, "offset", good, "size", len(data)-good)
	}
}

func parseFrame(b []byte, seed journalfile.Seed) (payload []byte, ok bool) {
	if len(b) < frameHead || b[0] != frameMark {
		return nil, false
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > journalfile.MaxFrame || int(n) > len(b)-frameHead {
		return nil, false
	}
	payload = b[frameHead : frameHead+int(n)]
	return payload, binary.BigEndian.Uint32(b[5:]) == seed.Sum(b[1:5], payload)
}

func (j *journal) close() error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	return err
}
