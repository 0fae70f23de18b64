package crash

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// load sends numbered messages through kills and restarts and remembers what was acknowledged. Each sender has a queue
// and a connection of its own, so its numbers must rise in that queue. A number is sent once: after a broken connection
// the unanswered ones stay unknown.
type load struct {
	addr, topic string
	senders     []*sender
	acked       atomic.Int64
	pause       time.Duration // between a sender's writes
}

type sender struct {
	queue  int32
	issued int64
	acked  []int64 // numbers that were acknowledged, in the order of the answers
}

const window = 64

func newLoad(addr, topic string, senders int) *load {
	l := &load{addr: addr, topic: topic, pause: time.Millisecond}
	for q := range senders {
		l.senders = append(l.senders, &sender{queue: int32(q)})
	}
	return l
}

// run sends until ctx ends.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range l.senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				c, err := bench.Dial(ctx, nil, l.addr, protocol.Binary)
				if err == nil {
					l.session(ctx, c, s)
					c.Close()
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

// session keeps a window of requests in flight until the connection breaks or ctx ends; at the end it waits for the
// answers that are due.
func (l *load) session(ctx context.Context, c *bench.Client, s *sender) {
	type flight struct {
		number int64
	}
	var waiting []flight
	body := make([]byte, 100)
	for {
		for len(waiting) < window && ctx.Err() == nil {
			binary.BigEndian.PutUint64(body, uint64(s.issued))
			body[8] = byte(s.queue)
			if err := c.Start(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
				ProducerGroup: "crash", Topic: l.topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 8, QueueID: s.queue,
				BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
			}, body, int32(s.issued)); err != nil {
				return
			}
			waiting = append(waiting, flight{s.issued})
			s.issued++
		}
		if len(waiting) == 0 {
			return
		}
		if err := c.FlushOut(); err != nil {
			return
		}
		time.Sleep(l.pause) // some ten thousand a second are enough to be hit in the middle
		for range (len(waiting) + 3) / 4 {
			r, op, err := c.Next(10 * time.Second)
			if err != nil {
				return
			}
			i := slices.IndexFunc(waiting, func(f flight) bool { return f.number == int64(op) })
			if i < 0 {
				continue
			}
			if r.Code == protocol.RespSuccess {
				s.acked = append(s.acked, waiting[i].number)
				l.acked.Add(1)
			}
			waiting = slices.Delete(waiting, i, i+1)
		}
	}
}

// verdict is what a check of a load found.
type verdict struct {
	acked, lost, phantom, inverted, duplicates int64

	movedBack int64 // committed offsets
}

func (v verdict) String() string {
	return fmt.Sprintf("acked %d, lost %d, phantom %d, inverted %d, duplicates %d", v.acked, v.lost, v.phantom, v.inverted, v.duplicates)
}

// verify reads every queue from its start and compares it with what was acknowledged and issued.
func (l *load) verify(t *testing.T) verdict {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, l.addr, protocol.Binary)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var v verdict
	for _, s := range l.senders {
		seen := make(map[int64]int)
		last := int64(-1)
		err := c.ReadAll(l.topic, int(s.queue), func(_ int64, rec []byte) error {
			var m record.Message
			if _, err := record.Decode(rec, &m, true); err != nil {
				return err
			}
			n := int64(binary.BigEndian.Uint64(m.Body))
			if n < 0 || n >= s.issued {
				v.phantom++
				return nil
			}
			if seen[n]++; seen[n] > 1 {
				v.duplicates++
			} else if n < last {
				v.inverted++
			}
			last = max(last, n)
			return nil
		})
		if err != nil {
			t.Fatalf("queue %d: %v", s.queue, err)
		}
		for _, n := range s.acked {
			v.acked++
			if seen[n] == 0 {
				v.lost++
			}
		}
	}
	return v
}

// readTopic calls note for each message that queues 0 and on of a topic hold.
func readTopic(t *testing.T, c *bench.Client, topic string, queues int, note func(m *record.Message) error) {
	t.Helper()
	for q := range queues {
		err := c.ReadAll(topic, q, func(_ int64, rec []byte) error {
			var m record.Message
			if _, err := record.Decode(rec, &m, true); err != nil {
				return err
			}
			return note(&m)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
