package consumequeue

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options of a Set. The zero value works.
type Options struct {
	FileSize     int64        // mappedFileSizeConsumeQueue, default 6,000,000; rounded up to whole units
	BatchDir     string       // of the batch queues, default batchconsumequeue beside the directory of the others
	BatchSize    int64        // mapperFileSizeBatchConsumeQueue, default 13,800,000; rounded up to whole units
	MaxOpenFiles int          // size of the cache of open files, default 512
	MaxDirty     int64        // bytes of units that may wait in memory, default 48 MiB
	Log          *slog.Logger // default: discards
}

func (o Options) withDefaults() Options {
	if o.FileSize <= 0 {
		o.FileSize = 6_000_000
	}
	if o.BatchSize <= 0 {
		o.BatchSize = 13_800_000
	}
	if o.MaxOpenFiles <= 0 {
		o.MaxOpenFiles = 512
	}
	if o.MaxDirty <= 0 {
		o.MaxDirty = 48 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Set is all consume queues of a store. Its parts: queue.go (one queue), tail.go (units that wait in memory), open.go
// (first look at the files), min.go (first index, deletion), files.go (open files), flush.go (writing and syncing).
//
// Lock order: flushMu, deleteMu, createMu, Queue.mu, then activeMu, syncMu or the lock of the open files. No two queues are
// locked at once. Only flushMu, deleteMu, createMu and a queue's lock during its first open are held across I/O: they order that
// very I/O.
type Set struct {
	fs      vfs.FS
	o       Options
	simple  *kind
	batch   *kind
	trust   record.Offset
	logMin  atomic.Int64
	dirty   atomic.Int64 // bytes of units that are in no file yet
	blanks  atomic.Int64 // blank units written into gaps
	files   handles
	buffers sync.Pool // *readBuffer

	mu     sync.RWMutex // guards topics and their slices
	topics map[string]*topic

	activeMu sync.Mutex // guards the next two
	active   []*Queue   // queues with a tail in memory
	spare    []*Queue

	flushMu  sync.Mutex // one flush at a time
	createMu sync.Mutex // one file creation at a time: Create truncates
	deleteMu sync.Mutex // no new handle while a topic is deleted

	syncMu   sync.Mutex // guards the next three
	unsynced []unsyncedFile
	overflow bool  // more files than unsynced may list; at first also what a killed process wrote may be unsynced
	failed   error // a sync failed: nothing is known about the disk any more
}

// topic holds the queues of one topic.
type topic struct {
	set    *Set
	name   string
	kind   *kind
	err    error    // the name cannot be a directory
	queues []*Queue // sorted by id
}

type readBuffer [bufferSize]byte

// ErrIllegal says that there cannot be such a queue.
var ErrIllegal = errors.New("illegal queue")

// ErrDeleted is what a queue answers after Delete took its topic away.
var ErrDeleted = errors.New("consume queue was deleted")

// NewSet makes the set of the queues below dir. It reads nothing.
func NewSet(fsys vfs.FS, dir string, o Options) *Set {
	o = o.withDefaults()
	if o.BatchDir == "" {
		o.BatchDir = filepath.Join(filepath.Dir(dir), "batchconsumequeue")
	}
	s := &Set{
		fs: fsys, o: o, trust: math.MaxInt64, topics: map[string]*topic{}, overflow: true,
		simple: newKind(false, dir, UnitSize, o.FileSize), batch: newKind(true, o.BatchDir, BatchUnitSize, o.BatchSize),
	}
	s.buffers.New = func() any { return new(readBuffer) }
	s.files.init(o.MaxOpenFiles)
	return s
}

// SetTrust says that units of records at or above upTo are not to be believed: a queue drops them when it is first
// used. Called during recovery, before any queue is used. After a recovery that shortened the log the caller runs
// OpenAll in time, so that such units do not outlive this process in queues that nobody touched.
func (s *Set) SetTrust(upTo record.Offset) { s.trust = upTo }

// SetSynced says that everything below the directory is on disk: the last process closed its set, or there is nothing. Otherwise the first
// sync is one of the whole file system, which also waits for whatever else was written there. Called before any queue is used.
func (s *Set) SetSynced() { s.overflow = false }

// SetLogMin tells where the log begins; queues that are opened later begin there.
func (s *Set) SetLogMin(logMin record.Offset) { s.logMin.Store(int64(logMin)) }

func checkName(name string) error {
	if name == "" || len(name) > 255 || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: topic name %q cannot be a directory", ErrIllegal, name)
	}
	return nil
}

func (t *topic) find(id int32) (int, *Queue) {
	if uint32(id) < uint32(len(t.queues)) && t.queues[id].id == id {
		return int(id), t.queues[id]
	}
	i, ok := slices.BinarySearchFunc(t.queues, id, func(q *Queue, id int32) int { return int(q.id) - int(id) })
	if !ok {
		return i, nil
	}
	return i, t.queues[i]
}

func (s *Set) inMemory(name string, id int32) *Queue {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[name]
	if t == nil {
		return nil
	}
	_, q := t.find(id)
	return q
}

// Queue returns the handle of a queue, which need not exist. The same handle is returned until the topic is deleted.
func (s *Set) Queue(name string, id int32) *Queue {
	if q := s.inMemory(name, id); q != nil {
		return q
	}
	// A handle made while Delete removes the files would go on with what it saw of them.
	s.deleteMu.Lock()
	defer s.deleteMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[name]
	if t == nil {
		name = strings.Clone(name)
		t = &topic{set: s, name: name}
		t.kind, t.err = s.kindOf(name)
		s.topics[name] = t
	}
	i, q := t.find(id)
	if q == nil {
		q = &Queue{topic: t, kind: t.kind, id: id, firstBase: -1}
		t.queues = slices.Insert(t.queues, i, q)
	}
	return q
}

// Lookup returns the handle of a queue that has units, in memory or on disk. A queue that cannot be read exists.
func (s *Set) Lookup(name string, id int32) (*Queue, bool) {
	q := s.inMemory(name, id)
	if q == nil {
		if id < 0 || checkName(name) != nil {
			return nil, false
		}
		if !s.mayHave(s.simple.queueDir(name, id)) && !s.mayHave(s.batch.queueDir(name, id)) {
			return nil, false
		}
		q = s.Queue(name, id)
	}
	if found, err := q.exists(); err == nil && !found {
		return nil, false
	}
	return q, true
}

// Each calls fn for each queue that exists, topic by topic in the order of names and ids, until fn returns false.
// It makes handles for queues that were only on disk, but does not open them.
func (s *Set) Each(fn func(*Queue) bool) error {
	stop := false
	return s.walk(func(name string, id int32, _ *kind) error {
		if !stop {
			stop = !fn(s.Queue(name, id))
		}
		return nil
	})
}

// OpenAll opens each queue, which applies the trust mark to its files.
func (s *Set) OpenAll() error {
	return s.walk(func(name string, id int32, _ *kind) error { return s.Queue(name, id).Open() })
}

// walk calls fn for the name of each queue in memory or on disk until it fails.
func (s *Set) walk(fn func(name string, id int32, k *kind) error) error {
	names, err := s.topicNames()
	if err != nil {
		return err
	}
	for _, t := range names {
		name, k := t.name, t.kind
		ids, err := s.queueIDs(name, k)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := fn(name, id, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// topicNames lists the topics in memory or on disk by name, without their queues.
func (s *Set) topicNames() ([]topic, error) {
	byName := map[string]*kind{}
	for _, k := range [...]*kind{s.simple, s.batch} { // who has both is a batch topic, see kindOf
		entries, err := s.fs.ReadDir(k.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list consume queues: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() {
				byName[e.Name()] = k
			}
		}
	}
	s.mu.RLock()
	for name, t := range s.topics {
		byName[name] = t.kind
	}
	s.mu.RUnlock()
	list := make([]topic, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, topic{name: name, kind: byName[name]})
	}
	return list, nil
}

func (s *Set) queueIDs(name string, k *kind) ([]int32, error) {
	if err := checkName(name); err != nil {
		return nil, nil //nolint:nilerr // a handle of an impossible topic has no queues
	}
	var ids []int32
	entries, err := s.fs.ReadDir(filepath.Join(k.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list queues of topic %s: %w", name, err)
	}
	for _, e := range entries {
		// Differs from Java: "+1" or "01" is not taken for queue 1, because its files would never be found again.
		if id, err := strconv.ParseInt(e.Name(), 10, 32); err == nil && e.IsDir() && id >= 0 &&
			strconv.FormatInt(id, 10) == e.Name() {
			ids = append(ids, int32(id))
		}
	}
	s.mu.RLock()
	var open []*Queue
	if t := s.topics[name]; t != nil {
		open = slices.Clone(t.queues)
	}
	s.mu.RUnlock()
	for _, q := range open {
		if q.inUse() {
			ids = append(ids, q.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Delete removes a topic with all its queues. Old handles answer ErrDeleted from then on.
func (s *Set) Delete(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	s.deleteMu.Lock()
	defer s.deleteMu.Unlock()
	s.createMu.Lock()
	defer s.createMu.Unlock()
	s.forget(name)
	for _, k := range [...]*kind{s.simple, s.batch} {
		if err := s.fs.RemoveAll(filepath.Join(k.dir, name)); err != nil {
			return fmt.Errorf("delete consume queues of topic %s: %w", name, err)
		}
		if err := s.fs.SyncDir(k.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete consume queues of topic %s: %w", name, err)
		}
	}
	return nil
}

// forget takes the handles of a topic away. deleteMu and createMu are held.
func (s *Set) forget(name string) {
	s.mu.Lock()
	t := s.topics[name]
	delete(s.topics, name)
	s.mu.Unlock()
	if t == nil {
		return
	}
	for _, q := range t.queues {
		q.markDeleted()
	}
	for _, f := range s.files.dropTopic(t) {
		s.closeFile(f)
	}
}

// Stats is a snapshot of counters.
type Stats struct {
	Queues    int   // handles in memory
	OpenFiles int   // in the cache
	Dirty     int64 // bytes of units that are in no file yet
	Blanks    int64 // blank units that were written into gaps since start
}

// Stats counts.
func (s *Set) Stats() Stats {
	st := Stats{OpenFiles: s.files.len(), Dirty: s.dirty.Load(), Blanks: s.blanks.Load()}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.topics {
		st.Queues += len(t.queues)
	}
	return st
}

// Close writes what waits in memory, without syncing, and closes the files. No call may be under way.
func (s *Set) Close() error {
	err := s.Flush(false)
	for _, f := range s.files.dropAll() {
		s.closeFile(f)
	}
	return err
}

func (s *Set) closeFile(f vfs.File) {
	if err := f.Close(); err != nil {
		s.o.Log.Warn("close of a queue file failed", "file", f.Name(), "err", err)
	}
}
