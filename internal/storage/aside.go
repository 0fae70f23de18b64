package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

// asidePrefix begins the names of folders with what PutAside has moved.
const asidePrefix = "old-"

// PutAside moves everything in the store directory dir into a new folder in it, old-TIME, and returns that. Nothing is deleted; names in
// keep, and what was put aside before, stay. A log directory elsewhere (storePathCommitLog, "": dir/commitlog) gets a new name beside
// the old one. The store must be closed.
//
// The log is moved last: after a crash in between the store opens with what is left, and the next call puts that aside, too.
func PutAside(fsys vfs.FS, dir, logDir string, now time.Time, keep ...string) (folder string, err error) {
	lock, err := fsys.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("store %s is in use: %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	inside := filepath.Join(dir, "commitlog")
	if logDir == "" {
		logDir = inside
	}
	logDir = filepath.Clean(logDir)
	suffix := now.UTC().Format("20060102-150405.000")
	folder = filepath.Join(dir, asidePrefix+suffix)
	to := filepath.Join(folder, "commitlog")
	if filepath.Dir(logDir) != filepath.Clean(dir) { // perhaps another disk
		to = logDir + "." + asidePrefix + suffix
	}
	if err = fsys.MkdirAll(folder); err != nil {
		return "", fmt.Errorf("make %s: %w", folder, err)
	}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("list %s: %w", dir, err)
	}
	for _, e := range entries {
		name := e.Name()
		if name == "lock" || strings.HasPrefix(name, asidePrefix) || slices.Contains(keep, name) || filepath.Join(dir, name) == logDir {
			continue
		}
		if err = fsys.Rename(filepath.Join(dir, name), filepath.Join(folder, name)); err != nil {
			return "", fmt.Errorf("put aside: %w", err)
		}
	}
	for _, d := range []string{folder, dir} {
		if err = fsys.SyncDir(d); err != nil {
			return "", fmt.Errorf("sync directory %s: %w", d, err)
		}
	}
	if err = fsys.Rename(logDir, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("put the log aside: %w", err)
	}
	for _, d := range []string{filepath.Dir(to), filepath.Dir(logDir)} {
		if err = fsys.SyncDir(d); err != nil {
			return "", fmt.Errorf("sync directory %s: %w", d, err)
		}
	}
	return folder, nil
}
