package series

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cometmq/cometmq/internal/kvfile"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Interval is the time between samples.
const Interval = 10 * time.Second

// perMinute is how many samples a minute has.
const perMinute = int64(time.Minute / Interval)

// tier is one resolution. All spans are multiples of the next coarser tier's step.
type tier struct {
	step    int64 // s
	span    int64 // of a block, s
	keep    int64 // s
	columns int
}

var tiers = [...]tier{
	{step: 10, span: 30 * 60, keep: 6 * 3600, columns: 1},
	{step: 60, span: 2 * 3600, keep: 3 * 24 * 3600, columns: rolled},
	{step: 600, span: 24 * 3600, keep: 30 * 24 * 3600, columns: rolled},
}

const (
	fine = iota
	minutes
	tens // of minutes
)

func (t *tier) slots() int           { return int(t.span / t.step) }
func (t *tier) block(at int64) int64 { return at - at%t.span }
func (t *tier) slot(at int64) int    { return int(at % t.span / t.step) }
func (t *tier) grid() *grid          { return newGrid(t.columns, t.slots()) }

const (
	// defaultLimit is the number of series that are kept.
	defaultLimit = 20_000
	// future is how far ahead of the clock a block may be: what is behind was written while the clock was wrong.
	future = 24 * 3600
)

// Options of a Store. The zero value but for Path works.
type Options struct {
	FS    vfs.FS // vfs.OS
	Path  string // of the file; it is made with the first samples
	Limit int    // series, 20,000
	Log   *slog.Logger
	Now   func() time.Time // time.Now
	// NoSync is kvfile's, for tests.
	NoSync bool
}

// Sample is one value of one series. Labels are the values of the definition's, the cluster's first.
type Sample struct {
	Name   string
	Labels []string
	Value  float64
}

// Stats says what became of series and samples since the start.
type Stats struct {
	Series  int   // that are known
	Evicted int64 // forgotten because there were too many
	Refused int64 // samples of series that found no place or have no legal name
	Lost    int64 // minutes of one series that could not be written
}

// Store keeps samples.
type Store struct {
	limit int
	log   *slog.Logger
	now   func() time.Time
	file  *kvfile.File

	writing chan struct{} // one slot: Flush has it
	grids   [len(tiers)]*grid
	caught  bool // with writing: what a killed process left unfinished is done

	mu      sync.Mutex // guards what follows and the fields of entries
	entries map[identity]*entry
	next    uint32
	failing bool

	evicted, refused, lost atomic.Int64
}

// entry is one series.
type entry struct {
	id     identity
	number uint32
	seen   int64 // s, when it was written last
	named  int64 // the seen of its name in the file, 0: it has none
	at     int64 // s, of value; 0: none since the start
	value  float64
	// waiting are the samples of two minutes, even and odd: one is being sampled while the other is written.
	waiting [2]minute
}

// minute holds the samples that are not in the file yet.
type minute struct {
	start int64 // s, 0: none
	v     [perMinute]float64
}

// Open returns the store of a file. A file that cannot be read costs what is in it and is no error: it was said in the log, and the
// store goes on with a new file or in memory.
func Open(o Options) *Store {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{limit: o.Limit, log: o.Log, now: o.Now, writing: make(chan struct{}, 1), entries: map[identity]*entry{}, next: 1}
	s.file = kvfile.New(kvfile.Options{FS: o.FS, Path: o.Path, Log: o.Log, NoSync: o.NoSync})
	if err := s.load(); err != nil {
		s.entries = map[identity]*entry{}
		if !errors.Is(err, kvfile.ErrDamaged) { // of that kvfile has told
			s.log.Warn("the past of the charts cannot be read", "file", o.Path, "err", err)
		}
	}
	return s
}

var (
	namesBucket = []byte("names")
	blockPrefix = []byte("b")
)

// blockBucket is the name of the bucket with the blocks of all series of a tier from a time on; its keys are numbers of series.
func blockBucket(tier int, start int64) []byte {
	return binary.BigEndian.AppendUint64(append(slices.Clone(blockPrefix), byte(tier)), uint64(start))
}

// parseBlockBucket is the reverse.
func parseBlockBucket(name []byte) (tier int, start int64, ok bool) {
	if len(name) != len(blockPrefix)+9 || name[0] != blockPrefix[0] || int(name[1]) >= len(tiers) {
		return 0, 0, false
	}
	return int(name[1]), int64(binary.BigEndian.Uint64(name[2:])), true
}

func numberKey(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// load reads the names.
func (s *Store) load() error {
	oldest := s.now().Unix() - tiers[tens].keep
	return s.file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(namesBucket)
		if b == nil {
			return nil
		}
		bad := 0
		err := b.ForEach(func(k, v []byte) error {
			id, seen, damage := decodeName(k, v)
			if len(k) == 4 {
				s.next = max(s.next, binary.BigEndian.Uint32(k)+1)
			}
			if damage != nil {
				bad++
			} else if d, _ := id.split(); d != nil && seen >= oldest && len(s.entries) < s.limit {
				s.entries[id] = &entry{id: id, number: binary.BigEndian.Uint32(k), seen: seen, named: seen}
			}
			return nil
		})
		if bad > 0 {
			s.log.Warn("names of series are damaged: their past is gone", "series", bad)
		}
		return err
	})
}

// Record takes samples of a moment, which is that of the tick.
func (s *Store) Record(at time.Time, samples []Sample) {
	sec := at.Unix()
	start := sec - sec%60
	slot := sec % 60 / int64(Interval/time.Second)
	var buf []byte
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range samples {
		p := &samples[i]
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		buf = appendIdentity(buf[:0], p.Name, p.Labels...)
		e := s.entries[identity(buf)]
		if e == nil {
			if e = s.addLocked(identity(buf), sec); e == nil {
				s.refused.Add(1)
				continue
			}
		}
		e.seen = max(e.seen, sec)
		m := &e.waiting[start/60%2]
		if m.start != start {
			if m.start != 0 {
				s.lost.Add(1)
			}
			m.start = start
			for j := range m.v {
				m.v[j] = math.NaN()
			}
		}
		m.v[slot] = p.Value
		if sec >= e.at {
			e.at, e.value = sec, p.Value
		}
	}
}

func (s *Store) addLocked(id identity, now int64) *entry {
	if d, _ := id.split(); d == nil || len(id) > maxIdentity || s.next == math.MaxUint32 {
		return nil
	}
	if len(s.entries) >= s.limit && !s.evictLocked(now) {
		return nil
	}
	e := &entry{id: id, number: s.next}
	s.next++
	s.entries[id] = e
	return e
}

// evictLocked forgets series that were written longest ago, several at once so that not each new series walks over all of them. What
// was written in the last minute stays: it would come back at once.
func (s *Store) evictLocked(now int64) bool {
	var old []*entry
	for _, e := range s.entries {
		if e.seen < now-60 {
			old = append(old, e)
		}
	}
	slices.SortFunc(old, func(a, b *entry) int { return int(a.seen - b.seen) })
	old = old[:min(len(old), max(s.limit/100, 1))]
	for _, e := range old {
		delete(s.entries, e.id)
	}
	s.evicted.Add(int64(len(old)))
	return len(old) > 0
}

// Stats returns what was counted.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	n := len(s.entries)
	s.mu.Unlock()
	return Stats{Series: n, Evicted: s.evicted.Load(), Refused: s.refused.Load(), Lost: s.lost.Load()}
}

// Close writes what waits and closes the file.
func (s *Store) Close() error {
	err := s.Flush(time.Unix(math.MaxInt32, 0))
	return errors.Join(err, s.file.Close())
}
