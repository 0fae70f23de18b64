package segment

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/vfs"
)

// nameDigits is the length of a file name: the position of its first byte in decimal.
const nameDigits = 20

// Name returns the file name of the file that starts at base.
func Name(base int64) string { return fmt.Sprintf("%0*d", nameDigits, base) }

// parseName returns the position that a file name stands for.
func parseName(name string) (int64, bool) {
	if len(name) != nameDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return n, true
}

// File is one file of a set.
type File struct {
	base int64
	size int64
	path string
	f    vfs.File
	refs atomic.Int32 // one for the set, one for each reader
}

func newFile(dir string, base, size int64, f vfs.File) *File {
	sf := &File{base: base, size: size, path: filepath.Join(dir, Name(base)), f: f}
	sf.refs.Store(1)
	return sf
}

// Base returns the position of the first byte.
func (f *File) Base() int64 { return f.base }

// End returns the position after the last byte.
func (f *File) End() int64 { return f.base + f.size }

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// acquire pins the file. False: it has been removed and closed.
func (f *File) acquire() bool {
	for {
		n := f.refs.Load()
		if n <= 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (f *File) release() error {
	if f.refs.Add(-1) > 0 {
		return nil
	}
	return f.f.Close()
}
