package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/compaction"
)

// Compacted topics. Messages are stored, indexed and deleted after a time as all others. One goroutine copies them from their queue to the
// compaction log as well, and from time to time throws away there what is outdated. A reader gets what is in the compaction log from
// there, and what is not in it yet from the queue; so it never waits for the copy.

// compactor is the goroutine's.
type compactor struct {
	busy chan struct{} // its holder may change logs, positions and what list has
	at   *compaction.Positions

	mu   sync.Mutex // guards list
	list []*compacted
}

// compacted is a queue with a compaction log.
type compacted struct {
	q   *Queue
	log *compaction.Log
	// followed is how far the queue has been copied. Messages without a key are not.
	followed atomic.Int64
}

func (s *Store) compactDir() string { return filepath.Join(s.o.Dir, "compaction") }

func (s *Store) compactOptions() compaction.Options {
	return compaction.Options{
		FS: s.fs, Dir: s.compactDir(), FileSize: s.o.CompactFileSize, QueueFileSize: s.o.CompactQueueSize, MapBytes: s.o.CompactMapBytes, Log: s.o.Log,
	}
}

// KeepCompacted makes the first n queues of a topic compacted ones. It may be called again.
func (s *Store) KeepCompacted(topic string, n int32) error {
	c := &s.compactor
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	if c.at == nil {
		at, err := compaction.OpenPositions(s.fs, s.compactDir())
		if err != nil {
			return err
		}
		c.at = at
	}
	for id := range n {
		q := s.Queue(topic, id)
		if q.compact.Load() != nil {
			continue
		}
		log, err := compaction.Open(s.compactOptions(), topic, id)
		if err != nil {
			return err
		}
		_, hi := log.Bounds()
		if end := q.Max(); end > 0 && hi > end {
			// The log was cut: these messages never were.
			if err := log.Cut(end); err != nil {
				return errors.Join(err, log.Close())
			}
			_, hi = log.Bounds()
		}
		k := &compacted{q: q, log: log}
		k.followed.Store(int64(hi))
		q.compact.Store(k)
		c.mu.Lock()
		c.list = append(c.list, k)
		c.mu.Unlock()
	}
	return nil
}

