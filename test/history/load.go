package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// Target tells where to send to now.
type Target func(ctx context.Context) (addr string, err error)

// At is the Target that stays where it is.
func At(addr string) Target {
	return func(context.Context) (string, error) { return addr, nil }
}

// Load sends numbered messages through accidents and remembers what was acknowledged. Each sender has a queue and a
// connection of its own, so its numbers must rise in that queue.
type Load struct {
	Topic  string
	Target Target
	Pause  time.Duration // between a sender's writes
	Window int           // messages that a sender has in flight
	Size   int           // bytes of a body, at least 9
	// Patience is how long an answer is waited for before the connection is given up.
	Patience time.Duration
	// Retry sends again, in order, what was not answered and what was refused. Without it the unanswered stay unknown.
	Retry   bool
	Senders []*Sender
	Acked   atomic.Int64
	Refused atomic.Int64 // answers that are no success

	mark, again atomic.Int64 // see Mark; since base
	last, gap   atomic.Int64 // see Gap; since base, and how long
	base        time.Time
}

// Sender is one queue's sender.
type Sender struct {
	Queue  int32
	Issued int64
	Acked  []int64 // numbers that were acknowledged, in the order of the answers

	pending []flight // without an answer

	mu   sync.Mutex      // guards seen
	seen map[int64]int64 // what a reader has read: index -> number
}

type flight struct {
	number int64
	at     time.Duration // when it was sent, since base
}

// NewLoad returns a load with one sender for each of the first queues of topic.
func NewLoad(topic string, senders int, to Target) *Load {
	l := &Load{Topic: topic, Target: to, Pause: time.Millisecond, Window: 64, Size: 100, Patience: 10 * time.Second, base: time.Now()}
	for q := range senders {
		l.Senders = append(l.Senders, &Sender{Queue: int32(q), seen: map[int64]int64{}})
	}
	return l
}

// Mark begins to wait for the first acknowledgement of a message that is sent from now on; Again tells when it came.
func (l *Load) Mark() {
	l.again.Store(0)
	now := int64(time.Since(l.base))
	l.mark.Store(now)
	l.last.Store(now)
	l.gap.Store(0)
}

// Gap is the longest time without an acknowledgement since Mark.
func (l *Load) Gap() time.Duration {
	return max(time.Duration(l.gap.Load()), time.Since(l.base)-time.Duration(l.last.Load()))
}

// Again waits at most so long for the first acknowledgement since Mark and returns how long after Mark it came.
func (l *Load) Again(atMost time.Duration) (time.Duration, bool) {
	for end := time.Now().Add(atMost); ; time.Sleep(2 * time.Millisecond) {
		if at := l.again.Load(); at != 0 {
			return time.Duration(at - l.mark.Load()), true
		}
		if time.Now().After(end) {
			return 0, false
		}
	}
}

// Run sends until ctx ends.
func (l *Load) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range l.Senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				if addr, err := l.Target(ctx); err == nil {
					if c, err := bench.Dial(ctx, nil, addr, protocol.Binary); err == nil {
						l.session(ctx, c, s)
						c.Close()
					}
				}
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	wg.Wait()
}

// Answers that say that a message is stored and that something else that was promised for it did not happen in time.
func unsure(code int32) bool {
	return code == protocol.RespFlushDiskTimeout || code == protocol.RespSlaveNotAvailable || code == protocol.RespFlushSlaveTimeout
}

