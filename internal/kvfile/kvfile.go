// Package kvfile is a bbolt file of which the process survives the damage. It holds what an operator would miss and no message needs:
// series of the dashboard, alerts.
//
// Invariants:
//   - The file is made with the first change, not before.
//   - A damaged file is moved aside, with one line in the log, and the next change begins a new one. Neither a panic of the library nor
//     a fault of the mapped file leaves this package.
//   - A file that another process has, or that must not be read, is left as it is: every call returns that error.
package kvfile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Options say where the file is.
type Options struct {
	FS   vfs.FS // moves the file aside; bbolt itself uses the operating system's
	Path string
	Log  *slog.Logger
	// Check reads what a file that was just opened must have. Its error means damage. May be nil.
	Check func(tx *bbolt.Tx) error
	// NoSync leaves out the syncs: a kill loses nothing, a power cut perhaps the file. For tests with many changes.
	NoSync bool
}

// File is the file. Changes are made one after the other.
type File struct {
	o    Options
	turn chan struct{} // one slot: who opens, changes or closes has it
	db   atomic.Pointer[bbolt.DB]
	shut bool // with turn
}

// Errors of all methods.
var (
	// ErrDamaged says that the file was damaged and is out of the way: what it held is gone.
	ErrDamaged = errors.New("damaged")
	ErrClosed  = errors.New("closed")
)

const (
	fileMode    = 0o600
	lockTimeout = time.Second
	closeWithin = time.Second
	firstMap    = 1 << 20
)

// New returns a file that is not opened yet.
func New(o Options) *File {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &File{o: o, turn: make(chan struct{}, 1)}
}

// Update changes the file in one transaction, which is on disk when it returns nil. fn may be run only once, or not at all.
func (f *File) Update(fn func(tx *bbolt.Tx) error) error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	db, err := f.open(true)
	if err != nil {
		return err
	}
	return f.guard(db, func() error { return db.Update(fn) })
}

// View reads the file. Without a file fn is not called, and that is no error.
func (f *File) View(fn func(tx *bbolt.Tx) error) error {
	db := f.db.Load()
	if db == nil {
		var err error
		if db, err = f.openTurn(); err != nil || db == nil {
			return err
		}
	}
	err := run(func() error { return db.View(fn) })
	if errors.Is(err, ErrDamaged) {
		f.turn <- struct{}{}
		defer func() { <-f.turn }()
		f.aside(db, err)
	}
	return err
}

// Close closes the file. Closing twice is no error.
func (f *File) Close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	f.shut = true
	if db := f.db.Swap(nil); db != nil {
		return run(db.Close)
	}
	return nil
}

func (f *File) openTurn() (*bbolt.DB, error) {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	return f.open(false)
}

// open returns the open file; nil when there is none and it is not to be made. The caller has the turn.
func (f *File) open(create bool) (*bbolt.DB, error) {
	if f.shut {
		return nil, ErrClosed
	}
	if db := f.db.Load(); db != nil {
		return db, nil
	}
	info, err := f.o.FS.Stat(f.o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !create {
			return nil, nil
		}
		if err = f.o.FS.MkdirAll(filepath.Dir(f.o.Path)); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case info.Size() == 0: // a process was killed while it made the file
		if err = f.o.FS.Remove(f.o.Path); err != nil || !create {
			return nil, err
		}
	}
	var db *bbolt.DB
	err = run(func() (err error) {
		db, err = bbolt.Open(f.o.Path, fileMode, &bbolt.Options{Timeout: lockTimeout, InitialMmapSize: firstMap, NoStatistics: true, NoSync: f.o.NoSync})
		if err == nil && f.o.Check != nil {
			if cerr := db.View(f.o.Check); cerr != nil {
				err = fmt.Errorf("%w: %w", ErrDamaged, cerr)
			}
		}
		return err
	})
	switch {
	case err == nil:
		f.db.Store(db)
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: another process uses it", f.o.Path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if errors.Is(err, ErrDamaged) {
		f.aside(db, err)
	}
	return nil, err
}

func (f *File) guard(db *bbolt.DB, fn func() error) error {
	err := run(fn)
	if errors.Is(err, ErrDamaged) {
		f.aside(db, err)
	}
	return err
}

// run makes an error of what would end the process.
func run(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return fn()
}

// aside moves a damaged file out of the way. The caller has the turn.
func (f *File) aside(db *bbolt.DB, cause error) {
	if db != nil {
		if f.db.Load() != nil && !f.db.CompareAndSwap(db, nil) {
			return // somebody did it already
		}
		release(db)
	}
	to := f.o.Path + time.Now().UTC().Format(".damaged-20060102T150405.000")
	if err := f.o.FS.Rename(f.o.Path, to); err != nil {
		f.o.Log.Error("a damaged file cannot be moved aside: remove it", "file", f.o.Path, "damage", cause.Error(), "err", err)
		return
	}
	f.o.Log.Error("a file is damaged: it was moved aside and a new one begins", "file", f.o.Path, "moved_to", to, "err", cause)
}

// release closes a file that is damaged. A panic of the library may have left its locks taken: then the file stays open until the
// process ends, and nobody waits for it.
func release(db *bbolt.DB) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(db.Close) // nothing more can be done with it
	}()
	select {
	case <-done:
	case <-time.After(closeWithin):
	}
}
