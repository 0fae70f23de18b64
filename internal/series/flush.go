package series

import (
	"errors"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cometmq/cometmq/internal/kvfile"
)

// job is one minute of one series on its way to the file.
type job struct {
	e    *entry
	m    minute
	name bool // the name must be written, too
	seen int64
}

// Flush writes the minutes that were over before a moment, in one transaction, and forgets what is too old. What it cannot write waits
// for the next call, and is lost when the minute after the next begins.
func (s *Store) Flush(before time.Time) error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	jobs := s.take(before.Unix())
	if len(jobs) == 0 {
		return nil
	}
	err := s.write(jobs)
	if errors.Is(err, kvfile.ErrDamaged) { // the next one is a new file without names
		s.mu.Lock()
		for _, e := range s.entries {
			e.named = 0
		}
		s.mu.Unlock()
		for i := range jobs {
			jobs[i].name = true
		}
		err = s.write(jobs)
	}
	s.mu.Lock()
	failed := err != nil && !errors.Is(err, kvfile.ErrClosed)
	if failed != s.failing {
		s.failing = failed
		defer func() {
			if failed {
				s.log.Warn("samples for the charts cannot be written", "err", err)
			} else {
				s.log.Info("samples for the charts are written again")
			}
		}()
	}
	if err == nil {
		s.doneLocked(jobs)
	}
	s.mu.Unlock()
	return err
}

// take copies what is to be written.
func (s *Store) take(before int64) []job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var jobs []job
	for _, e := range s.entries {
		for i := range e.waiting {
			if m := &e.waiting[i]; m.start != 0 && m.start+60 <= before {
				seen := tiers[fine].block(m.start)
				jobs = append(jobs, job{e: e, m: *m, name: e.named < seen || e.named == 0, seen: seen})
			}
		}
	}
	return jobs
}

func (s *Store) doneLocked(jobs []job) {
	for i := range jobs {
		j := &jobs[i]
		if j.name {
			j.e.named = max(j.seen, 1)
		}
		m := &j.e.waiting[j.m.start/60%2]
		if m.start != j.m.start {
			continue
		}
		m.start = 0
		for k, v := range m.v {
			if !math.IsNaN(v) && math.IsNaN(j.m.v[k]) { // it came while the file was written
				m.start = j.m.start
			}
		}
	}
}

// write is one transaction.
func (s *Store) write(jobs []job) error {
	for i := range s.grids {
		s.grids[i] = tiers[i].grid()
	}
	defer func() { clear(s.grids[:]) }()
	caught := false
	err := s.file.Update(func(tx *bbolt.Tx) error {
		names, err := tx.CreateBucketIfNotExists(namesBucket)
		if err != nil {
			return err
		}
		if !s.caught {
			if err := s.catchUp(tx); err != nil {
				return err
			}
			caught = true
		}
		w := &writer{tx: tx, grids: &s.grids}
		for i := range jobs {
			j := &jobs[i]
			key := numberKey(j.e.number)
			if j.name {
				if err := names.Put(key, encodeName(key, j.e.id, j.seen)); err != nil {
					return err
				}
			}
			if err := w.minute(key, &j.m); err != nil {
				return err
			}
		}
		return s.expire(tx)
	})
	s.caught = s.caught || (caught && err == nil)
	return err
}

// writer puts minutes into blocks.
type writer struct {
	tx      *bbolt.Tx
	grids   *[len(tiers)]*grid
	buckets [len(tiers)]*bbolt.Bucket
	starts  [len(tiers)]int64
}

// bucket returns the one of a block.
func (w *writer) bucket(tier int, start int64) (*bbolt.Bucket, error) {
	if w.buckets[tier] != nil && w.starts[tier] == start {
		return w.buckets[tier], nil
	}
	b, err := w.tx.CreateBucketIfNotExists(blockBucket(tier, start))
	if err != nil {
		return nil, err
	}
	w.buckets[tier], w.starts[tier] = b, start
	return b, nil
}

// change reads a block of a series, lets fn change it and writes it if fn says so.
func (w *writer) change(tier int, at int64, key []byte, fn func(g *grid) bool) error {
	b, err := w.bucket(tier, tiers[tier].block(at))
	if err != nil {
		return err
	}
	g := w.grids[tier]
	if err = g.decode(b.Get(key)); err != nil && !errors.Is(err, errBlock) {
		return err
	} // a damaged block is begun anew: it holds half an hour of one line of a chart
	if !fn(g) {
		return nil
	}
	// bbolt keeps the slice until the transaction ends.
	v, err := g.encode()
	if err != nil {
		return err
	}
	return b.Put(key, v)
}

// minute writes the samples of a minute and what follows from them in the coarser tiers.
func (w *writer) minute(key []byte, m *minute) error {
	var values []float64
	err := w.change(fine, m.start, key, func(g *grid) bool {
		first := tiers[fine].slot(m.start)
		values = g.col(0)[first : first+int(perMinute)]
		for i, v := range m.v {
			if !math.IsNaN(v) {
				values[i] = v
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	err = w.change(minutes, m.start, key, func(g *grid) bool { return g.put(tiers[minutes].slot(m.start), values) })
	if err != nil {
		return err
	}
	if step := tiers[tens].step; m.start%step != step-60 {
		return nil
	}
	return w.ten(key, m.start)
}

// ten thins out the ten minutes of a moment; the grid of minutes is that of their block.
func (w *writer) ten(key []byte, at int64) error {
	at -= at % tiers[tens].step
	first, n := tiers[minutes].slot(at), int(tiers[tens].step/tiers[minutes].step)
	return w.change(tens, at, key, func(g *grid) bool {
		return g.again(tiers[tens].slot(at), w.grids[minutes], first, n)
	})
}

// catchUp thins out the ten minutes that were not over when the process ended.
func (s *Store) catchUp(tx *bbolt.Tx) error {
	now := s.now().Unix()
	w := &writer{tx: tx, grids: &s.grids}
	t := &tiers[minutes]
	for start := t.block(now) - t.span; start <= now; start += t.span {
		b := tx.Bucket(blockBucket(minutes, start))
		if b == nil {
			continue
		}
		err := b.ForEach(func(key, v []byte) error {
			if err := w.grids[minutes].decode(v); err != nil {
				return nil //nolint:nilerr // a damaged block has nothing to thin out
			}
			last := len(w.grids[minutes].col(colLast)) - 1
			for last >= 0 && math.IsNaN(w.grids[minutes].col(colLast)[last]) {
				last--
			}
			at := start + int64(last)*t.step
			if last < 0 || at-at%tiers[tens].step+tiers[tens].step > now {
				return nil
			}
			return w.ten(key, at)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expire drops blocks that are too old, and those of a future that a wrong clock has made; and the names that have no block any more.
func (s *Store) expire(tx *bbolt.Tx) error {
	now := s.now().Unix()
	var gone [][]byte
	err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if t, start, ok := parseBlockBucket(name); ok && (start+tiers[t].span <= now-tiers[t].keep || start > now+future) {
			gone = append(gone, name)
		}
		return nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	days := false
	for _, name := range gone {
		t, _, _ := parseBlockBucket(name)
		days = days || t == tens
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
	}
	if !days {
		return nil
	}
	oldest := now - tiers[tens].keep
	s.mu.Lock()
	for id, e := range s.entries {
		if e.seen < oldest {
			delete(s.entries, id)
		}
	}
	s.mu.Unlock()
	c := tx.Bucket(namesBucket).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if _, seen, err := decodeName(k, v); err != nil || seen < oldest {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	return nil
}
