package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage/commitlog"
	"github.com/cometmq/cometmq/internal/storage/consumequeue"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Dispatched is one message that became visible. Its slices are valid during the call only.
type Dispatched struct {
	Index     record.Index
	Offset    record.Offset
	Size      int32
	Count     int32 // messages in the record
	TagsCode  int64
	StoreTime int64 // ms
	SysFlag   int32
	Props     record.Props
}

// retryDispatch is how long the dispatcher waits after an error that may pass.
const retryDispatch = 500 * time.Millisecond

// visible returns the end of what this store will not lose.
func (s *Store) visible() record.Offset {
	if s.o.FlushSync {
		return min(s.log.Flushed(), s.log.Appended())
	}
	return s.log.Appended()
}

// readable returns how far the log may be dispatched.
func (s *Store) readable() record.Offset { return min(s.visible(), record.Offset(s.limit.Load())) }

// SetReadable hides what is behind off in the log from readers, except what they have seen already; NoLimit shows everything.
// Slaves get it all the same.
func (s *Store) SetReadable(off record.Offset) {
	if s.limit.Swap(int64(off)) < int64(off) {
		s.follow()
	}
}

// NoLimit is for SetReadable.
const NoLimit = record.Offset(math.MaxInt64)

// runDispatch follows the log until ctx ends, then does what is left.
func (s *Store) runDispatch(ctx context.Context) error {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.dispatchAll()
		case <-s.moved:
		case <-retry.C:
		}
		if err := s.dispatchAll(); err != nil {
			retry.Reset(retryDispatch)
		}
	}
}

// dispatchAll dispatches what may be visible now.
func (s *Store) dispatchAll() error {
	s.dispatching <- struct{}{}
	var err error
	for end := s.readable(); err == nil && s.dispatched.Load() < int64(end); end = s.readable() {
		err = s.dispatchTo(end)
	}
	s.scan.Close()
	if err != nil {
		<-s.dispatching
		return s.dispatchFailed(err)
	}
	s.crowd.set(s, crowdDispatch, nil)
	s.leaveDispatching()
	return nil
}

// CatchUp returns when everything that may be visible at the call is visible: whoever asks for the end of a queue after its
// message was acknowledged finds it there. It must not be called under a lock that OnDispatch takes.
func (s *Store) CatchUp() {
	end := s.readable()
	if s.dispatched.Load() >= int64(end) {
		return
	}
	s.dispatching <- struct{}{}
	var err error
	if s.dispatched.Load() < int64(end) {
		err = s.dispatchTo(end)
	}
	s.scan.Close()
	if err != nil {
		<-s.dispatching
		_ = s.dispatchFailed(err) // logged there; the queue's end is where it is
		return
	}
	s.leaveDispatching()
}

// leaveDispatching gives the token back. Whoever could not get it meanwhile relies on us to look again.
func (s *Store) leaveDispatching() {
	<-s.dispatching
	if s.dispatched.Load() < int64(s.readable()) {
		s.wake()
	}
}

// inlineBytes is how much an appender dispatches itself. Waking the dispatcher costs more than dispatching a few
// messages; many are better done beside the next append.
const inlineBytes = 16 << 10

// follow dispatches what was just appended, or sees to it that somebody does.
func (s *Store) follow() {
	end := s.readable()
	behind := int64(end) - s.dispatched.Load()
	if behind <= 0 {
		return
	}
	if behind > inlineBytes {
		s.wake()
		return
	}
	select {
	case s.dispatching <- struct{}{}:
	default:
		return // who has the token looks again before it rests
	}
	err := s.dispatchTo(end)
	s.scan.Close()
	if err != nil {
		<-s.dispatching
		s.wake() // the dispatcher meets the error too, and judges it
		return
	}
	s.leaveDispatching()
}

