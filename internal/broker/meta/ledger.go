package meta

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/vfs"
)

// ledger keeps one table on disk: Java's JSON text, its .bak and a chain of journal generations.
//
// A generation may carry a base frame: the digest of a JSON text that holds everything of all earlier generations (and maybe
// a part of this one; records are absolute values, so applying them again in order changes nothing). To load: take the JSON,
// find the newest generation with its digest as base, apply that generation and all later ones. Then
//
//	fold, step            on disk afterwards                              a crash here loads
//	0 (before)            X=base(B)  X.bak=base(A)  journals A..B         X + B
//	1 start generation C  the same, C without base                        X + B + C
//	2 base frame in C     the same, C with base                           X + B + C
//	3 replace X           X=base(C)  X.bak=base(B)  journals A..C         X + C
//	4 remove A..B-1       journals B..C                                   X + C
//
// and at any time, when X is damaged, X.bak and one more generation give the same state. X with an unknown digest was
// written by Java or by hand: it is taken as it is and no journal is applied. The exception is a text that changed while
// its modification time did not (the stat frame has it): that is a decayed disk, and X counts as damaged.
//
// The turn token serialises writes to the journal and waits for the disk, so it is a channel and not a mutex. Lock order:
// folding, turn, then the table's own mutexes.
type ledger struct {
	fs   vfs.FS
	log  *slog.Logger
	json string // Java's file
	dir  string // the folder of the journals
	name string // their common name
	// durable tables sync the journal before a fold starts a new generation, others after it.
	durable bool

	// drain appends the records that no journal has yet to dst; upto is the table's sequence number that they reach.
	drain func(dst []byte) (out []byte, upto uint64)
	// snapshot copies the table; the function that it returns makes the JSON text and is called without the turn.
	snapshot func() func() []byte

	// feed tells slaves what is drained; may be nil. urgent: at once.
	feed   *tablefeed.Feed
	source tablefeed.Source
	urgent bool

	folding chan struct{}
	turn    chan struct{}

	// The rest belongs to the holder of turn.
	cur       *journal
	gen       uint64 // newest generation that was ever on disk
	baseGen   uint64 // the generation to start from for the JSON on disk, 0 = none yet
	base      digest // base of the first generation to be started, when it does not continue a chain
	chained   bool   // the loaded state includes journals: the next generation continues them
	fresh     bool   // cur was started by a fold that did not finish
	damaged   bool   // the JSON on disk is damaged and must not become .bak
	unwritten []byte // records drained but not in a journal yet
	told      int    // how much of that the feed has
	drained   uint64
	written   uint64 // in the page cache
	synced    uint64 // on disk
	behind    error  // too much could not be written: only a fold makes the disk right again
}

// maxUnwritten bounds what a ledger keeps for a journal that cannot be written.
const maxUnwritten = 4 << 20

// digest identifies a JSON text; zero is the absent file.
type digest [16]byte

func digestOf(data []byte) (d digest) {
	s := sha256.Sum256(data)
	copy(d[:], s[:])
	return d
}

// CorruptError is a file that cannot be read as what it should be.
type CorruptError struct {
	File string
	Err  error // says where and why
}