func (c *compactor) all() []*compacted {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// runCompact works until ctx ends.
func (s *Store) runCompact(ctx context.Context) error {
	copied, compacts := time.NewTicker(s.o.CompactFollow), time.NewTicker(s.o.CompactInterval)
	defer copied.Stop()
	defer compacts.Stop()
	for {
		due := false
		select {
		case <-ctx.Done():
			return nil
		case <-copied.C:
		case <-compacts.C:
			due = true
		}
		if len(s.compactor.all()) == 0 {
			continue
		}
		err := s.copyCompacted(false)
		if due && err == nil {
			err = s.compactAll(ctx)
		}
		if err != nil && ctx.Err() == nil && s.stats.mayComplain(s.o.Now()) {
			s.o.Log.Error("compacted topics, trying again", "err", err)
		}
	}
}

// copyCompacted copies what is new; with durable it is on disk then.
func (s *Store) copyCompacted(durable bool) error {
	c := &s.compactor
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	var failed error
	for _, k := range c.all() {
		err := s.copyQueue(k)
		if err == nil && durable {
			err = k.log.Sync()
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// copiedTo reports whether compacted topics have all that they need of the log before end, on disk.
func (s *Store) copiedTo(end record.Offset) bool {
	c := &s.compactor
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	for _, k := range c.all() {
		var e [1]Entry
		from := record.Index(k.followed.Load())
		n, next, err := s.Entries(k.q, from, e[:])
		if err != nil || next != from && n == 0 || n > 0 && e[0].Offset < end || k.log.Sync() != nil {
			return false
		}
	}
	return true
}

// copyQueue copies what is new in one queue by now.
func (s *Store) copyQueue(k *compacted) error {
	var entries [128]Entry
	rd := s.NewReader()
	defer rd.Close()
	var m record.Message
	_, end, err := k.q.Bounds()
	if err != nil {
		return err
	}
	for {
		from := record.Index(k.followed.Load())
		if from >= end { // what comes meanwhile is left for the next time: senders may be as fast
			return nil
		}
		n, next, err := s.Entries(k.q, from, entries[:])
		if err != nil {
			return err
		}
		if next == from {
			return nil
		}
		for i := range entries[:n] {
			e := &entries[i]
			if e.Offset < 0 {
				continue
			}
			rec, err := rd.Record(e.Offset, int(e.Size))
			if err == nil {
				_, err = record.Decode(rec, &m, false)
			}
			if err != nil && !IsLost(err) {
				return err
			}
			if err != nil || m.Index != e.Index {
				continue
			}
			if key, ok := m.Props.Get(record.PropKeys); !ok || len(bytes.TrimSpace(key)) == 0 {
				continue
			}
			err = k.log.Append(rec, compaction.Unit{Tags: e.Tags, Time: m.StoreTime, Index: e.Index})
			switch {
			case errors.Is(err, compaction.ErrTooLarge):
				s.complain("message left out", k.q, e.Index, err)
			case err != nil:
				return err
			}
		}
		if err := k.log.Flush(); err != nil {
			return err
		}
		k.followed.Store(int64(next))
	}
}

// compactAll throws away what is outdated.
func (s *Store) compactAll(ctx context.Context) error {
	var failed error
	for _, k := range s.compactor.all() {
		failed = errors.Join(failed, s.compactOne(ctx, k))
	}
	return failed
}

// compactOne does it in one queue; between two of them others may have their turn.
func (s *Store) compactOne(ctx context.Context, k *compacted) error {
	c := &s.compactor
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	if k.q.compact.Load() != k {
		return nil // deleted meanwhile
	}
	done := c.at.Get(k.q.topic, k.q.id)
	now, err := k.log.Compact(ctx, done)
	if err != nil || now == done {
		return err
	}
	return c.at.Set(k.q.topic, k.q.id, now)
}

// dropCompacted removes the compaction logs of a topic, and that it is one.
func (s *Store) dropCompacted(topic string) error {
	c := &s.compactor
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	var failed error
	for _, k := range c.all() {
		if k.q.topic != topic {
			continue
		}
		k.q.compact.Store(nil)
		c.mu.Lock()
		c.list = slices.DeleteFunc(c.list, func(o *compacted) bool { return o == k })
		c.mu.Unlock()
		failed = errors.Join(failed, k.log.Remove(), c.at.Set(topic, k.q.id, -1))
	}
	for _, dir := range []string{"compactionLog", "compactionCq"} {
		failed = errors.Join(failed, s.fs.RemoveAll(filepath.Join(s.compactDir(), dir, topic)))
	}
	return failed
}

// closeCompacted ends the compaction logs. Run has returned.
func (s *Store) closeCompacted(clean bool) error {
	var failed error
	if clean && len(s.compactor.all()) > 0 {
		failed = s.copyCompacted(true)
	}
	c := &s.compactor
	c.mu.Lock()
	list := c.list
	c.list = nil
	c.mu.Unlock()
	for _, k := range list {
		k.q.compact.Store(nil)
		failed = errors.Join(failed, k.log.Close())
	}
	if failed != nil {
		return fmt.Errorf("compacted topics: %w", failed)
	}
	return nil
}

// readCompacted is Read for a compacted queue. As in Java a position before the first message that is left finds that one.
func (s *Store) readCompacted(k *compacted, r *Read, dst []byte) ReadResult {
	res := ReadResult{Records: dst, Next: r.From}
	cq := k.q.queue()
	if err := cq.Open(); err != nil {
		s.complain("open queue", k.q, r.From, err)
		res.Status = OffsetFoundNull
		return res
	}
	lo, hi := k.log.Bounds()
	copied := max(record.Index(k.followed.Load()), hi)
	if res.Min, res.Max = lo, max(cq.Next(), hi); hi == 0 {
		res.Min = cq.Min()
	}
	switch {
	case res.Max == 0:
		res.Status, res.Next = NoMessageInQueue, 0
		return res
	case r.From == res.Max:
		res.Status = OffsetOverflowOne
		return res
	case r.From > res.Max:
		if res.Status, res.Next = OffsetOverflowBadly, res.Max; res.Min == 0 {
			res.Next = 0
		}
		return res
	}
	if r.From < copied {
		s.takeCompacted(k, r, &res)
		if res.Count > 0 || res.Status == OffsetFoundNull {
			return res
		}
		res.Next = max(res.Next, min(copied, res.Max))
	}
	if res.Next = max(res.Next, cq.Min()); res.Next < res.Max {
		tail := *r
		tail.From = res.Next
		rd := s.readers.take(cq)
		s.read(rd, k.q, cq, &tail, &res)
		s.readers.giveBack(cq, rd)
	} else {
		res.Status = NoMatchedMessage
	}
	return res
}

// takeCompacted reads from the compaction log.
func (s *Store) takeCompacted(k *compacted, r *Read, res *ReadResult) {
	count, maxBytes, scan := r.limits()
	start := len(res.Records)
	res.Status = NoMatchedMessage
	err := k.log.Each(max(r.From, 0), func(u *compaction.Unit, read func([]byte) ([]byte, error)) bool {
		if scan--; scan < 0 || res.Count > 0 && (res.Count >= count || len(res.Records)-start+int(u.Size) > maxBytes) {
			return false
		}
		if r.Match != nil && !r.Match(u.Tags) {
			res.Next = u.Index + 1
			return true
		}
		at := len(res.Records)
		records, err := read(res.Records)
		if err != nil {
			s.stats.damaged.Add(1)
			s.complain("damaged message left out", k.q, u.Index, err)
			res.Damaged++
			res.Next = u.Index + 1
			return true
		}
		res.Next = u.Index + 1
		if r.Props != nil && !wanted(records[at:], r.Props) {
			return true
		}
		res.Records, res.Status = records, Found
		res.Count++
		return true
	})
	if err != nil {
		s.complain("read compaction log", k.q, res.Next, err)
		if res.Count == 0 {
			res.Status = OffsetFoundNull
		}
	}
}
