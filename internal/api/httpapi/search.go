package httpapi

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Budgets of one request for messages. Whoever wants more continues with the cursor.
const (
	maxResults   = 100
	maxScanned   = 200_000
	maxScanBytes = 256 << 20
	scanTime     = 20 * time.Second
	maxScans     = 4 // searches at the same time
	scanWait     = 3 * time.Second

	block        = 32      // messages that are asked for at once
	filterWindow = 2048    // positions, when the broker sorts out tags
	blockBytes   = 1 << 20 // what a queue may hold of messages that fit
)

// toolGroup is the consumer group that Java's tools read with; it never has positions.
const toolGroup = "TOOLS_CONSUMER"

// cursorQueue is one queue of a search: the positions [lo, hi) are still to be read.
type cursorQueue struct {
	broker *node
	set    string
	id     int32
	lo, hi mq.Index

	found []*message // that fit, the next to show first
	edge  int64      // store time: what is left is not newer (newest first), or not older
	size  int        // bytes of a message, on average
	err   error
}

// search merges queues by store time. What is in found of a queue comes before what was not read of it, so that a queue needs reading
// only when its edge is the next in order.
type search struct {
	c        *call
	topic    string
	f        *filter
	from, to int64 // store times, inclusive
	oldest   bool  // first; else newest first
	queues   []*cursorQueue
	scanned  int64
	bytes    int64
	buf      []byte
	shown    int // bytes of bodies that are shown
}

// before says whether the time a comes before b in the order of the search.
func (s *search) before(a, b int64) bool {
	if s.oldest {
		return a < b
	}
	return a > b
}

// next is the queue that has what comes next, nil when all are read.
func (s *search) next() *cursorQueue {
	var best *cursorQueue
	var at int64
	for _, q := range s.queues {
		t := q.edge
		switch {
		case len(q.found) > 0:
			t = q.found[0].Stored
		case q.lo >= q.hi || q.err != nil:
			continue
		}
		if best == nil || s.before(t, at) {
			best, at = q, t
		}
	}
	return best
}

// run shows messages in order until show returns false, a budget is used up, or nothing is left (done).
func (s *search) run(ctx context.Context, show func(*message) bool) (done bool) {
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	for {
		q := s.next()
		if q == nil {
			return true
		}
		if len(q.found) > 0 {
			if !show(q.found[0]) {
				return false
			}
			q.found = q.found[1:]
			continue
		}
		if s.scanned >= maxScanned || s.bytes >= maxScanBytes || ctx.Err() != nil {
			return false
		}
		if err := s.read(ctx, q); err != nil {
			if ctx.Err() != nil {
				return false
			}
			q.err = err
		}
	}
}

// read reads the next block of a queue.
func (s *search) read(ctx context.Context, q *cursorQueue) error {
	window := mq.Index(block)
	if s.f.tags != nil {
		window = filterWindow
	} else if q.size > 0 {
		window = mq.Index(min(max(blockBytes/q.size, 1), block))
	}
	lo, hi := q.lo, min(q.lo+window, q.hi)
	if !s.oldest {
		lo, hi = max(q.hi-window, q.lo), q.hi
	}
	edge, n, size := int64(0), 0, 0
	var found []*message
	for at := lo; at < hi; {
		f, err := q.broker.Pull(ctx, &mq.PullRequest{
			Group: toolGroup, Topic: s.topic, QueueID: q.id, From: at, MaxMessages: int32(min(hi-at, block)), HasExpression: true,
			Expression: s.f.expression(), ExpressionType: "TAG",
		}, s.buf[:0])
		if err != nil {
			return err
		}
		s.buf = f.Records
		for rec := f.Records; len(rec) > 0; {
			var m record.Message
			used, err := record.Decode(rec, &m, false)
			if err != nil {
				return fmt.Errorf("a message of queue %d at %d or later: %w", q.id, at, err)
			}
			rec = rec[used:]
			if m.Index >= hi {
				break
			}
			switch {
			case n == 0, s.oldest:
				edge = m.StoreTime
			default:
				edge = min(edge, m.StoreTime)
			}
			n, size = n+1, size+used
			if m.StoreTime >= s.from && m.StoreTime <= s.to && s.f.fits(&m) {
				found = append(found, s.keep(q, &m, used))
			}
		}
		if f.Next <= at { // nothing more is there
			break
		}
		at = f.Next
	}
	if n > 0 {
		q.size = size / n
	}
	s.scanned += int64(hi - lo)
	s.bytes += int64(size)
	s.settle(q, lo, hi, found, edge, n)
	return nil
}