// Error names the file and the place.
func (e *CorruptError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

func newLedger(fsys vfs.FS, root, json, name string, log *slog.Logger) *ledger {
	return &ledger{
		fs: fsys, log: log, json: path.Join(root, "config", json), dir: path.Join(root, "cometmq"), name: name,
		folding: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

// follow makes the ledger tell feed what is drained from now on.
func (l *ledger) follow(feed *tablefeed.Feed, source tablefeed.Source, urgent bool) {
	l.feed, l.source, l.urgent = feed, source, urgent
}

func (l *ledger) lock()   { l.turn <- struct{}{} }
func (l *ledger) unlock() { <-l.turn }

// generation is one journal file as found at load.
type generation struct {
	gen    uint64
	file   string
	frames []frame
}

// load restores the table. decode replaces the whole table by a JSON text (nil = empty table) and changes nothing when it
// fails; replay applies the records of one frame.
func (l *ledger) load(decode, replay func([]byte) error) error {
	for _, d := range []string{path.Dir(l.json), l.dir} {
		if err := makeDir(l.fs, d); err != nil {
			return err
		}
	}
	gens, err := l.readJournals()
	if err != nil {
		return err
	}
	from, err := l.choose(gens, decode)
	if err != nil {
		return err
	}
	if err := l.settle(gens); err != nil {
		return err
	}
	if from < 0 {
		if hasData(gens) {
			l.log.Warn("a file was written by another program since the journal: the journal is dropped", "file", l.json, "journal", l.name)
		}
		return nil
	}
	l.chained, l.baseGen = true, gens[from].gen
	for i := from; i < len(gens); i++ {
		if i > from && gens[i].gen != gens[i-1].gen+1 {
			l.log.Error("generations of a journal are missing: what they held is skipped", "file", gens[i].file, "after", gens[i-1].file)
		}
		for _, fr := range gens[i].frames {
			if fr.kind != frameData {
				continue
			}
			if err := replay(fr.payload); err != nil {
				return &CorruptError{File: gens[i].file, Err: fmt.Errorf("apply a record: %w", err)}
			}
		}
	}
	return nil
}

// settle makes durable what a killed process may have left in the page cache. From now on others build on it: a topic
// that is found is told to clients and not written again.
func (l *ledger) settle(gens []generation) error {
	for _, g := range gens {
		f, err := l.fs.Open(g.file)
		if err != nil {
			return fmt.Errorf("open journal: %w", err)
		}
		if err := errors.Join(f.Datasync(), f.Close()); err != nil {
			return fmt.Errorf("sync journal %s: %w", g.file, err)
		}
	}
	if err := l.fs.SyncDir(path.Dir(l.json)); err != nil {
		return fmt.Errorf("sync folder %s: %w", path.Dir(l.json), err)
	}
	return l.syncDir()
}

// makeDir makes a folder whose name survives a power cut, also when a process made it that was killed right then.
func makeDir(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("make folder %s: %w", dir, err)
	}
	if err := fsys.SyncDir(path.Dir(dir)); err != nil {
		return fmt.Errorf("sync folder %s: %w", path.Dir(dir), err)
	}
	return nil
}

// choose decodes the best text there is and returns the index of the generation to start from, -1 for none.
func (l *ledger) choose(gens []generation, decode func([]byte) error) (from int, err error) {
	main, mainErr := l.try(l.json, decode)
	if mainErr == nil && main != (digest{}) {
		if from = find(gens, main); from >= 0 {
			return from, nil
		}
		if !l.decayed(gens, main) {
			l.base = main
			return -1, nil
		}
		mainErr = &CorruptError{File: l.json, Err: errors.New("the content changed while the modification time did not")}
	}
	bak, bakErr := l.try(l.json+".bak", decode)
	l.damaged = mainErr != nil
	if bakErr == nil && bak != (digest{}) {
		from = find(gens, bak)
		if l.base = bak; from < 0 && l.damaged {
			l.log.Error("damaged file, its .bak is used without a journal: the last changes may be missing", "file", l.json, "err", mainErr)
		} else if l.damaged {
			l.log.Error("damaged file, restored from its .bak and the journal", "file", l.json, "err", mainErr)
		}
		return from, nil
	}
	// Neither text: a table that was never folded is complete in its journal.
	if from = find(gens, digest{}); from >= 0 {
		if l.damaged || bakErr != nil {
			l.log.Error("damaged file, restored from the journal alone", "file", l.json, "err", errors.Join(mainErr, bakErr))
		}
		return from, decode(nil)
	}
	if l.damaged && bakErr == nil {
		bakErr = &CorruptError{File: l.json + ".bak", Err: fs.ErrNotExist}
	}
	if err := errors.Join(mainErr, bakErr); err != nil {
		return -1, fmt.Errorf("no usable copy of %s (restore one of the two files, or move both and %s/%s.*%s away to start empty): %w",
			path.Base(l.json), l.dir, l.name, journalfile.Suffix, err)
	}
	if file := based(gens); file != "" {
		return -1, &CorruptError{File: l.json, Err: fmt.Errorf("missing together with its .bak, but %s belongs to it: restore one of the two files, or move %s/%s.*%s away too to start empty",
			file, l.dir, l.name, journalfile.Suffix)}
	}
	return -1, decode(nil)
}

// based returns a journal that saw the JSON file on disk, "" when there is none. A base frame alone does not say so: it is
// written before the file.
func based(gens []generation) string {
	for _, g := range slices.Backward(gens) {
		for _, fr := range g.frames {
			if fr.kind == frameStat {
				return g.file
			}
		}
	}
	return ""
}

// try reads and decodes one file; the zero digest means that it does not exist.
func (l *ledger) try(file string, decode func([]byte) error) (digest, error) {
	data, err := vfs.ReadFile(l.fs, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return digest{}, nil
	case err != nil:
		return digest{}, &CorruptError{File: file, Err: err}
	case len(data) == 0:
		return digest{}, &CorruptError{File: file, Err: errors.New("empty")}
	}
	if err := decode(data); err != nil {
		return digest{}, &CorruptError{File: file, Err: err}
	}
	return digestOf(data), nil
}

// readJournals returns the generations on disk in order.
func (l *ledger) readJournals() ([]generation, error) {
	ents, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.dir, err)
	}
	var gens []generation
	for _, e := range ents {
		if g, ok := journalfile.Generation(l.name, e.Name()); ok {
			gens = append(gens, generation{gen: g, file: path.Join(l.dir, e.Name())})
		}
	}
	slices.SortFunc(gens, func(a, b generation) int {
		if a.gen < b.gen {
			return -1
		}
		return 1
	})
	for i := range gens {
		g := &gens[i]
		data, err := vfs.ReadFile(l.fs, g.file)
		if err != nil {
			return nil, fmt.Errorf("read journal %s: %w", g.file, err)
		}
		var res scanResult
		if g.frames, res, err = scanJournal(data, g.gen); err != nil {
			return nil, &CorruptError{File: g.file, Err: err}
		}
		for _, h := range res.holes {
			l.log.Error("damaged range in a journal: what it held is skipped", "file", g.file, "offset", h[0], "size", h[1]-h[0])
		}
		if res.torn > 0 {
			l.log.Warn("torn tail of a journal is ignored", "file", g.file, "offset", len(data)-res.torn, "size", res.torn)
		}
		l.gen = g.gen
	}
	return gens, nil
}

