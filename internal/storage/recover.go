package storage

import (
	"fmt"
	"math/bits"
	"path/filepath"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
)

// javaRewind is how far before Java's checkpoint queues are not believed (Java: 3 s, which is not enough, because its
// checkpoint runs ahead of the queue files).
const javaRewind = time.Minute

// open loads and recovers everything. The lock is held.
func (s *Store) open() (err error) {
	defer func() {
		if err != nil {
			if cerr := s.closeFiles(); cerr != nil {
				s.o.Log.Warn("close after a failed open", "err", cerr)
			}
		}
	}()
	if lerr := checkLayout(s.fs, s.o.Dir); lerr != nil {
		return lerr
	}
	queueDir := filepath.Join(s.o.Dir, "consumequeue")
	haveQueues, err := isDir(s.fs, queueDir)
	if err != nil {
		return err
	}
	for _, dir := range []string{s.o.CommitLogDir, queueDir} {
		if derr := makeDir(s.fs, dir); derr != nil {
			return derr
		}
	}
	s.log, err = commitlog.Open(s.fs, s.o.CommitLogDir, commitlog.Options{
		SegmentSize: s.o.SegmentSize, Key: "mappedFileSizeCommitLog", CacheBytes: s.o.CacheBytes,
		FlushInterval: s.o.FlushInterval, PropCRC: s.o.AppendPropCRC, Now: s.o.Now, Log: s.o.Log, Synced: s.o.Synced,
		OnFlush: func() {
			if s.o.FlushSync {
				s.wake()
			}
		},
	})
	if err != nil {
		return err
	}
	if s.log.Empty() {
		for _, dir := range []string{queueDir, filepath.Join(s.o.Dir, "batchconsumequeue")} {
			found, ferr := anyQueue(s.fs, dir)
			if ferr != nil {
				return ferr
			}
			if found {
				return fmt.Errorf("%s is empty but %s holds queues: is the disk with the log mounted? To start without the old messages move the %s folder away",
					s.o.CommitLogDir, dir, filepath.Base(dir))
			}
		}
	}
	if s.cp, err = loadCheckpoint(s.fs, s.o.Dir); err != nil {
		return err
	}
	aborted, err := s.aborted()
	if err != nil {
		return err
	}
	var m *mark
	var sameBoot bool
	if s.marks, m, sameBoot, err = openMarks(s.fs, s.o.Dir); err != nil {
		return err
	}
	if m, err = s.truncate(m); err != nil {
		return err
	}
	start := s.startPoint(m, sameBoot)
	if s.cutAt >= 0 {
		start.From = min(start.From, s.cutAt)
	}
	if !haveQueues && !s.log.Empty() {
		// An operator took the folder away: what a mark says about it is void.
		s.o.Log.Warn("no consumequeue folder, all queues are built from the log")
		start.From = s.log.Min()
	}
	trusted := m != nil && start.From == m.queues
	if !trusted {
		// From now on units behind start.From are dropped from the queues as they are used. If this process is killed before
		// they are written again, the next one must begin at the same place, whatever Java's rule would say then.
		if err = s.marks.write(&mark{queues: start.From, log: start.Durable, last: unclean, before: s.cp, with: s.cp}, true); err != nil {
			return err
		}
	}
	s.cqs = consumequeue.NewSet(s.fs, queueDir, consumequeue.Options{
		FileSize: s.o.QueueFileSize, BatchSize: s.o.BatchFileSize, Log: s.o.Log,
	})
	s.cqs.SetTrust(start.From)
	if trusted && !aborted || s.log.Empty() { // an empty log has no queues, see above
		s.cqs.SetSynced()
	}
	s.cqs.SetLogMin(s.log.Min())
	if s.o.IndexEnabled {
		// After a clean stop the mark is the end of everything, and nothing in the index is behind it.
		if s.keys, err = s.openKeys(start.From, !aborted && trusted && s.cutAt < 0); err != nil {
			return err
		}
	}
	if err := s.replay(start); err != nil {
		return err
	}
	if s.intact = start.Durable; m != nil && sameBoot {
		s.intact = s.log.Appended() // nothing that was written is lost while the operating system runs
	}
	s.whole = !aborted || s.o.FlushSync || m != nil && sameBoot
	if s.o.LightQueues {
		if err := s.countLight(); err != nil {
			return err
		}
	}
	s.stale = !trusted || m.last == unclean || aborted && !sameBoot
	return s.writeAbort()
}

// startPoint decides from where on the log must be walked again.
func (s *Store) startPoint(m *mark, sameBoot bool) commitlog.Recovery {
	r := commitlog.Recovery{CRC: !s.o.SkipBodyCRC, Copy: s.o.Copy}
	begin, end := s.log.Min(), s.log.FilesEnd()
	if m != nil && (s.cp == m.before || s.cp == m.with) {
		r.Durable, r.Written = m.log, m.log
		if sameBoot {
			r.Written = max(r.Written, m.queues)
		}
		if r.Written > end {
			s.o.Log.Error("log files are missing at the end", "written", r.Written, "end", end)
			r.Durable, r.Written = 0, 0
		} else if m.queues >= begin && m.queues <= end && s.holds(m.last) {
			r.From = m.queues
			return r
		}
	}
	r.From = s.javaStart()
	if m != nil || s.cp != (checkpoint{}) {
		s.o.Log.Info("queues are rebuilt from Java's checkpoint on", "offset", r.From, "end", end)
	}
	return r
}

// holds reports whether a mark's last record is where it was.
func (s *Store) holds(last record.Offset) bool {
	if last < s.log.Min() {
		return true // unknown, or deleted since
	}
	_, ok := s.log.RecordEnd(last)
	return ok
}

