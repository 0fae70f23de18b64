package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
)

// tableFollower is what a slave does with the stream of its master's tables.
//
// Topics and groups that are set count at once: a message that needs them may come any moment. Everything else waits until the
// log here has all that it speaks of; then all of it is applied in its order. At the end, when a slave stops or is about to become
// master, what still waits for a log that will not come any more is applied as far as the log goes.
type tableFollower struct {
	b       *Broker
	me      uint64        // number of this follower
	more    chan struct{} // something waits to be applied
	reports chan struct{} // the master had better hear how far this slave is
	topics  chan struct{} // topics have changed

	// The asking goroutine's.
	state uint64 // number of the full state that is being fetched
	parts []byte

	mu       sync.Mutex // guards the fields below
	stream   uint64
	received uint64
	applied  uint64
	waiting  []tableBatch
	bytes    int
	deletes  int   // batches in waiting that may delete topics or groups
	failed   error // why the stream has to begin anew
}

// tableBatch is one answer.
type tableBatch struct {
	full    bool
	deletes bool
	end     mq.Offset // the log must reach that
	stream  uint64
	next    uint64
	entries []byte
}

const (
	// maxTableBytes bounds what waits for the log. A slave that is far behind asks no further, and gets the full state later.
	maxTableBytes = 32 << 20
	// tableWait is how long a question may wait at the master.
	tableWait = 10 * time.Second
	// actsAgain is how often a slave that acts as the master looks whether it still does.
	actsAgain = 100 * time.Millisecond
	// reportFor is for how long after a deletion each step is reported: a master may wait for it.
	reportFor = time.Second
)

func newTableFollower(b *Broker) *tableFollower {
	return &tableFollower{
		b: b, me: rand.Uint64() | 1,
		more: make(chan struct{}, 1), reports: make(chan struct{}, 1), topics: make(chan struct{}, 1),
	}
}

// TableQuestion returns what to ask the master next. ok = false: nothing now, try again in a moment. One goroutine calls it and
// TakeTables in turn.
func (b *Broker) TableQuestion() (question []byte, ok bool) {
	f := b.follower
	if f == nil {
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		f.resetLocked()
	}
	if f.bytes > maxTableBytes {
		return nil, false
	}
	q := f.questionLocked()
	q.State, q.StateHave, q.Wait = f.state, uint64(len(f.parts)), tableWait
	return q.AppendTo(nil), true
}

func (f *tableFollower) questionLocked() tablefeed.Question {
	return tablefeed.Question{Follower: f.me, Stream: f.stream, Received: f.received, Applied: f.applied}
}

// resetLocked begins anew. The asking goroutine calls it.
func (f *tableFollower) resetLocked() {
	f.state, f.parts = 0, nil
	f.stream, f.received, f.applied, f.failed = 0, 0, 0, nil
	f.waiting, f.bytes, f.deletes = nil, 0, 0
}

// ForgetMaster drops what was taken and not applied: the next master is another one. The asking goroutine calls it.
func (b *Broker) ForgetMaster() {
	if f := b.follower; f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.resetLocked()
	}
}

// TableReports has something in it when the master had better be told how far this slave is, with what TableReport returns.
func (b *Broker) TableReports() <-chan struct{} {
	if b.follower == nil {
		return nil
	}
	return b.follower.reports
}

// TableReport returns what tells the master how far this slave is, without a question.
func (b *Broker) TableReport() []byte {
	f := b.follower
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.questionLocked()
	q.Tell = true
	return q.AppendTo(nil)
}

// TakeTables takes the answer of the master. After an error the next question begins anew.
func (b *Broker) TakeTables(answer []byte) error {
	f := b.follower
	if f == nil {
		return errNoSlave
	}
	var a tablefeed.Answer
	err := a.Decode(answer)
	if b.Acts() {
		err = errActs
	}
	var t *tableBatch
	if err == nil {
		t, err = f.read(&a)
	}
	if err == nil && t != nil {
		err = f.early(t)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.resetLocked()
	case t != nil:
		f.stream, f.received = t.stream, t.next
		f.waiting = append(f.waiting, *t)
		f.bytes += len(t.entries)
		if t.deletes {
			f.deletes++
		}
		poke(f.more)
	}
	return err
}

