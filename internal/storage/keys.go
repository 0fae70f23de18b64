package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/keyindex"
)

// openKeys opens the key index; trust is where the log is dispatched again from, clean that nothing has to be mended.
func (s *Store) openKeys(trust record.Offset, clean bool) (*keyindex.Index, error) {
	keys, err := keyindex.Open(s.fs, filepath.Join(s.o.Dir, "index"), keyindex.Options{
		Slots: int32(s.o.IndexSlots), Capacity: int32(s.o.IndexCapacity), Recovering: !clean, Now: s.o.Now, Log: s.o.Log,
		Wake: func() {
			select {
			case s.keep <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open key index: %w", err)
	}
	if clean {
		return keys, nil
	}
	if err := keys.Recover(trust); err != nil {
		return nil, errors.Join(fmt.Errorf("recover key index: %w", err), keys.Close())
	}
	return keys, nil
}

// aborted reports whether the last exit was not clean.
func (s *Store) aborted() (bool, error) {
	_, err := s.fs.Stat(s.abortPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the abort file: %w", err)
	}
	return true, nil
}

// tagKey begins the text under which Java 5.5.0 finds tags in the key index.
const tagKey = "T#"

// putKeys puts the unique key, the keys and the tags of the current record into the key index, in Java's order.
func (s *Store) putKeys(sc *commitlog.Scanner, props *record.Indexed) error {
	m, keys := &sc.Msg, s.keys
	if props.UniqKey != nil {
		if err := keys.Put(m.Topic, props.UniqKey, sc.Offset, m.StoreTime); err != nil {
			return err
		}
	}
	for list := props.Keys; len(list) > 0; {
		var key []byte
		if key, list, _ = bytes.Cut(list, []byte{' '}); len(key) == 0 {
			continue
		}
		if err := keys.Put(m.Topic, key, sc.Offset, m.StoreTime); err != nil {
			return err
		}
	}
	if !s.o.IndexTags {
		return nil
	}
	if props.Tags != nil {
		s.tagKey = append(append(s.tagKey[:0], tagKey...), props.Tags...)
		return keys.Put(m.Topic, s.tagKey, sc.Offset, m.StoreTime)
	}
	return nil
}