// find returns the index of the newest generation with base d, -1 for none. A stat frame says the same as the base frame
// that went before it.
func find(gens []generation, d digest) int {
	for i, g := range slices.Backward(gens) {
		for _, fr := range g.frames {
			if (fr.kind == frameBase || fr.kind == frameStat) && len(fr.payload) >= len(d) && digest(fr.payload[:len(d)]) == d {
				return i
			}
		}
	}
	return -1
}

func hasData(gens []generation) bool {
	for _, g := range gens {
		for _, fr := range g.frames {
			if fr.kind == frameData {
				return true
			}
		}
	}
	return false
}

// decayed reports whether the JSON with digest now has the modification time that we saw after writing another text.
func (l *ledger) decayed(gens []generation, now digest) bool {
	st, err := l.fs.Stat(l.json)
	if err != nil {
		return false
	}
	for _, g := range slices.Backward(gens) {
		for _, fr := range slices.Backward(g.frames) {
			if fr.kind == frameStat && len(fr.payload) == 24 {
				return digest(fr.payload[:16]) != now && int64(binary.BigEndian.Uint64(fr.payload[16:])) == st.ModTime().UnixNano()
			}
		}
	}
	return false
}

// flush makes all records up to sequence number want safe: in the page cache, or on disk with sync.
func (l *ledger) flush(want uint64, sync bool) error {
	l.lock()
	defer l.unlock()
	if l.written >= want && (!sync || l.synced >= want) {
		return nil
	}
	return l.flushLocked(sync)
}

func (l *ledger) flushLocked(sync bool) error {
	if l.behind != nil {
		return fmt.Errorf("journal %s waits for %s to be written: %w", l.name, l.json, l.behind)
	}
	l.drainLocked()
	if err := l.writeLocked(sync); err != nil {
		if len(l.unwritten) > maxUnwritten || (l.cur != nil && l.cur.failed != nil) {
			l.behind, l.unwritten, l.told = err, nil, 0
		}
		return err
	}
	return nil
}

// drainLocked takes what has changed, and tells it to the slaves.
func (l *ledger) drainLocked() {
	l.unwritten, l.drained = l.drain(l.unwritten)
	l.feed.Add(l.source, l.unwritten[l.told:], l.urgent)
	l.told = len(l.unwritten)
}

func (l *ledger) writeLocked(sync bool) error {
	if len(l.unwritten) > 0 {
		if l.cur == nil {
			if err := l.startLocked(); err != nil {
				return err
			}
		}
		if err := l.cur.append(frameData, l.unwritten); err != nil {
			return err
		}
		l.told = 0
		if l.unwritten = l.unwritten[:0]; cap(l.unwritten) > maxUnwritten {
			l.unwritten = nil
		}
	}
	l.written = l.drained
	if !sync || l.synced == l.written {
		return nil
	}
	if l.cur != nil {
		if err := l.cur.sync(); err != nil {
			return err
		}
	}
	l.synced = l.written
	return nil
}

// startLocked starts the next generation. The first one after a load that applied no journal is based on the text that was
// loaded.
func (l *ledger) startLocked() error {
	j, err := createJournal(l.fs, path.Join(l.dir, journalfile.Name(l.name, l.gen+1)), l.gen+1)
	if err == nil && !l.chained {
		if err = j.append(frameBase, l.base[:]); err != nil {
			err = errors.Join(err, j.f.Close())
		}
	}
	if err == nil && l.durable {
		if err = l.syncDir(); err != nil {
			err = errors.Join(err, j.f.Close())
		}
	}
	if err != nil {
		return err
	}
	l.gen++
	if !l.chained {
		l.chained, l.baseGen = true, l.gen
	}
	l.cur = j
	return nil
}

