package raftlog

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Files of a member: the log with the votes, and the folder "snapshots", which the library makes. Both are opened by
// libraries that know the operating system only, so they are not behind vfs.FS.
const (
	logFile       = "raft.db"
	keepSnapshots = 2
	ownerKey      = "cometmq-owner" // group and id of the member whose folder this is
)

// disk is what a member keeps.
type disk struct {
	log    raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	store  *store // nil when it is in memory
}

func openDisk(o *Options) (*disk, error) {
	if m := o.Memory; m != nil {
		return &disk{log: m, stable: m, snaps: m}, nil
	}
	if err := vfs.OS().MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("make the folder of the controller: %w", err)
	}
	s, err := openStore(o.path(logFile))
	if errors.Is(err, errDamaged) {
		return nil, fmt.Errorf("controller log %s: %w: if a majority of the other controllers is well, remove its folder and they will fill it again", o.path(logFile), err)
	}
	if err != nil {
		return nil, fmt.Errorf("open controller log %s: %w", o.path(logFile), err)
	}
	d := &disk{log: s, stable: s, store: s}
	if err = d.own(o); err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.snaps, err = raft.NewFileSnapshotStoreWithLogger(o.Dir, keepSnapshots, newLogger(o.Log))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the snapshots in %s: %w", o.Dir, err), d.close())
	}
	return d, nil
}

// own marks the folder with its owner and refuses that of somebody else.
func (d *disk) own(o *Options) error {
	want := o.Group + "/" + o.Self
	got, err := d.stable.Get([]byte(ownerKey))
	switch {
	case errors.Is(err, errNotSet):
		if err = d.stable.Set([]byte(ownerKey), []byte(want)); err != nil {
			return fmt.Errorf("mark the folder %s: %w", o.Dir, err)
		}
	case err != nil:
		return fmt.Errorf("read the owner of the folder %s: %w", o.Dir, err)
	case string(got) != want:
		return fmt.Errorf("the folder %s belongs to controller %s, this is %s", o.Dir, got, want)
	}
	return nil
}

func (d *disk) close() error {
	if d.store == nil {
		return nil
	}
	return d.store.close()
}
