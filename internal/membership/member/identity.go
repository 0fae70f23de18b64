package member

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Identity is what a broker is to its controllers: the name of its set and the number in it.
type Identity struct {
	Cluster, Name string
	ID            int64 // 1 and up; not the id that name servers see: a master's is 0 there
}

// claim is an identity that was asked for and not confirmed yet.
type claim struct {
	Identity
	Code string // tells the controllers that a repeated question is the same one: "address;milliseconds"
}

// tempSuffix makes the name of the file with the claim.
const tempSuffix = "-temp"

// maxIdentity bounds the files: two names and a number.
const maxIdentity = 64 << 10

// identityFiles are the two files of an identity, in Java's format (docs/formats/broker-identity.md).
type identityFiles struct {
	fs   vfs.FS
	path string // of brokerIdentity
}

func (f identityFiles) temp() string { return f.path + tempSuffix }

// load returns the identity; nil when there is none yet.
func (f identityFiles) load() (*Identity, error) {
	parts, err := f.read(f.path, 3)
	if parts == nil {
		return nil, err
	}
	return parseIdentity(f.path, parts)
}

// loadClaim returns the claim; nil when there is none.
func (f identityFiles) loadClaim() (*claim, error) {
	parts, err := f.read(f.temp(), 4)
	if parts == nil {
		return nil, err
	}
	id, err := parseIdentity(f.temp(), parts)
	if err != nil {
		return nil, err
	}
	if parts[3] == "" {
		return nil, fmt.Errorf("%s: the check code is missing", f.temp())
	}
	return &claim{*id, parts[3]}, nil
}

// save makes id this broker's identity. When it returns nil a crash cannot undo it.
func (f identityFiles) save(id Identity) error {
	return f.write(f.path, fmt.Sprintf("%s#%s#%d", id.Cluster, id.Name, id.ID))
}

func (f identityFiles) saveClaim(c *claim) error {
	return f.write(f.temp(), fmt.Sprintf("%s#%s#%d#%s", c.Cluster, c.Name, c.ID, c.Code))
}

// dropClaim removes the claim's file if it is there.
func (f identityFiles) dropClaim() error {
	err := f.fs.Remove(f.temp())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.fs.SyncDir(filepath.Dir(f.temp()))
	}
	return err
}

func (f identityFiles) write(name, text string) error {
	if err := f.folder(filepath.Dir(name)); err != nil {
		return err
	}
	return vfs.WriteFileAtomic(f.fs, name, []byte(text), false)
}

// folder makes the folder if it is missing, durably.
func (f identityFiles) folder(dir string) error {
	_, err := f.fs.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.fs.MkdirAll(dir); err != nil {
		return err
	}
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if err := f.fs.SyncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

// read returns the want parts of a file; nil when it is missing or empty. Java removes the file before it writes it, so that a
// kill can leave it empty; it takes such a file for none, too.
//
// Differs from Java: there any other text that is not an identity counts as none, too, and the broker gets a new number.
func (f identityFiles) read(name string, want int) ([]string, error) {
	info, err := f.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxIdentity {
		return nil, fmt.Errorf("%s has %d bytes: it is not an identity", name, info.Size())
	}
	data, err := vfs.ReadFile(f.fs, name)
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(string(data), "\r\n \x00")
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, "#")
	if len(parts) != want {
		return nil, fmt.Errorf("%s: %q has %d parts divided by #, want %d: restore the file, or move it away to get a new number in the set", name, text, len(parts), want)
	}
	return parts, nil
}

func parseIdentity(name string, parts []string) (*Identity, error) {
	id, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || id < 1 || parts[0] == "" || parts[1] == "" {
		return nil, fmt.Errorf("%s: want cluster#brokerName#number with a number from 1, not %q", name, strings.Join(parts, "#"))
	}
	return &Identity{parts[0], parts[1], id}, nil
}

// belongs checks that an identity from a file is one of this set.
func (id *Identity) belongs(cluster, name, file string) error {
	if id.Cluster != cluster {
		return fmt.Errorf("%s is of brokerClusterName=%s, this broker's is %s: the store belongs to another broker", file, id.Cluster, cluster)
	}
	if id.Name != name {
		return fmt.Errorf("%s is of brokerName=%s, this broker's is %s: the store belongs to another broker", file, id.Name, name)
	}
	return nil
}
