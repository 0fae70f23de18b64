package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/version"
	"github.com/cometmq/cometmq/internal/vfs"
)

// formatVersion counts the changes of what is on disk that a program which does not know them would get wrong. What Java's broker
// reads never changes; these are about the folder of ours next to it.
const formatVersion = 1

// format is the file that says who may read a store, cometmq/format.json in its root. Java's broker does not look at it.
type format struct {
	Version   int    `json:"version"`
	MinReader int    `json:"minReaderVersion"` // the oldest formatVersion of a program that understands the store
	WrittenBy string `json:"writtenBy"`        // for the operator who has to find that program
}

func formatFile(root string) string { return filepath.Join(root, "cometmq", "format.json") }

// errNewer is a store that this program does not understand.
type errNewer struct {
	file  string
	found format
}

func (e *errNewer) Error() string {
	return fmt.Sprintf("%s: the store has format %d, which programs from format %d on read; this one (%s) knows format %d. It was written by %s: use that version or a later one",
		e.file, e.found.Version, e.found.MinReader, version.Get().Short(), formatVersion, e.found.WrittenBy)
}

// readFormat refuses a store that is too new, before anything of it is touched. A store without the file is Java's, or older than
// the file; both can be read.
func readFormat(f vfs.FS, root string) (format, error) {
	name := formatFile(root)
	data, err := vfs.ReadFile(f, name)
	if errors.Is(err, fs.ErrNotExist) {
		return format{}, nil
	}
	if err != nil {
		return format{}, fmt.Errorf("read %s: %w", name, err)
	}
	var found format
	if err := json.Unmarshal(data, &found); err != nil || found.Version < 1 || found.MinReader < 1 {
		return format{}, fmt.Errorf("%s is damaged, so that it cannot be told whether this program understands the store: "+
			"when no newer one has written it, delete the file (%w)", name, errors.Join(errDamagedFormat, err))
	}
	if found.MinReader > formatVersion {
		return found, &errNewer{name, found}
	}
	return found, nil
}

var errDamagedFormat = errors.New("no format version in it")

// writeFormat says who writes from now on, if that is something new. A store keeps the higher version of a program that was rolled
// back, since what that one wrote may still be there.
func writeFormat(f vfs.FS, root string, was format) error {
	now := format{Version: max(was.Version, formatVersion), MinReader: max(was.MinReader, 1), WrittenBy: version.Get().Short()}
	if was.Version > formatVersion {
		now.WrittenBy = was.WrittenBy
	}
	if now == was {
		return nil
	}
	data, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return err
	}
	name := formatFile(root)
	if err := f.MkdirAll(filepath.Dir(name)); err != nil {
		return fmt.Errorf("make %s: %w", filepath.Dir(name), err)
	}
	return vfs.WriteFileAtomic(f, name, append(data, '\n'), false)
}
