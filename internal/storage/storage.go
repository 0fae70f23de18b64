package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
	"github.com/cometmq/cometmq/internal/storage/keyindex"
	"github.com/cometmq/cometmq/internal/vfs"
)

// What the log answers, for callers that must not import it.
type (
	// ReadOnlyError says why the store takes no messages until it is opened again.
	ReadOnlyError = commitlog.ReadOnlyError
	// DiskFullError says that there is no room at the moment.
	DiskFullError = commitlog.DiskFullError
	// CorruptError names a place in the log that does not hold what it should.
	CorruptError = commitlog.CorruptError
	// Hole is a damaged place in the log that was stepped over.
	Hole = commitlog.Hole
	// Await asks to be told when the log up to End is safe.
	Await = commitlog.Await
	// Status is how an Await ended.
	Status = commitlog.Status
)

// Statuses of an Await.
const (
	Durable      = commitlog.Durable
	FlushTimeout = commitlog.FlushTimeout
	SlaveTimeout = commitlog.SlaveTimeout
)

// Errors of the store.
var (
	ErrClosed   = commitlog.ErrClosed
	ErrTooLarge = commitlog.ErrTooLarge
	ErrGone     = commitlog.ErrGone
	// ErrCopy says that the store takes no messages of its own, see Options.Copy and Options.Sealed.
	ErrCopy = errors.New("the store takes no messages of its own")
)

// Store is the message store of one broker.
//
// Where things are: queue.go handles of queues, batch.go appending, dispatch.go from the log into queues and index,
// read.go and search.go reading, recover.go opening, mark.go and keep.go what makes recovery short, clean.go retention.
type Store struct {
	fs    vfs.FS
	o     Options
	tuned atomic.Pointer[Options] // what Retune changes
	lock  io.Closer
	log   *commitlog.Log
	cqs   *consumequeue.Set
	keys  *keyindex.Index // nil: not enabled

	queues queues

	// The dispatcher: who holds the token of dispatching may use scan, note,
	// lastQueue, replaying and tagKey.
	dispatching chan struct{}
	scan        *commitlog.Scanner
	note        Dispatched
	lastQueue   *Queue
	replaying   bool // recovery: the log may be damaged
	replayed    replayed
	tagKey      []byte
	lights      []lightHit
	dispatched  atomic.Int64
	moved       chan struct{} // more is visible
	crowd       crowd
	posMu       sync.Mutex // guards pos
	pos         position

	// The keeper: who holds the token of keeping may use marks, cp and stale.
	keeping   chan struct{}
	keep      chan struct{} // much waits in memory
	marks     *marks
	cp        checkpoint
	marked    record.Offset // of the last mark
	stale     bool          // queue files may hold units behind the end of the log
	thoroughs atomic.Int64

	compactor compactor

	limit      atomic.Int64  // readers see no more of the log
	intact     record.Offset // see Intact
	cutAt      record.Offset // see Cut, -1: not cut
	cutTime    int64
	cutDone    atomic.Bool
	whole      bool // see Whole
	lightCount atomic.Int64

	cleanNow chan bool
	cleaned  record.Offset // the cleaner's: begin of the log that queues and index know
	readers  readers

	relocated relocated
	stats     counters
	closed    atomic.Bool
}

// Open takes the lock of the directory, recovers what is there and returns the store ready for Append. It starts no
// goroutine; Run does.
func Open(fsys vfs.FS, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := makeDir(fsys, o.Dir); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("store %s: %w", o.Dir, err)
		}
		return nil, fmt.Errorf("store %s is in use: %w", o.Dir, err)
	}
	s := &Store{
		fs: fsys, o: o, lock: lock, cutAt: -1,
		dispatching: make(chan struct{}, 1), keeping: make(chan struct{}, 1), keep: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		cleanNow: make(chan bool, 1),
	}
	s.tuned.Store(&s.o)
	s.limit.Store(int64(NoLimit))
	s.queues.topics = map[string]*topicQueues{}
	s.compactor.busy = make(chan struct{}, 1)
	s.readers.init(s)
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// OnDispatch sets who is told about new messages. It must be called before Run.
func (s *Store) OnDispatch(f func(q *Queue, d *Dispatched)) { s.o.OnDispatch = f }