// session keeps a window of requests in flight until the connection breaks, the broker refuses or ctx ends; at the end it
// waits for the answers that are due.
func (l *Load) session(ctx context.Context, c *bench.Client, s *Sender) {
	body := make([]byte, max(l.Size, 9))
	send := func(f *flight) error {
		binary.BigEndian.PutUint64(body, uint64(f.number))
		body[8] = byte(s.Queue)
		f.at = time.Since(l.base)
		return c.Start(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
			ProducerGroup: "history", Topic: l.Topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 8, QueueID: s.Queue,
			BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
		}, body, int32(f.number))
	}
	if !l.Retry {
		s.pending = s.pending[:0]
	}
	for i := range s.pending {
		if send(&s.pending[i]) != nil {
			return
		}
	}
	refused := false
	for {
		// Never further than a window beyond the oldest without an answer: what is older than that was answered before.
		for !refused && ctx.Err() == nil && (len(s.pending) == 0 || s.Issued < s.pending[0].number+int64(l.Window)) {
			s.pending = append(s.pending, flight{number: s.Issued})
			s.Issued++
			if send(&s.pending[len(s.pending)-1]) != nil {
				return
			}
		}
		if len(s.pending) == 0 || refused {
			return
		}
		if err := c.FlushOut(); err != nil {
			return
		}
		time.Sleep(l.Pause) // some ten thousand a second are enough to be hit in the middle
		for range (len(s.pending) + 3) / 4 {
			r, op, err := c.Next(l.Patience)
			if err != nil {
				return
			}
			i := slices.IndexFunc(s.pending, func(f flight) bool { return f.number&0xffff_ffff == int64(uint32(op)) })
			if i < 0 {
				continue
			}
			switch {
			case r.Code == protocol.RespSuccess:
				l.acked(s, s.pending[i])
			case !unsure(r.Code) && l.Retry:
				l.Refused.Add(1)
				refused = true
				continue // stays pending
			default:
				l.Refused.Add(1)
			}
			s.pending = slices.Delete(s.pending, i, i+1)
		}
	}
}

func (l *Load) acked(s *Sender, f flight) {
	s.Acked = append(s.Acked, f.number)
	l.Acked.Add(1)
	now := int64(time.Since(l.base))
	for gap := now - l.last.Swap(now); ; {
		if old := l.gap.Load(); gap <= old || l.gap.CompareAndSwap(old, gap) {
			break
		}
	}
	if l.again.Load() == 0 && int64(f.at) > l.mark.Load() {
		l.again.CompareAndSwap(0, int64(time.Since(l.base)))
	}
}