// dispatchTo dispatches the records before end. After an error the next call starts with the record that failed.
func (s *Store) dispatchTo(end record.Offset) error {
	sc := s.scan
	n := 0
	for ; sc.Next(end); n++ {
		q, err := s.index(sc, &s.note)
		if err != nil {
			sc.Rewind()
			return err
		}
		if n%64 == 63 {
			s.progress(sc)
		}
		if q != nil && s.o.OnDispatch != nil {
			s.o.OnDispatch(q, &s.note)
			s.tellLight()
		}
	}
	if n > 0 {
		s.progress(sc)
	}
	s.dispatched.Store(int64(sc.Pos()))
	return sc.Err()
}

// position is a place in the log that queues and index have reached.
type position struct {
	upTo record.Offset
	last record.Offset // start of the last record before upTo, -1 when unknown
	ms   int64         // its store time
}

// progress tells others that the current record of sc has been dispatched.
func (s *Store) progress(sc *commitlog.Scanner) {
	s.posMu.Lock()
	s.pos = position{upTo: sc.Pos(), last: sc.Offset, ms: sc.Msg.StoreTime}
	s.posMu.Unlock()
	s.dispatched.Store(int64(sc.Pos()))
}

func (s *Store) position() position {
	s.posMu.Lock()
	defer s.posMu.Unlock()
	return s.pos
}

// index adds the current record of sc to its queue and to the key index. A nil queue: it belongs to none.
func (s *Store) index(sc *commitlog.Scanner, d *Dispatched) (*Queue, error) {
	m := &sc.Msg
	props := m.Props.Indexed()
	var q *Queue
	kind := m.SysFlag & record.SysFlagTransactionMask
	if kind != record.SysFlagPrepared && kind != record.SysFlagRollback {
		q = s.lastQueue
		if q == nil || q.id != m.QueueID || q.topic != string(m.Topic) {
			q = s.queueOf(m.Topic, m.QueueID)
			s.lastQueue = q
		}
		*d = Dispatched{Index: m.Index, Offset: sc.Offset, Size: int32(sc.Size), StoreTime: m.StoreTime, SysFlag: m.SysFlag, Props: m.Props, Count: 1}
		d.TagsCode = s.tagsCode(m, &props)
		if m.SysFlag&record.SysFlagInnerBatch != 0 {
			s.noteBatch(q, d)
		}
		var next record.Index
		if s.replaying {
			if next = q.queue().Next(); !s.likely(sc, q, next, &d.Index, d.Count) {
				return nil, nil
			}
		}
		err := q.append(d)
		if errors.Is(err, consumequeue.ErrDeleted) {
			err = q.append(d)
		}
		if (s.replaying || s.o.Copy) && errors.Is(err, consumequeue.ErrIllegal) { // a copy has the damage of its original
			s.illegal(sc, err)
			return nil, nil
		}
		if s.replaying && err == nil && d.Index < next && q.queue().Next() == next {
			s.ignored(sc, q, d.Index)
		}
		if err != nil {
			return nil, fmt.Errorf("queue %s/%d at %d: %w", q.topic, q.id, d.Index, err)
		}
	}
	if q != nil && s.o.LightQueues {
		if err := s.indexLight(q, d, sc.Msg.Topic); err != nil {
			return nil, err
		}
	}
	if s.keys != nil && kind != record.SysFlagRollback {
		if err := s.putKeys(sc, &props); err != nil {
			return nil, fmt.Errorf("key index: %w", err)
		}
	}
	return q, nil
}

func (s *Store) tagsCode(m *record.Message, props *record.Indexed) int64 {
	if s.o.TagsCode != nil {
		if code, ok := s.o.TagsCode(m.Topic, m.QueueID, m.Props, m.StoreTime); ok {
			return code
		}
	}
	return props.TagsCode()
}

// dispatchFailed judges an error of the dispatcher: a full disk passes, anything else makes the store read-only.
func (s *Store) dispatchFailed(err error) error {
	if vfs.IsNoSpace(err) {
		s.crowd.set(s, crowdDispatch, err)
		return err
	}
	s.log.Fail(err)
	return err
}

// Dispatched returns how far queues and index follow the log.
func (s *Store) Dispatched() record.Offset { return record.Offset(s.dispatched.Load()) }

// wake lets the dispatcher look.
func (s *Store) wake() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}