// javaStart finds the file to begin with by Java's rule: the newest one whose first record is older than the
// checkpoint, with a minute and one file to spare.
func (s *Store) javaStart() record.Offset {
	files := s.log.Files()
	if len(files) == 0 {
		return 0
	}
	safe := min(s.cp.logTime(), s.cp.queueTime()) - javaRewind.Milliseconds()
	i := len(files) - 1
	for ; i > 0; i-- {
		if ms, ok := s.log.FirstRecord(files[i]); ok && ms > 0 && ms <= safe {
			break
		}
	}
	return record.Offset(files[max(i-1, 0)].Base())
}

// replay dispatches the log from start on, finds its end and makes it ready.
func (s *Store) replay(start commitlog.Recovery) error {
	began := s.o.Now()
	last := position{last: -1}
	n := 0
	s.replaying = true
	defer func() { s.replaying = false }()
	err := s.log.Recover(start, func(sc *commitlog.Scanner) error {
		if _, err := s.index(sc, &s.note); err != nil {
			return fmt.Errorf("dispatch log offset %d: %w", sc.Offset, err)
		}
		last.last, last.ms = sc.Offset, sc.Msg.StoreTime
		n++
		return nil
	})
	if err != nil {
		return err
	}
	if n := s.replayed.taken; n > 0 {
		// Messages of a topic that was deleted and made again, or damaged ones.
		s.o.Log.Warn("messages are in no queue, because others have their index", "count", n,
			"file", s.log.File(s.replayed.first), "first", s.replayed.first)
	}
	end := s.log.Appended()
	last.upTo = end
	s.pos = last
	s.dispatched.Store(int64(end))
	s.scan = s.log.Scan(end)
	s.marked = -1
	if s.o.FlushSync {
		// What was replayed is visible now, so it must be durable.
		if err := s.log.Flush(); err != nil {
			return err
		}
	}
	s.o.Log.Info("store opened", "dir", s.o.Dir, "from", start.From, "end", end, "messages", n, "took", s.o.Now().Sub(began))
	return nil
}

// What a damaged index may lead to is bounded: a gap that nothing confirms is believed up to this size.
const (
	maxGap     = 1 << 20
	peekAtMost = 10_000 // records looked at to confirm a gap
)

// likely decides whether the current record of sc, whose index leaves a gap in q, is where it says, and corrects the
// index. No checksum covers it (storage spec 2.4), so a flipped bit would push the queue's end far away, or hide the
// messages behind it. The next record of the same queue tells. False: the record belongs to no place in q.
func (s *Store) likely(sc *commitlog.Scanner, q *Queue, next record.Index, idx *record.Index, count int32) bool {
	if *idx >= 0 && *idx <= next {
		return true
	}
	if next == 0 && s.log.Min() == 0 && !s.lossy() {
		// Nothing of this queue was deleted or lost, so its first message has index 0. This one may be of another queue:
		// no checksum covers topic and queue number either. It stays where it says; the other queue has a gap then.
		s.replayed.strange++
		s.stats.damaged.Add(1)
		s.o.Log.Error("queue does not begin with index 0: its files are lost, or topic, queue or index of a message is damaged",
			"topic", q.topic, "queue", q.id, "index", *idx, "file", s.log.File(sc.Offset), "offset", sc.Offset)
	}
	following, ok := record.Index(0), false
	s.log.Peek(sc.Pos(), s.log.FilesEnd(), peekAtMost, func(m *record.Message) bool {
		if m.QueueID == q.id && string(m.Topic) == q.topic {
			following, ok = m.Index, true
		}
		return !ok
	})
	at := *idx
	switch {
	case ok && at >= 0 && following > at:
		return true // a real gap: what was in it is lost
	case ok:
		at = following - record.Index(count)
	case next == 0 && at >= 0 && at < 1<<40:
		return true // the first record of a queue whose older ones have been deleted
	case bits.OnesCount64(uint64(at^next)) == 1 && !s.lossy():
		at = next // nothing is known to be missing
	case at >= 0 && at-next <= maxGap:
		return true
	default:
		at = -1
	}
	s.stats.damaged.Add(1)
	s.o.Log.Error("queue index of a message is damaged", "topic", q.topic, "queue", q.id,
		"file", s.log.File(sc.Offset), "offset", sc.Offset, "says", *idx, "taken", at)
	*idx = at
	return at >= next
}

// replayed is what replay has come across.
type replayed struct {
	strange int64 // messages that seem to be of another queue
	taken   int64 // messages whose index another one has
	first   record.Offset
}

// lossy reports whether messages are known to be missing from the log, or from their queues.
func (s *Store) lossy() bool { return s.replayed.strange > 0 || s.log.Holed() }

// ignored notes that q did not take the current record of sc because it has index idx already. That is right when it has
// it from this very record.
func (s *Store) ignored(sc *commitlog.Scanner, q *Queue, idx record.Index) {
	var u [1]consumequeue.Unit
	if n, err := q.queue().Read(idx, u[:]); err == nil && n == 1 && u[0].Offset == sc.Offset {
		return
	}
	if s.replayed.taken == 0 {
		s.replayed.first = sc.Offset
	}
	s.replayed.taken++
}

// illegal notes that the current record of sc names a queue that cannot be. It is in no queue then.
func (s *Store) illegal(sc *commitlog.Scanner, err error) {
	s.replayed.strange++
	s.stats.damaged.Add(1)
	s.o.Log.Error("topic or queue of a message is damaged", "file", s.log.File(sc.Offset), "offset", sc.Offset, "err", err)
}