// read checks an answer and makes the batch that it completes, nil when it completes none.
func (f *tableFollower) read(a *tablefeed.Answer) (*tableBatch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &tableBatch{end: mq.Offset(a.End), stream: a.Stream, next: a.Next, entries: a.Entries}
	switch a.Kind {
	case tablefeed.KindNothing:
		if a.Stream != f.stream {
			f.resetLocked()
		}
		return nil, nil
	case tablefeed.KindEntries:
		if a.Stream != f.stream || f.state != 0 || a.Next != f.received+uint64(len(a.Entries)) {
			return nil, errors.New("tables of the master: entries that were not asked for")
		}
	case tablefeed.KindState:
		if a.At == 0 {
			f.resetLocked()
			f.stream, f.state = a.Stream, a.State
		}
		if a.Stream != f.stream || a.State != f.state || a.At != uint64(len(f.parts)) {
			return nil, errors.New("tables of the master: a part of a state that was not asked for")
		}
		f.parts = append(f.parts, a.Entries...)
		if uint64(len(f.parts)) < a.Total {
			return nil, nil
		}
		t.full, t.entries = true, f.parts
		f.state, f.parts = 0, nil
	}
	return t, nil
}

// early applies what counts at once.
func (f *tableFollower) early(t *tableBatch) error {
	f.mu.Lock()
	inTurn := f.deletes > 0 // it may set again what is about to be deleted
	f.mu.Unlock()
	m := f.b.meta
	err := tablefeed.Each(t.entries, func(src tablefeed.Source, rec []byte) (err error) {
		var out meta.Applied
		switch {
		case src != tablefeed.Topics && src != tablefeed.Groups:
			return nil
		case !t.full && meta.Deletes(rec):
			t.deletes = true
			fallthrough
		case inTurn:
			return nil
		case t.full && src == tablefeed.Topics:
			out, err = m.Topics.Become(rec, true)
		case t.full:
			out, err = m.Groups.Become(rec, true)
		case src == tablefeed.Topics:
			out, err = m.Topics.Apply(rec)
		default:
			out, err = m.Groups.Apply(rec)
		}
		if out.Changed && src == tablefeed.Topics {
			poke(f.topics)
		}
		inTurn = inTurn || t.deletes
		return err
	})
	if err != nil {
		return fmt.Errorf("tables of the master: %w", err)
	}
	t.deletes = t.deletes || t.full // what is made behind this state would be taken for something that is not in it any more
	return nil
}

// run applies what waits when the log has reached it, until ctx ends.
func (f *tableFollower) run(ctx context.Context) error {
	moved, stop := f.b.store.Watch()
	defer stop()
	var report time.Time
	for ctx.Err() == nil {
		t, ok := f.first()
		acts := f.b.Acts() // while it acts as the master the tables are its own
		if ok && !acts && f.b.store.Appended() >= t.end {
			err := f.apply(&t)
			f.settle(&t, err)
			now := time.Now()
			if t.deletes || t.full {
				report = now.Add(reportFor)
			}
			if now.Before(report) {
				poke(f.reports)
			}
			continue
		}
		var again <-chan time.Time
		if acts {
			again = time.After(actsAgain)
		}
		select {
		case <-ctx.Done():
		case <-moved:
		case <-f.more:
		case <-again:
		}
	}
	f.finish()
	return nil
}

func (f *tableFollower) first() (t tableBatch, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 || f.failed != nil {
		return t, false
	}
	return f.waiting[0], true
}

