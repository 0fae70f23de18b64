package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// keep is what the console keeps for itself, by bucket and key, as JSON. With a file every change is on disk when it returns; the
// file is opened when it is first needed.
type keep struct {
	path string

	mu     sync.Mutex // guards what is below; held while the file is opened and while memory is used
	db     *bbolt.DB
	memory map[string]map[string][]byte // without a file
	closed bool
}

// Buckets of the file.
const (
	usersBucket    = "users"    // by name
	sessionsBucket = "sessions" // by the hash of the id
	tokensBucket   = "tokens"   // by id
	auditBucket    = "audit"    // by time and number
	settingsBucket = "settings"
)

var buckets = []string{usersBucket, sessionsBucket, tokensBucket, auditBucket, settingsBucket}

const (
	keepMode    = 0o600
	lockTimeout = 2 * time.Second
)

var errKeepClosed = errors.New("the dashboard is going down")

func newKeep(path string) *keep { return &keep{path: path, memory: map[string]map[string][]byte{}} }

// file opens the file, nil when everything is in memory.
func (k *keep) file() (*bbolt.DB, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errKeepClosed
	}
	if k.path == "" || k.db != nil {
		return k.db, nil
	}
	db, err := bbolt.Open(k.path, keepMode, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k.path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			if _, berr := tx.CreateBucketIfNotExists([]byte(b)); berr != nil {
				return berr
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", k.path, err), db.Close())
	}
	k.db = db
	return db, nil
}

func (k *keep) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.db == nil {
		return nil
	}
	return k.db.Close()
}

// get reads one value; false: there is none.
func (k *keep) get(bucket, key string, into any) (bool, error) {
	db, err := k.file()
	if err != nil {
		return false, err
	}
	var raw []byte
	if db == nil {
		k.mu.Lock()
		raw = k.memory[bucket][key]
		k.mu.Unlock()
	} else if err = db.View(func(tx *bbolt.Tx) error {
		raw = slices.Clone(tx.Bucket([]byte(bucket)).Get([]byte(key)))
		return nil
	}); err != nil {
		return false, err
	}
	if raw == nil {
		return false, nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("%s: %s %q is damaged: %w", k.path, bucket, key, err)
	}
	return true, nil
}

// put stores one value.
func (k *keep) put(bucket, key string, v any) error {
	return k.change(bucket, func(b table) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return b.Put([]byte(key), raw)
	})
}

func (k *keep) remove(bucket string, keys ...string) error {
	return k.change(bucket, func(b table) error {
		for _, key := range keys {
			if err := b.Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

// table is a bucket that can be changed.
type table interface {
	Get(key []byte) []byte
	Put(key, value []byte) error
	Delete(key []byte) error
}

// change is one transaction on a bucket.
func (k *keep) change(bucket string, do func(b table) error) error {
	db, err := k.file()
	if err != nil {
		return err
	}
	if db == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		m := k.memory[bucket]
		if m == nil {
			m = map[string][]byte{}
			k.memory[bucket] = m
		}
		return do(inMemory(m))
	}
	return db.Update(func(tx *bbolt.Tx) error { return do(tx.Bucket([]byte(bucket))) })
}

type inMemory map[string][]byte

func (m inMemory) Get(key []byte) []byte { return m[string(key)] }

func (m inMemory) Put(key, value []byte) error {
	m[string(key)] = value
	return nil
}

func (m inMemory) Delete(key []byte) error {
	delete(m, string(key))
	return nil
}

var errStop = errors.New("stop")

// scan shows all values of a bucket by key, down: from the last one, until show returns errStop. What it gets is not kept.
func (k *keep) scan(bucket string, down bool, show func(key string, raw []byte) error) error {
	db, err := k.file()
	if err != nil {
		return err
	}
	if db == nil {
		k.mu.Lock()
		m := maps.Clone(k.memory[bucket])
		k.mu.Unlock()
		keys := slices.Sorted(maps.Keys(m))
		if down {
			slices.Reverse(keys)
		}
		for _, key := range keys {
			if err = show(key, m[key]); err != nil {
				break
			}
		}
	} else {
		err = db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket([]byte(bucket)).Cursor()
			first, next := c.First, c.Next
			if down {
				first, next = c.Last, c.Prev
			}
			for key, raw := first(); key != nil; key, raw = next() {
				if serr := show(string(key), raw); serr != nil {
					return serr
				}
			}
			return nil
		})
	}
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}