func (l *ledger) syncDir() error {
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("sync folder %s: %w", l.dir, err)
	}
	return nil
}

// fold writes the table into the JSON file and starts a new generation.
func (l *ledger) fold() error {
	l.folding <- struct{}{}
	defer func() { <-l.folding }()

	encode, upto, old, err := l.rotate()
	if old != nil {
		// The JSON will hold all of it; this only keeps the way over .bak good, so a failure costs nothing.
		if oldErr := errors.Join(old.sync(), old.f.Close()); oldErr != nil {
			l.log.Warn("the last generation of a journal may be incomplete", "journal", l.name, "err", oldErr)
		}
	}
	if err != nil {
		return err
	}
	data := encode()
	d := digestOf(data)

	l.lock()
	if err = l.cur.append(frameBase, d[:]); err == nil {
		err = l.cur.sync()
	}
	gen, damaged, oldBase := l.cur.gen, l.damaged, l.baseGen
	l.unlock()
	if err == nil && !l.durable {
		err = l.syncDir()
	}
	if err != nil {
		return err
	}
	st, err := l.publish(data, damaged)
	if err != nil {
		return err
	}

	l.lock()
	l.fresh, l.damaged, l.behind = false, false, nil
	l.baseGen = gen
	l.written, l.synced = max(l.written, upto), max(l.synced, upto)
	b := binary.BigEndian.AppendUint64(d[:], uint64(st.ModTime().UnixNano()))
	if err := l.cur.append(frameStat, b); err != nil {
		l.log.Warn("a decayed file would not be noticed", "file", l.json, "err", err)
	}
	l.unlock()
	return l.removeBelow(oldBase)
}

// rotate completes the current generation, copies the table and starts the next generation.
func (l *ledger) rotate() (encode func() []byte, upto uint64, old *journal, err error) {
	l.lock()
	defer l.unlock()
	if l.behind == nil {
		// An error leaves the records in unwritten; they go into the next generation, where they do no harm.
		if err := l.flushLocked(l.durable); err != nil {
			l.log.Warn("journal not written before a fold", "journal", l.name, "err", err)
		}
	}
	if l.behind != nil {
		l.drainLocked()
		l.unwritten, l.told = nil, 0 // in the snapshot; nothing else will write it
	}
	encode, upto = l.snapshot(), l.drained
	if l.fresh && l.cur != nil && l.cur.failed == nil {
		return encode, upto, nil, nil
	}
	if l.cur == nil && !l.chained {
		// Nothing was journalled since the load: give .bak a generation to start from.
		if err := l.startLocked(); err != nil {
			return nil, 0, nil, err
		}
	}
	old = l.cur
	if err := l.startLocked(); err != nil {
		return nil, 0, nil, err
	}
	l.fresh = true
	return encode, upto, old, nil
}

// publish replaces the JSON file.
func (l *ledger) publish(data []byte, damaged bool) (fs.FileInfo, error) {
	_, err := l.fs.Stat(l.json)
	keepBak := err == nil && !damaged
	if err == nil && damaged {
		// Keep the evidence, and the good .bak.
		if err = l.fs.Rename(l.json, l.json+".damaged"); err != nil {
			return nil, fmt.Errorf("put the damaged %s aside: %w", l.json, err)
		}
	}
	if err = vfs.WriteFileAtomic(l.fs, l.json, data, keepBak); err != nil {
		// A full disk needs the room of the half-written file back. It may not be there at all.
		if rmErr := l.fs.Remove(l.json + ".tmp"); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return nil, fmt.Errorf("write %s: %w", l.json, err)
	}
	st, err := l.fs.Stat(l.json)
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", l.json, err)
	}
	return st, nil
}

// removeBelow deletes the generations that neither the JSON nor its .bak needs.
func (l *ledger) removeBelow(gen uint64) error {
	ents, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", l.dir, err)
	}
	for _, e := range ents {
		if g, ok := journalfile.Generation(l.name, e.Name()); ok && g < gen {
			if err := l.fs.Remove(path.Join(l.dir, e.Name())); err != nil {
				return fmt.Errorf("remove old journal: %w", err)
			}
		}
	}
	return nil
}

// close gives the file back. The caller has folded what it wants to keep.
func (l *ledger) close() error {
	l.lock()
	defer l.unlock()
	if l.cur == nil {
		return nil
	}
	err := l.cur.f.Close()
	l.cur = nil
	return err
}