// Run does the background work until ctx ends: dispatching, flushing, marks, cleaning. It returns after all of it did.
func (s *Store) Run(ctx context.Context) error {
	if err := s.CutDone(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, 5)
	wg.Go(func() { errs[0] = s.log.Run(ctx) })
	wg.Go(func() { errs[1] = s.runDispatch(ctx) })
	wg.Go(func() { errs[2] = s.runKeep(ctx) })
	wg.Go(func() { errs[3] = s.runClean(ctx) })
	wg.Go(func() { errs[4] = s.runCompact(ctx) })
	s.wake()
	wg.Wait()
	return errors.Join(errs...)
}

// Close writes everything down and gives the directory free. Run must have returned.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var err error
	if werr := s.log.Failed(); werr != nil {
		err = werr
	} else {
		err = errors.Join(s.log.Flush(), s.dispatchAll())
		if err == nil {
			err = s.thorough()
		}
	}
	clean := err == nil
	err = errors.Join(err, s.closeCompacted(clean))
	if err = errors.Join(err, s.closeFiles()); err != nil {
		clean = false
	}
	if clean {
		err = s.removeAbort()
	}
	return errors.Join(err, s.release())
}

// closeFiles closes what open has opened so far.
func (s *Store) closeFiles() error {
	var errs []error
	if s.scan != nil {
		s.scan.Close()
	}
	if s.cqs != nil {
		errs = append(errs, s.cqs.Close())
	}
	if s.keys != nil {
		errs = append(errs, s.keys.Close())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.marks != nil {
		errs = append(errs, s.marks.f.Close())
	}
	return errors.Join(errs...)
}

// release gives the lock back, last of all.
func (s *Store) release() error {
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}

func (s *Store) abortPath() string { return filepath.Join(s.o.Dir, "abort") }

// writeAbort says that the store is open; the file is there until a clean Close.
func (s *Store) writeAbort() error {
	f, err := s.fs.Create(s.abortPath())
	if err != nil {
		return fmt.Errorf("make abort file: %w", err)
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write abort file: %w", err)
	}
	if err := s.fs.SyncDir(s.o.Dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", s.o.Dir, err)
	}
	return nil
}

func (s *Store) removeAbort() error {
	if err := s.fs.Remove(s.abortPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove abort file: %w", err)
	}
	if err := s.fs.SyncDir(s.o.Dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", s.o.Dir, err)
	}
	return nil
}

// Appended returns the end of the log.
func (s *Store) Appended() record.Offset { return s.log.Appended() }

// Flushed returns how much of the log is on disk.
func (s *Store) Flushed() record.Offset { return s.log.Flushed() }

// Replicated returns how much of the log replicas have.
func (s *Store) Replicated() record.Offset { return s.log.Replicated() }

// SetReplicated says how much of the log replicas have.
func (s *Store) SetReplicated(off record.Offset) { s.log.SetReplicated(off) }

// SetAlone says that there is nobody whose copies are to be waited for, or that there is. Who waits already goes on waiting for
// the replicated mark.
func (s *Store) SetAlone(alone bool) { s.log.SetAlone(alone) }

// Intact returns up to where the log that was found at Open is what had been written: after a power cut there may be holes behind
// that, and nothing may be taken for done because the log is longer.
func (s *Store) Intact() record.Offset { return s.intact }

// Whole reports whether everything that slaves have ever been sent is in the log that was found at Open.
func (s *Store) Whole() bool { return s.whole }

// MinOffset returns the begin of the log.
func (s *Store) MinOffset() record.Offset { return s.log.Min() }

// Load is how busy the disk is.
type Load = commitlog.Load

// Load returns how busy the disk of the log is.
func (s *Store) Load(now time.Time) Load { return s.log.Load(now) }

// AwaitDurable returns false when what a asks for is reached already, else a.Done will be called once.
func (s *Store) AwaitDurable(a *Await) bool { return s.log.AwaitDurable(a) }

// Flush makes everything appended so far durable.
func (s *Store) Flush() error { return s.log.Flush() }

// Settle decides all that is waited for, before the store is closed: what is in the log becomes durable, and whoever waits for more
// than that, now or from now on, is told that it has not come (FlushTimeout, SlaveTimeout).
func (s *Store) Settle() error { return s.log.Settle() }

// Writable returns nil when messages can be stored, else a *ReadOnlyError or *DiskFullError.
func (s *Store) Writable() error { return s.log.Writable() }
