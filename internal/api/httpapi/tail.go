package httpapi

import (
	"context"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// A tail looks at the ends of a topic's queues once in tailPause: one request to each broker, and pulls where there is something new.
const (
	tailPause   = 500 * time.Millisecond
	tailRate    = 200              // messages a second that are shown; of more a sample
	tailBehind  = 10_000           // messages of a queue that a tail reads at most to catch up
	tailRefresh = 30 * time.Second // looks for new brokers
	tailBlocks  = 16               // pulls of a queue in one round
)

func itoa64(n int64) string { return strconv.FormatInt(n, 10) }

// tailState is where a tail is: the next position of each queue. It is the id of events, with which a browser resumes.
type tailState struct {
	Sets   []string   `json:"b"`
	Queues [][3]int64 `json:"q"` // number of the set, queue, position
}

type queueKey struct {
	set string
	id  int32
}

// tail follows a topic.
type tail struct {
	c     *call
	s     *stream
	f     *filter
	topic string
	list  []node
	at    map[queueKey]mq.Index
	only  func(set string, queue int32) bool
	from  int64 // store time to begin at, -1: the end

	scanned, shown, dropped int64
	second                  time.Time // of which shownNow are
	shownNow                int
	buf                     []byte
}

// streamMessages searches, or follows.
func streamMessages(c *call) (any, error) {
	follow, err := c.boolean("follow")
	if err != nil {
		return nil, err
	}
	s, err := c.newSearch(c.path("topic"))
	if err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	_, list, err := k.route(c.ctx, s.topic)
	if err != nil {
		return nil, err
	}
	if !follow {
		return c.streamSearch(s, list)
	}
	t := &tail{c: c, f: s.f, topic: s.topic, list: list, at: map[queueKey]mq.Index{}, from: -1}
	if t.only, err = c.only(); err != nil {
		return nil, err
	}
	if c.query("from") != "" {
		t.from = s.from
	}
	resumed := c.resumeTail(t)
	return c.stream(func(ctx context.Context, st *stream) {
		t.s = st
		if err := t.begin(ctx, resumed); err != nil {
			t.fail(err)
			return
		}
		t.run(ctx, k)
	})
}

// resumeTail takes the positions of Last-Event-ID.
func (c *call) resumeTail(t *tail) bool {
	id := c.r.Header.Get("Last-Event-ID")
	var st tailState
	if id == "" || c.a.seal.open(c.searchID(), id, &st) != nil {
		return false // it is another process now: the tail begins at the end
	}
	for _, q := range st.Queues {
		if q[0] >= 0 && q[0] < int64(len(st.Sets)) {
			t.at[queueKey{st.Sets[q[0]], int32(q[1])}] = mq.Index(q[2])
		}
	}
	return true
}

func (t *tail) state() string {
	st := tailState{}
	sets := map[string]int64{}
	for k, at := range t.at {
		i, ok := sets[k.set]
		if !ok {
			i = int64(len(st.Sets))
			sets[k.set] = i
			st.Sets = append(st.Sets, k.set)
		}
		st.Queues = append(st.Queues, [3]int64{i, int64(k.id), int64(at)})
	}
	id, err := t.c.a.seal.seal(t.c.searchID(), &st)
	if err != nil || len(id) > maxCursor/2 {
		return "" // with so many queues a browser begins at the end again
	}
	return id
}

// fail ends a tail with a problem.
func (t *tail) fail(err error) {
	t.s.offer("problem", "", problemOf(err))
	t.s.end("failed")
}

// begin finds where to start in each queue.
func (t *tail) begin(ctx context.Context, resumed bool) error {
	for i := range t.list {
		n := &t.list[i]
		st, err := n.TopicStats(ctx, t.topic)
		if err != nil {
			return err
		}
		for _, q := range st.Queues {
			k := queueKey{n.set.Name, q.Queue.ID}
			if _, known := t.at[k]; known || !t.only(k.set, k.id) {
				continue
			}
			at := q.Max
			if t.from >= 0 && !resumed {
				if at, err = n.IndexAtTime(ctx, t.topic, k.id, t.from, mq.BoundaryLower); err != nil {
					return err
				}
			}
			t.at[k] = max(at, q.Min)
		}
	}
	return nil
}

// run looks for new messages until ctx ends.
func (t *tail) run(ctx context.Context, k *cluster) {
	t.progress()
	refreshed, told := time.Now(), time.Now()
	failing := false
	for pause(ctx, tailPause) {
		if time.Since(refreshed) > tailRefresh {
			refreshed = time.Now()
			if _, list, err := k.route(ctx, t.topic); err == nil {
				t.list = list
			}
		}
		before := t.scanned
		var failed *nodeError
		for i := range t.list {
			if err := t.broker(ctx, &t.list[i]); err != nil && ctx.Err() == nil {
				failed = nodeErrorOf(t.list[i].String(), err)
			}
		}
		if t.scanned != before || time.Since(told) > heartbeat {
			told = time.Now()
			t.progress()
		}
		if (failed != nil) != failing { // said once, when it begins
			if failing = failed != nil; failing {
				t.s.offer("problem", "", failed)
			}
		}
	}
}

type tailProgress struct {
	Scanned i64 `json:"scanned"`
	Shown   i64 `json:"shown"`
	Dropped i64 `json:"dropped"`
}

// progress tells how far the tail is, and what a sample or a slow reader has left out since.
func (t *tail) progress() {
	if n := t.dropped + t.s.dropped.Swap(0); n > 0 {
		if t.s.offer("gap", "", map[string]i64{"dropped": i64(n)}) {
			t.dropped = 0
		} else {
			t.dropped = n
		}
	}
	t.s.offer("progress", t.state(), tailProgress{i64(t.scanned), i64(t.shown), i64(t.dropped)})
}

// broker reads what is new on one broker.
func (t *tail) broker(ctx context.Context, n *node) error {
	st, err := n.TopicStats(ctx, t.topic)
	if err != nil {
		return err
	}
	for _, q := range st.Queues {
		k := queueKey{n.set.Name, q.Queue.ID}
		if !t.only(k.set, k.id) {
			continue
		}
		at, known := t.at[k]
		if !known || at > q.Max { // a new queue, or the topic was deleted and made again
			at = q.Min
		}
		if skip := q.Max - at - tailBehind; skip > 0 {
			at += skip
			t.dropped += int64(skip)
		}
		if t.at[k], err = t.queue(ctx, n, k.id, max(at, q.Min), q.Max); err != nil {
			return err
		}
	}
	return nil
}

// queue reads [at, end) of one queue, or a part of it, and returns where to go on.
func (t *tail) queue(ctx context.Context, n *node, id int32, at, end mq.Index) (mq.Index, error) {
	for range tailBlocks {
		if at >= end {
			break
		}
		f, err := n.Pull(ctx, &mq.PullRequest{
			Group: toolGroup, Topic: t.topic, QueueID: id, From: at, MaxMessages: block, HasExpression: true, Expression: t.f.expression(),
			ExpressionType: "TAG",
		}, t.buf[:0])
		if err != nil {
			return at, err
		}
		t.buf = f.Records
		for rec := f.Records; len(rec) > 0; {
			var m record.Message
			used, err := record.Decode(rec, &m, false)
			if err != nil {
				return at, err
			}
			rec = rec[used:]
			if t.f.fits(&m) {
				t.show(n.set.Name, &m, used)
			}
		}
		if f.Next <= at {
			break
		}
		t.scanned += int64(f.Next - at)
		at = f.Next
	}
	return at, nil
}

// show offers a message, unless there were too many this second.
func (t *tail) show(set string, m *record.Message, size int) {
	if now := time.Now(); now.Sub(t.second) >= time.Second {
		t.second, t.shownNow = now, 0
	}
	if t.shownNow++; t.shownNow > tailRate {
		t.dropped++
		return
	}
	if t.s.offer("message", "", messageOf(set, m, size).show(t.c, maxShown)) {
		t.shown++
	}
}

// streamSearch tells what a search finds as it finds it.
func (c *call) streamSearch(s *search, list []node) (any, error) {
	release, err := c.scan()
	if err != nil {
		return nil, err
	}
	defer release()
	errs, err := s.place(list)
	if err != nil {
		return nil, err
	}
	return c.stream(func(ctx context.Context, st *stream) {
		for _, e := range errs {
			st.offer("problem", "", e)
		}
		shown, told := 0, time.Now()
		done := s.run(ctx, func(m *message) bool {
			if shown == streamQueue/2 { // the client asks for more with the cursor
				return false
			}
			shown++
			if time.Since(told) > time.Second {
				told = time.Now()
				st.offer("progress", "", tailProgress{Scanned: i64(s.scanned), Shown: i64(shown)})
			}
			return st.offer("message", "", m)
		})
		for _, q := range s.queues {
			if q.err != nil {
				st.offer("problem", "", nodeErrorOf(q.broker.String(), q.err))
			}
		}
		st.offer("progress", "", tailProgress{Scanned: i64(s.scanned), Shown: i64(shown)})
		if !done {
			cursor, err := c.a.seal.seal(c.searchID(), s.state())
			if err == nil {
				st.offer("more", "", map[string]string{"nextCursor": cursor})
			}
		}
		st.end("done")
	})
}
