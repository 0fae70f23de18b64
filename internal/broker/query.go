package broker

import (
	"bytes"
	"context"
	"errors"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

const (
	maxQueryMessages = 64       // Java's maxMsgsNumBatch
	maxQueryBytes    = 12 << 20 // an answer must fit into a frame
)

// MessageAt implements mq.Service.
func (b *Broker) MessageAt(_ context.Context, at mq.Offset, dst []byte) ([]byte, error) {
	rec, err := b.store.ReadAt(at, dst)
	if err != nil {
		return dst, mq.Errorf(mq.KindInternal, "can not find message by the offset, %d", at)
	}
	return rec, nil
}

// QueryByKey implements mq.Service.
//
// Differs from Java: messages that only share a hash with the key are left out.
func (b *Broker) QueryByKey(_ context.Context, q *mq.KeyQuery) (mq.KeyResult, error) {
	limit := min(q.Max, maxQueryMessages)
	if q.Unique {
		limit = b.live.Load().QueryMax
	}
	var out mq.KeyResult
	hits, err := b.store.QueryKeys(q.Topic, q.Key, limit, q.Begin, q.End)
	if err != nil && !errors.Is(err, storage.ErrNoIndex) {
		return out, mq.Errorf(mq.KindInternal, "query messages by key: %s", err.Error())
	}
	out.LastUpdateTime, out.LastUpdateAt = hits.LastTime, hits.LastOffset
	var m record.Message
	for _, off := range hits.Offsets {
		n := len(out.Records)
		recs, err := b.store.ReadAt(off, out.Records)
		if err != nil {
			continue // deleted meanwhile
		}
		if _, err := record.Decode(recs[n:], &m, false); err != nil || string(m.Topic) != q.Topic || !hasKey(m.Props, q.Key) {
			out.Records = recs[:n]
			continue
		}
		if out.Count > 0 && len(recs) > maxQueryBytes {
			break
		}
		out.Records = recs
		out.Count++
	}
	if out.Count == 0 {
		return out, mq.Errorf(mq.KindQueryNotFound, "can not find message, maybe time range not correct")
	}
	return out, nil
}

// hasKey reports whether a message has key as its unique key or among its keys.
func hasKey(p record.Props, key string) bool {
	if uniq, _ := p.Get(record.PropUniqKey); string(uniq) == key {
		return true
	}
	keys, _ := p.Get(record.PropKeys)
	for word := range bytes.SplitSeq(keys, []byte{' '}) {
		if len(word) > 0 && string(word) == key {
			return true
		}
	}
	return false
}