// settle takes over what was read. Times of one queue may go back a little when its clock was set: what was found keeps its order by
// position, and the edge never goes back.
func (s *search) settle(q *cursorQueue, lo, hi mq.Index, found []*message, edge int64, n int) {
	if s.oldest {
		q.lo = hi
		if n > 0 {
			q.edge = max(q.edge, edge)
		}
	} else {
		q.hi = lo
		slices.Reverse(found)
		if n > 0 {
			q.edge = min(q.edge, edge)
		}
	}
	q.found = found
}

// keep makes an answer of a message; the record's bytes are not kept.
func (s *search) keep(q *cursorQueue, m *record.Message, size int) *message {
	out := messageOf(q.set, m, size).show(s.c, s.shown)
	out.raw = nil
	return out
}

// cover is the time up to which everything was looked at.
func (s *search) cover() int64 {
	q := s.next()
	if q == nil {
		if s.oldest {
			return s.to
		}
		return s.from
	}
	if len(q.found) > 0 {
		return q.found[0].Stored
	}
	if q.edge == math.MaxInt64 {
		return s.to
	}
	return max(q.edge, s.from)
}

// searchState is a search in a cursor: the broker sets, and for each queue the set's number, its id, lo and hi.
type searchState struct {
	From   int64      `json:"f"`
	To     int64      `json:"t"`
	Sets   []string   `json:"b"`
	Queues [][4]int64 `json:"q"`
}

func (s *search) state() *searchState {
	out := &searchState{From: s.from, To: s.to}
	for _, q := range s.queues {
		lo, hi := q.lo, q.hi
		if len(q.found) > 0 {
			if s.oldest {
				lo = mq.Index(q.found[0].Index)
			} else {
				hi = mq.Index(q.found[0].Index) + 1
			}
		}
		if lo >= hi {
			continue
		}
		i := slices.Index(out.Sets, q.set)
		if i < 0 {
			i = len(out.Sets)
			out.Sets = append(out.Sets, q.set)
		}
		out.Queues = append(out.Queues, [4]int64{int64(i), int64(q.id), int64(lo), int64(hi)})
	}
	return out
}

// edges of a queue that was not read yet.
func (s *search) fresh() int64 {
	if s.oldest {
		return math.MinInt64
	}
	return math.MaxInt64
}

// resume takes the queues from a cursor.
func (s *search) resume(st *searchState, list []node) (errs []*nodeError) {
	s.from, s.to = st.From, st.To
	missing := map[string]bool{}
	for _, q := range st.Queues {
		if q[0] < 0 || q[0] >= int64(len(st.Sets)) {
			continue
		}
		set := st.Sets[q[0]]
		n := named(list, set)
		if n == nil {
			if !missing[set] {
				errs = append(errs, &nodeError{Node: set, Code: "nodeUnreachable", Detail: "the broker set has left the route of the topic"})
			}
			missing[set] = true
			continue
		}
		s.queues = append(s.queues, &cursorQueue{broker: n, set: set, id: int32(q[1]), lo: mq.Index(q[2]), hi: mq.Index(q[3]), edge: s.fresh()})
	}
	return errs
}

// begin finds the positions of the window in all queues: one request to each broker for their bounds, and one or two for each queue that
// the window cuts.
func (s *search) begin(ctx context.Context, list []node, now int64, only func(set string, queue int32) bool) []*nodeError {
	answers, errs := ask(ctx, list, func(ctx context.Context, n *node) ([]*cursorQueue, error) {
		st, err := n.TopicStats(ctx, s.topic)
		if err != nil {
			return nil, err
		}
		var out []*cursorQueue
		for _, x := range st.Queues {
			if x.Max <= x.Min || x.LastUpdate > 0 && x.LastUpdate < s.from || !only(n.set.Name, x.Queue.ID) {
				continue
			}
			q := &cursorQueue{broker: n, set: n.set.Name, id: x.Queue.ID, lo: x.Min, hi: x.Max, edge: s.fresh()}
			if s.from > 0 {
				if q.lo, err = n.IndexAtTime(ctx, s.topic, q.id, s.from, mq.BoundaryLower); err != nil {
					return nil, err
				}
			}
			if s.to < now {
				if q.hi, err = n.IndexAtTime(ctx, s.topic, q.id, s.to, mq.BoundaryUpper); err != nil {
					return nil, err
				}
				q.hi++ // it is the last one that fits
			}
			q.lo, q.hi = max(q.lo, x.Min), min(q.hi, x.Max)
			out = append(out, q)
		}
		return out, nil
	})
	for _, a := range answers {
		s.queues = append(s.queues, a.v...)
	}
	return errs
}
