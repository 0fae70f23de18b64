package storage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// stored is a message as the model remembers it.
type stored struct {
	body string
	end  record.Offset
}

// model is what a store must hold: by queue, by index.
type model struct {
	queues map[string]map[record.Index]stored
	next   map[string]record.Index
	serial int
}

// machine drives a store on a crashable disk by hand: no goroutine runs, so each run of a seed is the same.
type machine struct {
	fsys  *vfs.Mem
	o     Options
	s     *Store
	m     model
	batch Batch
}

func queueName(topic string, id int32) string { return fmt.Sprintf("%s/%d", topic, id) }

// batchTopic has batch queues; the last two topics are light queues, which have no messages of their own.
const batchTopic = "BATCH"

func (c *machine) topics() []string {
	return []string{"A", "B", "%RETRY%g", batchTopic, "%LMQ%x", "%LMQ%y"}
}

func (c *machine) owners() []string { return c.topics()[:4] }

func (c *machine) append(t *rapid.T) {
	n := rapid.IntRange(1, 10).Draw(t, "messages")
	group := rapid.IntRange(0, 5).Draw(t, "group") == 0
	c.batch.Reset()
	type what struct {
		queue, body string
		count       int
		lights      []string
	}
	var list []what
	if group {
		c.batch.BeginGroup()
	}
	topic := rapid.SampledFrom(c.owners()).Draw(t, "topic")
	id := int32(rapid.IntRange(0, 2).Draw(t, "queue"))
	for range n {
		if !group && rapid.Bool().Draw(t, "other") {
			topic = rapid.SampledFrom(c.owners()).Draw(t, "topic")
			id = int32(rapid.IntRange(0, 2).Draw(t, "queue"))
		}
		c.m.serial++
		size := rapid.IntRange(0, 250).Draw(t, "size")
		if !group && rapid.IntRange(0, 30).Draw(t, "big") == 0 {
			size = int(c.o.SegmentSize)/2 + 100
		}
		body := fmt.Sprintf("%d %s", c.m.serial, strings.Repeat("b", size))
		m := message(topic, body, "t")
		m.Props = record.AppendProp(m.Props, "KEYS", fmt.Sprintf("all k%d", c.m.serial))
		w := what{queue: queueName(topic, id), body: body, count: 1}
		var err error
		switch names := rapid.IntRange(0, 3).Draw(t, "light"); {
		case topic == batchTopic:
			w.count = rapid.IntRange(1, 20).Draw(t, "count")
			_, err = c.batch.AddBatch(c.s.Queue(topic, id), m, w.count)
		case names > 0 && (topic == "A" || topic == "B"):
			text := []string{"%LMQ%x", "other,%LMQ%y", "%LMQ%y,%LMQ%x,%LMQ%y,"}[names-1]
			w.lights = [][]string{{"%LMQ%x/0"}, {"%LMQ%y/0"}, {"%LMQ%x/0", "%LMQ%y/0"}}[names-1]
			m.Props = record.AppendProp(m.Props, "INNER_MULTI_DISPATCH", text)
			_, err = c.batch.AddLight(c.s.Queue(topic, id), m, []byte(text))
		default:
			_, err = c.batch.Add(c.s.Queue(topic, id), m)
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, w)
	}
	if group {
		c.batch.EndGroup(true)
	}
	if err := c.s.Append(&c.batch); err != nil {
		t.Fatalf("append: %v", err)
	}
	for i, w := range list {
		idx, off, _ := c.batch.Result(i)
		if idx != c.m.next[w.queue] {
			t.Fatalf("%s: index %d, want %d", w.queue, idx, c.m.next[w.queue])
		}
		c.m.next[w.queue] += record.Index(w.count)
		st := stored{body: w.body, end: off + record.Offset(c.batch.RecordSize(i))}
		c.m.queues[w.queue][idx] = st
		for _, l := range w.lights {
			c.m.queues[l][c.m.next[l]] = st
			c.m.next[l]++
		}
	}
}