// Watch reads all queues as messages come until ctx ends, so that what consumers have seen can be compared with what is there
// in the end.
func (l *Load) Watch(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range l.Senders {
		wg.Go(func() {
			at := int64(0)
			for ctx.Err() == nil {
				if addr, err := l.Target(ctx); err == nil {
					if c, err := bench.Dial(ctx, nil, addr, protocol.Binary); err == nil {
						at = l.follow(ctx, c, s, at)
						c.Close()
					}
				}
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	wg.Wait()
}

func (l *Load) follow(ctx context.Context, c *bench.Client, s *Sender, at int64) int64 {
	for ctx.Err() == nil {
		next, err := c.Pull(l.Topic, int(s.Queue), at, 32, 5*time.Second, func(index int64, rec []byte) error {
			n, _, err := number(rec)
			if err == nil {
				s.mu.Lock()
				s.seen[index] = n
				s.mu.Unlock()
			}
			return err
		})
		if err != nil {
			return at
		}
		if next == at {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		at = next
	}
	return at
}

// Forget forgets what the reader has read, which must have ended.
func (l *Load) Forget() {
	for _, s := range l.Senders {
		clear(s.seen)
	}
}

// number is the number of a stored message, and the size of its body.
func number(rec []byte) (n int64, size int, err error) {
	var m record.Message
	if _, err := record.Decode(rec, &m, true); err != nil {
		return 0, 0, err
	}
	if len(m.Body) < 9 {
		return 0, 0, fmt.Errorf("a body of %d bytes", len(m.Body))
	}
	return int64(binary.BigEndian.Uint64(m.Body)), len(m.Body), nil
}

// Verdict is what a check of a load found.
type Verdict struct {
	Acked, Lost int64
	// Phantom: readable but never sent, or read once and gone afterwards.
	Phantom int64
	// Inverted: read before one whose answer had come before it was sent.
	Inverted, Duplicates int64
	Read                 int64 // messages that are there
	MovedBack            int64 // committed offsets that were lower than what had been acknowledged
	Strange              int64 // messages of another size than those of the load
}

// Add adds up.
func (v *Verdict) Add(o Verdict) {
	v.Acked += o.Acked
	v.Lost += o.Lost
	v.Phantom += o.Phantom
	v.Inverted += o.Inverted
	v.Duplicates += o.Duplicates
	v.Read += o.Read
	v.MovedBack += o.MovedBack
	v.Strange += o.Strange
}

// String gives the counts.
func (v Verdict) String() string {
	return fmt.Sprintf("acked %d, lost %d, phantom %d, inverted %d, duplicates %d", v.Acked, v.Lost, v.Phantom, v.Inverted, v.Duplicates)
}

// Verify reads every queue at addr from its start and compares it with what was acknowledged, issued and seen. Run and Watch
// must have ended. slack is how far two messages may be apart and change places: 0 for a broker that keeps the order of a
// connection, the window for one that keeps only that of answered requests.
func (l *Load) Verify(ctx context.Context, addr string, slack int) (Verdict, error) {
	c, err := bench.Dial(ctx, nil, addr, protocol.Binary)
	if err != nil {
		return Verdict{}, err
	}
	defer c.Close()
	CaughtUp(c)
	var v Verdict
	for _, s := range l.Senders {
		if err := s.verify(c, l, int64(slack), &v); err != nil {
			return v, fmt.Errorf("queue %d: %w", s.Queue, err)
		}
	}
	return v, nil
}

func (s *Sender) verify(c *bench.Client, l *Load, slack int64, v *Verdict) error {
	times := make(map[int64]int)
	there := make(map[int64]int64, s.Issued)
	last := int64(-1)
	err := readQueue(c, l.Topic, int(s.Queue), func(index int64, rec []byte) error {
		n, size, err := number(rec)
		if err != nil {
			return err
		}
		v.Read++
		there[index] = n
		if size != max(l.Size, 9) {
			v.Strange++
			return nil
		}
		if n < 0 || n >= s.Issued {
			v.Phantom++
			return nil
		}
		if times[n]++; times[n] > 1 {
			v.Duplicates++
		} else if n < last-slack {
			v.Inverted++
		}
		last = max(last, n)
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range s.Acked {
		v.Acked++
		if times[n] == 0 {
			v.Lost++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for index, n := range s.seen {
		if got, ok := there[index]; !ok || got != n {
			v.Phantom++
		}
	}
	return nil
}

// readQueue is ReadAll that steps over positions at which nothing is given out, as a patient consumer would.
func readQueue(c *bench.Client, topic string, queue int, visit func(index int64, rec []byte) error) error {
	at, hi, err := c.Bounds(topic, queue)
	if err != nil {
		return err
	}
	for stuck := 0; at < hi && stuck < 1000; {
		next, err := c.Pull(topic, queue, at, 32, 0, visit)
		if err != nil {
			return err
		}
		if next <= at {
			next = at + 1
			stuck++
		}
		at = next
	}
	return nil
}

// CaughtUp waits until the queues of a broker hold all that its log holds: a message that was acknowledged is in its queue a moment
// later, on a busy machine some moments. It gives up after a while, and says nothing of a broker that does not tell.
func CaughtUp(c *bench.Client) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r, err := c.Call(protocol.ReqGetBrokerRuntimeInfo, nil, nil)
		if err != nil || r.Code != protocol.RespSuccess || bytes.Contains(r.Body, []byte(`"dispatchBehindBytes":"0"`)) {
			return
		}
	}
}

// ReadTopic calls note for each message that queues 0 and on of a topic hold.
func ReadTopic(c *bench.Client, topic string, queues int, note func(m *record.Message) error) error {
	CaughtUp(c)
	for q := range queues {
		err := c.ReadAll(topic, q, func(_ int64, rec []byte) error {
			var m record.Message
			if _, err := record.Decode(rec, &m, true); err != nil {
				return err
			}
			return note(&m)
		})
		if err != nil {
			return fmt.Errorf("queue %d: %w", q, err)
		}
	}
	return nil
}
