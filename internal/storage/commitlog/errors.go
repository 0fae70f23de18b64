package commitlog

import (
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/record"
)

// Errors of the log.
var (
	ErrClosed   = errors.New("the log is closed")
	ErrTooLarge = errors.New("record or batch does not fit into a log file")
	// ErrGone says that an offset is outside the log, mostly because it has been deleted.
	ErrGone = errors.New("log offset is not available")
)

// ReadOnlyError says why the log takes no more records until it is opened again.
type ReadOnlyError struct{ Reason error }

// Error says it.
func (e *ReadOnlyError) Error() string { return "store is read-only: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *ReadOnlyError) Unwrap() error { return e.Reason }

// DiskFullError says that there is no room for records at the moment.
type DiskFullError struct{ Reason error }

// Error says it.
func (e *DiskFullError) Error() string { return "disk full: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *DiskFullError) Unwrap() error { return e.Reason }

// CorruptError names a place in the log that does not hold what it should.
type CorruptError struct {
	File   string
	At     int64 // in the file
	Offset record.Offset
	Err    error
}

// Error names the place.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s at %d (log offset %d): %v", e.File, e.At, e.Offset, e.Err)
}

// Unwrap returns what is wrong there.
func (e *CorruptError) Unwrap() error { return e.Err }