func (c *machine) reopen(t *rapid.T, fsys *vfs.Mem) {
	s, err := Open(fsys, c.o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	c.fsys, c.s = fsys, s
	c.do(t, "make batch queues", func() error { return s.MakeBatch(batchTopic) })
}

// check compares all queues with the model. durable: what ends behind it may be missing, and is forgotten then.
func (c *machine) check(t *rapid.T, durable record.Offset) {
	for _, topic := range c.topics() {
		for id := range int32(3) {
			c.checkQueue(t, topic, id, durable)
		}
	}
}

func (c *machine) checkQueue(t *rapid.T, topic string, id int32, durable record.Offset) {
	name := queueName(topic, id)
	q := c.s.Queue(topic, id)
	want := c.m.queues[name]
	if q.Max() > c.m.next[name] {
		t.Fatalf("%s: max %d, only %d were appended", name, q.Max(), c.m.next[name])
	}
	seen := map[record.Index]bool{}
	for at := q.Min(); at < q.Max(); {
		read := Read{From: at}
		if IsLight(topic) {
			read.MaxCount = 1 // the index of such a message is where it was found
		}
		res := c.s.Read(q, &read, nil)
		for p := res.Records; len(p) > 0; {
			var m record.Message
			n, err := record.Decode(p, &m, true)
			if err != nil {
				t.Fatalf("%s at %d: %v", name, at, err)
			}
			if IsLight(topic) {
				m.Index = res.Next - 1
			}
			if string(m.Body) != want[m.Index].body {
				t.Fatalf("%s index %d: body %.30q, want %.30q", name, m.Index, m.Body, want[m.Index].body)
			}
			if seen[m.Index] {
				t.Fatalf("%s index %d comes twice", name, m.Index)
			}
			seen[m.Index] = true
			if c.o.IndexEnabled && !IsLight(topic) {
				serial, _, _ := strings.Cut(string(m.Body), " ")
				hits, err := c.s.QueryKeys(topic, "k"+serial, 100, 0, math.MaxInt64)
				if err != nil || !slices.Contains(hits.Offsets, m.Offset) {
					t.Fatalf("%s index %d at %d is not found by its key k%s: %v %v", name, m.Index, m.Offset, serial, hits.Offsets, err)
				}
			}
			p = p[n:]
		}
		if res.Next <= at {
			t.Fatalf("%s at %d: read does not go on (%d)", name, at, res.Status)
		}
		at = res.Next
	}
	for idx, w := range want {
		if !seen[idx] {
			if w.end <= durable {
				t.Fatalf("%s index %d is lost (its record ends at %d, %d was durable; the log ends at %d)", name, idx, w.end, durable, c.s.Appended())
			}
			delete(want, idx)
		}
	}
	c.m.next[name] = q.Max()
}

func (c *machine) dispatched(t *rapid.T) {
	if c.o.FlushSync {
		c.do(t, "flush", c.s.Flush)
	}
	c.do(t, "dispatch", c.s.dispatchAll)
}

func (c *machine) do(t *rapid.T, what string, f func() error) {
	if err := f(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestCrashesLoseNothingThatWasPromised(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &machine{fsys: vfs.NewMem(vfs.MemOptions{}), m: model{queues: map[string]map[record.Index]stored{}, next: map[string]record.Index{}}}
		c.o = options(testing.TB(nil))
		c.o.SegmentSize = int64(rapid.SampledFrom([]int{4096, 8192, 20000, 600 << 10}).Draw(t, "segment"))
		c.o.QueueFileSize = int64(rapid.SampledFrom([]int{200, 2000}).Draw(t, "queue file"))
		c.o.BatchFileSize = int64(rapid.SampledFrom([]int{46 * 3, 46 * 100}).Draw(t, "batch file"))
		c.o.LightQueues = true
		c.o.FlushSync = rapid.Bool().Draw(t, "sync")
		c.o.IndexEnabled = rapid.Bool().Draw(t, "index")
		c.o.AppendPropCRC = rapid.Bool().Draw(t, "prop crc")
		for _, topic := range c.topics() {
			for id := range 3 {
				c.m.queues[queueName(topic, int32(id))] = map[record.Index]stored{}
			}
		}
		c.reopen(t, c.fsys)
		crash := func(t *rapid.T, mode vfs.CrashMode) *vfs.Mem {
			seed := rapid.Uint64().Draw(t, "seed")
			return c.fsys.CrashClone(rand.New(rand.NewPCG(seed, 1)), mode)
		}
		t.Repeat(map[string]func(*rapid.T){
			"append":   c.append,
			"append2":  c.append,
			"append3":  c.append,
			"dispatch": c.dispatched,
			"flush":    func(t *rapid.T) { c.do(t, "flush", c.s.Flush) },
			"light":    func(t *rapid.T) { c.do(t, "light", c.s.light) },
			"thorough": func(t *rapid.T) { c.do(t, "thorough", c.s.thorough) },
			"read": func(t *rapid.T) {
				c.dispatched(t)
				c.check(t, c.s.Appended())
			},
			"restart": func(t *rapid.T) {
				c.do(t, "close", c.s.Close)
				c.reopen(t, c.fsys)
				c.check(t, c.s.Appended())
			},
			"kill": func(t *rapid.T) {
				end, holes := c.s.Appended(), c.s.Corruptions().Count
				c.reopen(t, crash(t, vfs.ProcessKill))
				if c.s.Appended() != end {
					t.Fatalf("the log ends at %d, not at %d", c.s.Appended(), end)
				}
				if n := c.s.Corruptions().Count; n > holes {
					t.Fatalf("%d holes after a kill, %d before", n, holes)
				}
				c.check(t, end)
			},
			"power cut": func(t *rapid.T) {
				durable := c.s.Flushed()
				c.reopen(t, crash(t, vfs.PowerCut))
				c.check(t, durable)
			},
			"delete topic": func(t *rapid.T) {
				topic := rapid.SampledFrom(c.topics()).Draw(t, "topic")
				c.do(t, "delete", func() error { return c.s.DeleteTopic(topic) })
				for id := range int32(3) {
					c.m.queues[queueName(topic, id)] = map[record.Index]stored{}
					c.m.next[queueName(topic, id)] = 0
				}
				c.do(t, "make batch queues", func() error { return c.s.MakeBatch(batchTopic) })
			},
		})
		c.do(t, "close", c.s.Close)
	})
}
