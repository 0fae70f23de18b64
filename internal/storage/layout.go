package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/cometmq/cometmq/internal/vfs"
)

// LayoutError says that the directory was written in a mode that cannot be opened, and what to do about it.
type LayoutError struct {
	Path string // what it was recognised by
	Mode string
	Todo string
}

// Error says it.
func (e *LayoutError) Error() string {
	return fmt.Sprintf("%s: this store uses %s, which cannot be opened here: %s", e.Path, e.Mode, e.Todo)
}

// foreign are the places where Java keeps RocksDB databases (storage spec 16).
var foreign = []struct{ path, mode, todo string }{
	{
		"consumequeue", "consume queues in RocksDB (storeType=defaultRocksDB)",
		"the commit log is plain: move the consumequeue folder away and the queues are rebuilt from the log at the next start",
	},
	{"config/topics", "topics in RocksDB", "export them with Java's \"mqadmin rocksDBConfigToJson\" and move the folder away"},
	{"config/subscriptionGroups", "subscription groups in RocksDB", "export them with Java's \"mqadmin rocksDBConfigToJson\" and move the folder away"},
	{"config/consumerOffsets", "consumer offsets in RocksDB", "export them with Java's \"mqadmin rocksDBConfigToJson\" and move the folder away"},
	{"config/rdb", "configuration in RocksDB (configManagerVersion=v2)", "export it with Java's \"mqadmin exportMetadataInRocksDB\" and move the folder away"},
	{"kvStore", "POP state in RocksDB (popConsumerKVServiceInit=true)", "let Java run with popConsumerKVServiceEnable=false until it is empty, then move the folder away"},
}

// checkLayout returns a *LayoutError for directories of other store types.
func checkLayout(fsys vfs.FS, root string) error {
	list, err := fsys.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", root, err)
	}
	for _, e := range list {
		if e.IsDir() && strings.HasPrefix(e.Name(), "dledger-") {
			return &LayoutError{
				Path: filepath.Join(root, e.Name()), Mode: "a DLedger commit log (enableDLegerCommitLog=true)",
				Todo: "move its messages with Java: start a broker without DLedger beside it, let consumers drain this one, then start with an empty directory",
			}
		}
	}
	for _, f := range foreign {
		path := filepath.Join(root, filepath.FromSlash(f.path))
		if found, err := isRocksDB(fsys, path); err != nil {
			return err
		} else if found {
			return &LayoutError{Path: path, Mode: f.mode, Todo: f.todo}
		}
	}
	// Newer versions keep more in RocksDB; any database that we do not know is a reason to stop.
	for _, e := range list {
		if !e.IsDir() || e.Name() == "cometmq" {
			continue
		}
		path := filepath.Join(root, e.Name())
		if used, err := usedRocksDB(fsys, path); err != nil {
			return err
		} else if used {
			return &LayoutError{
				Path: path, Mode: "a RocksDB database of an unknown kind",
				Todo: "open it with the version of RocketMQ that wrote it and turn that feature off",
			}
		}
	}
	return nil
}

func isDir(fsys vfs.FS, dir string) (bool, error) {
	st, err := fsys.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", dir, err)
	}
	return st.IsDir(), nil
}

// isRocksDB reports whether dir is the directory of a RocksDB database.
func isRocksDB(fsys vfs.FS, dir string) (bool, error) {
	st, err := fsys.Stat(filepath.Join(dir, "CURRENT"))
	switch {
	case err == nil:
		return !st.IsDir(), nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	if st, serr := fsys.Stat(dir); serr == nil && !st.IsDir() {
		return false, nil // a file where the folder would be
	}
	return false, fmt.Errorf("look for a database in %s: %w", dir, err)
}

// usedRocksDB reports whether dir is a RocksDB database with something in it. Java 5.5.0 makes an empty one
// (rocksdbstore) whatever its configuration is.
func usedRocksDB(fsys vfs.FS, dir string) (bool, error) {
	found, err := isRocksDB(fsys, dir)
	if err != nil || !found {
		return false, err
	}
	files, err := readDir(fsys, dir)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return false, fmt.Errorf("look at %s: %w", filepath.Join(dir, f.Name()), err)
		}
		if ext := filepath.Ext(f.Name()); ext == ".sst" || ext == ".blob" || ext == ".log" && info.Size() > 0 {
			return true, nil
		}
	}
	return false, nil
}

// anyQueue reports whether dir holds at least one queue with a file.
func anyQueue(fsys vfs.FS, dir string) (bool, error) {
	topics, err := readDir(fsys, dir)
	if err != nil {
		return false, err
	}
	for _, t := range topics {
		if !t.IsDir() {
			continue
		}
		queues, err := readDir(fsys, filepath.Join(dir, t.Name()))
		if err != nil {
			return false, err
		}
		for _, q := range queues {
			if !q.IsDir() {
				continue
			}
			files, err := readDir(fsys, filepath.Join(dir, t.Name(), q.Name()))
			if err != nil {
				return false, err
			}
			if len(files) > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// makeDir makes dir with what is above it, so that it survives a power cut. Directories that are there are synced too:
// a process may have made them and been killed before it did.
func makeDir(fsys vfs.FS, dir string) error {
	made := filepath.Clean(dir)
	for d := made; filepath.Dir(d) != d; d = filepath.Dir(d) {
		_, err := fsys.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for %s: %w", d, err)
		}
		made = filepath.Dir(d)
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	for d := filepath.Clean(dir); filepath.Dir(d) != d; d = filepath.Dir(d) {
		above := filepath.Dir(d)
		err := fsys.SyncDir(above)
		if err != nil && len(d) > len(made) {
			return fmt.Errorf("sync directory %s: %w", above, err)
		}
		if err != nil {
			break
		}
	}
	return nil //nolint:nilerr // a directory that we did not make has been there for long
}

func readDir(fsys vfs.FS, dir string) ([]fs.DirEntry, error) {
	list, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return list, nil
}