// settle takes t, which was applied, off the list.
func (f *tableFollower) settle(t *tableBatch, err error) {
	if err != nil {
		f.b.o.Log.Error("the tables of the master cannot be taken over, beginning anew", "err", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 || f.waiting[0].stream != t.stream || f.waiting[0].next != t.next || f.waiting[0].full != t.full {
		return // begun anew meanwhile
	}
	if f.failed = err; err != nil {
		return
	}
	f.applied = t.next
	f.bytes -= len(t.entries)
	if t.deletes {
		f.deletes--
	}
	f.waiting[0] = tableBatch{}
	if f.waiting = f.waiting[1:]; len(f.waiting) == 0 {
		f.waiting = nil
	}
}

// apply applies a batch in full.
func (f *tableFollower) apply(t *tableBatch) error {
	b, m := f.b, f.b.meta
	err := tablefeed.Each(t.entries, func(src tablefeed.Source, rec []byte) (err error) {
		var out meta.Applied
		switch src {
		case tablefeed.Topics:
			if t.full {
				out, err = m.Topics.Become(rec, false)
			} else {
				out, err = m.Topics.Apply(rec)
			}
			return errors.Join(err, b.dropTopics(out))
		case tablefeed.Groups:
			if t.full {
				_, err = m.Groups.Become(rec, false)
			} else {
				_, err = m.Groups.Apply(rec)
			}
		case tablefeed.Offsets:
			if t.full {
				err = m.Offsets.Become(rec)
			} else {
				err = m.Offsets.Apply(rec, nil)
			}
		case tablefeed.Delays:
			if t.full {
				err = m.Delays.Become(rec, t.end)
			} else {
				err = m.Delays.Apply(rec)
			}
		case tablefeed.Filters:
			if t.full {
				err = m.Filters.Become(rec)
			} else {
				err = m.Filters.Apply(rec)
			}
		case tablefeed.Modes:
			err = m.Modes.Become(rec)
		case tablefeed.Statics:
			err = m.Statics.Become(rec)
		case tablefeed.Pops:
			if t.full {
				err = b.pops.Become(rec)
			} else {
				err = b.pops.Apply(rec)
			}
		case tablefeed.Timers:
			err = b.followTimer(rec)
		default: // of a newer master
		}
		return err
	})
	if serr := errors.Join(m.Offsets.Sync(), m.Delays.Sync(), b.pops.Flush()); serr != nil {
		b.o.Log.Debug("what was taken over from the master is not in the journals yet", "err", serr)
	}
	return err
}

// finish applies what waits for a log that does not come any more: topics and groups that are set, and positions as far as the
// queues here go, so that the next master skips nothing and repeats little. What was handed out is left out, and is handed out
// again.
func (f *tableFollower) finish() {
	f.mu.Lock()
	list := f.waiting
	if f.failed != nil {
		list = nil
	}
	f.waiting = nil
	f.mu.Unlock()
	if len(list) == 0 {
		return
	}
	f.b.store.CatchUp()
	bound := func(topic string, queue int32) mq.Index {
		if topic == meta.TopicHalf || topic == meta.TopicOpHalf {
			return 0 // what the master went past is in copies that the log here does not have
		}
		return f.b.queueEnd(topic, queue)
	}
	for i := range list {
		err := tablefeed.Each(list[i].entries, func(src tablefeed.Source, rec []byte) error { return f.last(src, rec, list[i].full, bound) })
		if err != nil {
			f.b.o.Log.Error("tables of the master cannot be taken over", "err", err)
			return
		}
	}
	if err := f.b.meta.Offsets.Sync(); err != nil {
		f.b.o.Log.Error("positions of the master are not in the journal", "err", err)
	}
}

// last applies what of a record counts without the log that it waited for.
func (f *tableFollower) last(src tablefeed.Source, rec []byte, full bool, bound func(topic string, queue int32) mq.Index) (err error) {
	m := f.b.meta
	switch {
	case src == tablefeed.Topics && full:
		_, err = m.Topics.Become(rec, true)
	case src == tablefeed.Topics && !meta.Deletes(rec):
		_, err = m.Topics.Apply(rec)
	case src == tablefeed.Groups && full:
		_, err = m.Groups.Become(rec, true)
	case src == tablefeed.Groups && !meta.Deletes(rec):
		_, err = m.Groups.Apply(rec)
	case src == tablefeed.Offsets && !full:
		err = m.Offsets.Apply(rec, bound)
	}
	return err
}

// queueEnd is the next index of a queue; of one that cannot be looked at, any.
func (b *Broker) queueEnd(topic string, queue int32) mq.Index {
	q, ok := b.store.Lookup(topic, queue)
	if !ok {
		return 0
	}
	_, end, err := q.Bounds()
	if err != nil {
		b.o.Log.Error("the end of a queue is not known", "topic", topic, "queue", queue, "err", err)
		return 1 << 62
	}
	return end
}

// dropTopics removes what belonged to topics that are gone.
func (b *Broker) dropTopics(out meta.Applied) error {
	var errs []error
	for _, name := range out.Gone {
		if name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			continue // there are no queues with such names
		}
		b.o.Log.Info("topic deleted as on the master", "topic", name)
		errs = append(errs, b.store.DeleteTopic(name))
		b.polls.WakeTopic(name)
	}
	if out.Changed {
		poke(b.follower.topics)
	}
	return errors.Join(errs...)
}

// announce tells the name servers about all topics when some have changed, until ctx ends.
func (f *tableFollower) announce(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.topics:
		}
		if f.b.o.Announce == nil {
			continue
		}
		actx, cancel := context.WithTimeout(ctx, announceTimeout)
		if err := f.b.o.Announce(actx, nil, f.b.meta.Topics.Version()); err != nil && ctx.Err() == nil {
			f.b.o.Log.Debug("name servers were not told about the master's topics yet", "err", err)
		}
		cancel()
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// errActs is why a slave does not follow for a time.
var errActs = errors.New("this slave acts as the master, its tables are its own")

// suspend ends following: what was taken goes as far as the log here goes, and the rest is nothing any more. Later entries, which
// the log of the master that is back would release, would undo what the slave has done meanwhile.
func (f *tableFollower) suspend() {
	f.finish()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = errActs
}
