package storage

import (
	"errors"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

type keyIndex interface {
	Put(topic string, key []byte, off record.Offset, storeMs int64) error
	Flush(sync bool) error
	Query(topic, key string, limit int, begin, end int64) []record.Offset
	TruncateFrom(off record.Offset) error
	Clean(logMin record.Offset) error
	LastUpdate() (int64, record.Offset)
	Close() error
}

func openKeys(vfs.FS, *Options) (keyIndex, error) { return nil, errors.New("not built") }
