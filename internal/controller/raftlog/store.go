package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"runtime/debug"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// store keeps the log and the votes of a member in a bbolt file with two buckets:
//
//	log    key uint64 index; value, by which a flipped bit is found:
//	         uint8   version, 1
//	         uint8   type, the library's number
//	         uint64  term
//	         int64   when the leader appended it, ns since 1970
//	         uint32  n, bytes[n]   entry
//	         bytes                 extensions, the library's
//	         uint32  CRC-32C of the key and all before it
//	votes  key name; value as the library gives it
//
// Numbers are big endian. Each method is one transaction, on disk when it returns.
type store struct{ db *bbolt.DB }

var (
	logBucket   = []byte("log")
	votesBucket = []byte("votes")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

const (
	entryVersion = 1
	entryHead    = 1 + 1 + 8 + 8 + 4
	entryMin     = entryHead + 4
	fileMode     = 0o600
	lockTimeout  = time.Second
)

// errDamaged is wrapped by errors about bytes that are not what was written.
var errDamaged = errors.New("damaged")

// openStore opens or makes the file and reads all of it once, so that damage is an error at the start and not a panic
// somewhere later.
func openStore(name string) (s *store, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	if i, serr := os.Stat(name); serr == nil && i.Size() == 0 {
		// bbolt takes an empty file for a new one. It is one only when it was never written.
		return nil, fmt.Errorf("%w: the file is empty", errDamaged)
	}
	db, err := bbolt.Open(name, fileMode, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, errors.New("another process uses it")
	case err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case err != nil:
		return nil, err
	}
	s = &store{db}
	if err := s.check(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// check makes what is missing and reads what is there.
func (s *store) check() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{logBucket, votesBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		err := tx.Bucket(logBucket).ForEach(func(k, v []byte) error {
			var e raft.Log
			return decodeEntry(k, v, &e)
		})
		if err != nil {
			return err
		}
		return tx.Bucket(votesBucket).ForEach(func(_, _ []byte) error { return nil })
	})
}

func (s *store) close() error { return s.db.Close() }

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

func appendEntry(b []byte, key []byte, e *raft.Log) ([]byte, error) {
	if uint64(len(e.Data)) > math.MaxUint32 {
		return nil, fmt.Errorf("entry %d has %d bytes", e.Index, len(e.Data))
	}
	var at int64
	if !e.AppendedAt.IsZero() {
		at = e.AppendedAt.UnixNano()
	}
	b = append(b, entryVersion, byte(e.Type))
	b = binary.BigEndian.AppendUint64(b, e.Term)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Data)))
	b = append(append(b, e.Data...), e.Extensions...)
	return binary.BigEndian.AppendUint32(b, entrySum(key, b)), nil
}

func entrySum(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b)
}

// decodeEntry fills e, which owns its memory afterwards.
func decodeEntry(k, v []byte, e *raft.Log) error {
	if len(k) != 8 || len(v) < entryMin {
		return fmt.Errorf("%w: an entry with a key of %d and a value of %d bytes", errDamaged, len(k), len(v))
	}
	index := binary.BigEndian.Uint64(k)
	body := v[:len(v)-4]
	if binary.BigEndian.Uint32(v[len(body):]) != entrySum(k, body) {
		return fmt.Errorf("%w: the checksum of entry %d", errDamaged, index)
	}
	n := uint64(binary.BigEndian.Uint32(v[18:]))
	if v[0] != entryVersion || n > uint64(len(body)-entryHead) {
		return fmt.Errorf("%w: entry %d has version %d and length %d", errDamaged, index, v[0], n)
	}
	*e = raft.Log{Index: index, Type: raft.LogType(v[1]), Term: binary.BigEndian.Uint64(v[2:])}
	if at := int64(binary.BigEndian.Uint64(v[10:])); at != 0 {
		e.AppendedAt = time.Unix(0, at)
	}
	own := append([]byte(nil), body[entryHead:]...)
	e.Data = own[:n:n]
	if ext := own[n:]; len(ext) > 0 {
		e.Extensions = ext
	}
	return nil
}

// FirstIndex implements raft.LogStore: 0 when the log is empty.
func (s *store) FirstIndex() (uint64, error) { return s.end((*bbolt.Cursor).First) }

// LastIndex implements raft.LogStore.
func (s *store) LastIndex() (uint64, error) { return s.end((*bbolt.Cursor).Last) }

func (s *store) end(move func(*bbolt.Cursor) (k, v []byte)) (index uint64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if k, _ := move(tx.Bucket(logBucket).Cursor()); len(k) == 8 {
			index = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return index, err
}

// GetLog implements raft.LogStore.
func (s *store) GetLog(index uint64, e *raft.Log) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		key := indexKey(index)
		v := tx.Bucket(logBucket).Get(key)
		if v == nil {
			return raft.ErrLogNotFound
		}
		return decodeEntry(key, v, e)
	})
}

// StoreLog implements raft.LogStore.
func (s *store) StoreLog(e *raft.Log) error { return s.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore.
func (s *store) StoreLogs(entries []*raft.Log) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(logBucket)
		for _, e := range entries {
			key := indexKey(e.Index)
			v, err := appendEntry(nil, key, e)
			if err != nil {
				return err
			}
			if err := b.Put(key, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteRange implements raft.LogStore; both ends are included.
func (s *store) DeleteRange(first, last uint64) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(logBucket)
		k, _ := b.Cursor().Seek(indexKey(first))
		if k == nil {
			return nil
		}
		for i := binary.BigEndian.Uint64(k); i <= last; i++ {
			if err := b.Delete(indexKey(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// errNotSet is what the library knows as a missing value: it compares the text.
var errNotSet = errors.New("not found")

// Set implements raft.StableStore.
func (s *store) Set(key, val []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(votesBucket).Put(key, val) })
}

// Get implements raft.StableStore.
func (s *store) Get(key []byte) (val []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(votesBucket).Get(key)
		if v == nil {
			return errNotSet
		}
		val = append([]byte(nil), v...)
		return nil
	})
	return val, err
}

// SetUint64 implements raft.StableStore.
func (s *store) SetUint64(key []byte, val uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

// GetUint64 implements raft.StableStore.
func (s *store) GetUint64(key []byte) (uint64, error) {
	v, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: %s has %d bytes", errDamaged, key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}
