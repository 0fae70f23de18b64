package alerts

import (
	"encoding/json"
	"maps"

	"go.etcd.io/bbolt"
)

// apply changes what is in memory, and then the file. What an operator asked for must be on disk; what the watcher found counts in any
// case: a full disk is what an alert is to tell about. The caller has the turn.
func (w *Watcher) apply(change func(), must bool) error {
	w.mu.Lock()
	before := w.copyLocked()
	change()
	after := w.copyLocked()
	dirty := w.dirty
	w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	if dirty {
		before = nil
	}
	err := w.file.Update(func(tx *bbolt.Tx) error { return write(tx, before, after) })
	if err != nil && before != nil { // perhaps the file was damaged and is a new one now
		err = w.file.Update(func(tx *bbolt.Tx) error { return write(tx, nil, after) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !w.dirty {
		w.o.Log.Warn("rules and alerts cannot be written: a restart may repeat or forget messages", "file", w.o.Path, "err", err)
	}
	w.dirty = err != nil
	if must {
		return err
	}
	return nil
}

// picture is all that the file has.
type picture struct {
	rules    map[string]*Rule
	alerts   map[string]*Alert
	outbox   map[string]*message
	settings Settings
}

func (w *Watcher) copyLocked() *picture {
	return &picture{rules: maps.Clone(w.rules), alerts: maps.Clone(w.alerts), outbox: maps.Clone(w.outbox), settings: w.settings}
}

// write brings the file from one picture to another; nil: from any.
func write(tx *bbolt.Tx, from, to *picture) error {
	if from == nil || tx.Bucket(rulesBucket) == nil {
		from = &picture{}
		for _, name := range [][]byte{rulesBucket, alertsBucket, outboxBucket, metaBucket} {
			if tx.Bucket(name) != nil {
				if err := tx.DeleteBucket(name); err != nil {
					return err
				}
			}
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
	}
	if err := table(tx.Bucket(rulesBucket), from.rules, to.rules); err != nil {
		return err
	}
	if err := table(tx.Bucket(alertsBucket), from.alerts, to.alerts); err != nil {
		return err
	}
	if err := table(tx.Bucket(outboxBucket), from.outbox, to.outbox); err != nil {
		return err
	}
	if from.settings == to.settings {
		return nil
	}
	v, err := json.Marshal(&to.settings) //nolint:gosec // the secret is kept here: the file is its owner's only
	if err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(settingsKey, v)
}

// table writes what differs. Values are replaced and never changed, so that pointers tell.
func table[T any](b *bbolt.Bucket, from, to map[string]*T) error {
	for k := range from {
		if to[k] == nil {
			if err := b.Delete([]byte(k)); err != nil {
				return err
			}
		}
	}
	for k, v := range to {
		if from[k] == v {
			continue
		}
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := b.Put([]byte(k), data); err != nil {
			return err
		}
	}
	return nil
}
