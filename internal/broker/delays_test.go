package broker_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// read returns all messages of a queue.
func (r *rig) read(topic string, queue int32) []record.Message {
	r.t.Helper()
	r.settle()
	q, ok := r.store.Lookup(topic, queue)
	if !ok {
		return nil
	}
	var out []record.Message
	for at := q.Min(); at < q.Max(); {
		res := r.store.Read(q, &storage.Read{From: at, MaxCount: 1000, MaxBytes: 1 << 20}, nil)
		if res.Next <= at {
			r.t.Fatalf("read %s/%d at %d: %+v", topic, queue, at, res.Status)
		}
		at = res.Next
		out = append(out, messages(r.t, res.Records)...)
	}
	return out
}

func prop(m *record.Message, name string) string {
	v, _ := m.Props.Get(name)
	return string(v)
}

func TestDelayLevelsAreDeliveredWhenDueAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.storage.TagsCode = delay.JavaLevels().Tags })
		r.topic("T", 4)
		begin := time.Now()
		for level := 1; level <= 4; level++ { // 1s 5s 10s 30s
			for i := range 3 {
				m := message("T", int32(level-1), fmt.Sprintf("%d-%d", level, i), "TAGS", "a", "DELAY", strconv.Itoa(level), "TIMER_DELAY_SEC", "1")
				m.SysFlag, m.Flag, m.Reconsume = record.SysFlagCommit|record.SysFlagCompressed, 7, 2
				r.put(m)
			}
		}
		for level, d := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second} {
			time.Sleep(time.Until(begin.Add(d - time.Millisecond)))
			synctest.Wait()
			if got := r.read("T", int32(level)); len(got) != 0 {
				t.Fatalf("level %d is early: %v", level+1, got)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			got := r.read("T", int32(level))
			if len(got) != 3 {
				t.Fatalf("level %d: %d messages, want 3", level+1, len(got))
			}
			for i := range got {
				m := &got[i]
				kept := r.read(delay.Topic, int32(level))[i]
				if string(m.Body) != fmt.Sprintf("%d-%d", level+1, i) || m.SysFlag != record.SysFlagCommit|record.SysFlagCompressed ||
					m.Flag != 7 || m.Reconsume != 2 || m.BornHost != client || m.BornTime != 1_700_000_000_000 {
					t.Errorf("%+v", m)
				}
				// Java's clients see all of these, too.
				if string(m.Props) != string(kept.Props) || prop(m, "DELAY") != strconv.Itoa(level+1) || prop(m, "REAL_TOPIC") != "T" ||
					prop(m, "REAL_QID") != strconv.Itoa(level) || prop(m, "TAGS") != "a" || prop(m, "TIMER_DELAY_SEC") != "" {
					t.Errorf("%q", m.Props)
				}
			}
		}
	})
}

func TestDelayLevelAboveTheHighestIsTheHighest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		levels := delay.Levels{time.Second, 7 * time.Second}
		r := start(t, func(o *setup) { o.DelayLevels, o.storage.TagsCode = levels, levels.Tags })
		r.put(message("T", 0, "x", "DELAY", "99", "REAL_TOPIC", "Other", "REAL_QID", "3"))
		time.Sleep(7*time.Second - time.Millisecond)
		if got := r.read("T", 0); len(got) != 0 {
			t.Fatal("early")
		}
		time.Sleep(2 * time.Millisecond)
		got := r.read("T", 0)
		if len(got) != 1 || prop(&got[0], "DELAY") != "2" || len(r.read("Other", 3)) != 0 {
			t.Fatalf("%v", got)
		}
	})
}

func TestDelayLevelsGoOnAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		with := func(o *setup) { o.FS, o.storage.TagsCode = fs, delay.JavaLevels().Tags }
		r := start(t, with)
		for i := range 1000 {
			r.put(message("T", int32(i%4), strconv.Itoa(i), "DELAY", strconv.Itoa(1+i%2)))
		}
		time.Sleep(2 * time.Second) // level 1 is out
		r.stop()
		json, err := vfs.ReadFile(fs, "/store/config/delayOffset.json")
		must(t, err)
		if text := string(json); !strings.Contains(text, "\t1:500\n") {
			t.Errorf("delayOffset.json %q", text)
		}
		time.Sleep(time.Hour)
		r = start(t, with)
		time.Sleep(time.Millisecond)
		r.delivered(t, 1000, 0)
		info, err := r.RuntimeInfo(t.Context())
		must(t, err)
		if info["scheduleMessageOffset_2"] != "500,500" || info["scheduleLost"] != "0" {
			t.Errorf("%q", info)
		}
	})
}

// delivered checks that T has each of 0..n-1, and at most extra ones twice.
func (r *rig) delivered(t *testing.T, n, extra int) {
	t.Helper()
	seen, total := map[string]bool{}, 0
	for q := range int32(4) {
		for _, m := range r.read("T", q) {
			seen[string(m.Body)] = true
			total++
		}
	}
	if len(seen) != n || total > n+extra {
		t.Fatalf("%d different messages of %d, want %d; at most %d twice", len(seen), total, n, extra)
	}
}

func TestAKilledBrokerDeliversDelayedMessagesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		with := func(o *setup) { o.FS, o.storage.TagsCode = fs, delay.JavaLevels().Tags }
		r := start(t, with)
		for i := range 1000 {
			r.put(message("T", int32(i%4), strconv.Itoa(i), "DELAY", strconv.Itoa(1+i%2)))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		fs = fs.CrashClone(nil, vfs.ProcessKill)
		r.stop()
		r = start(t, with)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		r.delivered(t, 1000, 0)
	})
}

// TestDeliveriesThatWereNotWrittenDownAreFound kills the broker just before it notes that a batch was delivered. All messages are the
// same, so that it shows when one too few or too many is taken for delivered.
func TestDeliveriesThatWereNotWrittenDownAreFound(t *testing.T) {
	const n = 2000
	for nth := range int32(4) {
		synctest.Test(t, func(t *testing.T) {
			mem := vfs.NewMem(vfs.MemOptions{})
			var clone atomic.Pointer[vfs.Mem]
			var armed atomic.Bool
			var notes atomic.Int32
			with := func(o *setup) {
				disk := mem
				o.FS = vfs.NewFaulty(disk, func(op vfs.Op) error {
					if op.Kind == vfs.OpWrite && strings.Contains(op.Name, "delays") && armed.Load() && notes.Add(1) == nth+1 {
						clone.Store(disk.CrashClone(nil, vfs.ProcessKill))
					}
					return nil
				})
				o.storage.TagsCode = delay.JavaLevels().Tags
			}
			r := start(t, with)
			for i := range n {
				r.put(message("T", int32(i%4), "same", "DELAY", "1"))
			}
			armed.Store(true)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if mem = clone.Load(); mem == nil {
				t.Fatal("it noted nothing")
			}
			r.stop()
			armed.Store(false)
			r = start(t, with)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if got := r.total("T"); got != n {
				t.Errorf("%d deliveries of %d messages", got, n)
			}
		})
	}
}

// total returns how many messages the first four queues of a topic have.
func (r *rig) total(topic string) (n int) {
	for q := range int32(4) {
		n += len(r.read(topic, q))
	}
	return n
}

func TestAPowerCutLosesNoDelayedMessage(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			fs := vfs.NewMem(vfs.MemOptions{})
			with := func(o *setup) {
				o.FS, o.storage.TagsCode, o.DelayFold = fs, delay.JavaLevels().Tags, 200*time.Millisecond
				o.storage.FlushInterval = time.Hour // nothing is on disk but what somebody asks for
			}
			r := start(t, with)
			for i := range 400 {
				r.put(message("T", int32(i%4), strconv.Itoa(i), "DELAY", "1"))
				time.Sleep(time.Millisecond)
			}
			must(t, r.store.Flush())
			time.Sleep(time.Duration(600+20*seed) * time.Millisecond)
			synctest.Wait()
			fs = fs.CrashClone(rand.New(rand.NewPCG(seed, 1)), vfs.PowerCut)
			r.stop()
			r = start(t, with)
			r.put(message("Filler", 0, strings.Repeat("x", 100_000)))
			fs = fs.CrashClone(nil, vfs.ProcessKill) // positions that were void stay void
			r.stop()
			r = start(t, with)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			r.delivered(t, 400, 400)
		})
	}
}

func TestAFailingDeliveryIsTriedAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		r := start(t, func(o *setup) {
			o.storage.TagsCode = delay.JavaLevels().Tags
			o.FS = vfs.NewFaulty(o.FS, func(op vfs.Op) error {
				if full.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "commitlog") {
					return syscall.ENOSPC
				}
				return nil
			})
		})
		for i := range 200 {
			r.put(message("T", 0, strconv.Itoa(i), "DELAY", "1"))
		}
		r.settle()
		time.Sleep(500 * time.Millisecond)
		full.Store(true)
		time.Sleep(time.Minute)
		if n := len(r.read("T", 0)); n >= 200 {
			t.Fatalf("%d messages were delivered on a full disk: nothing failed", n)
		}
		full.Store(false)
		time.Sleep(time.Minute)
		for i, m := range r.read("T", 0) {
			if string(m.Body) != strconv.Itoa(i) {
				t.Fatalf("%d: %s", i, m.Body)
			}
		}
		r.delivered(t, 200, 0)
	})
}

func TestADelayedMessageForNowhereIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.storage.TagsCode = delay.JavaLevels().Tags })
		r.put(message("T", 0, "0", "DELAY", "1"))
		var b storage.Batch
		for _, props := range [][2]string{{"", "0"}, {"T", "x"}, {"T", "-1"}, {"T", "99999999"}, {"RMQ_SYS_TRANS_HALF_TOPIC", "0"}} {
			p := record.AppendProp(nil, "DELAY", "1")
			p = record.AppendProp(p, "REAL_TOPIC", props[0])
			p = record.AppendProp(p, "REAL_QID", props[1])
			_, err := b.Add(r.store.Queue(delay.Topic, 0), &record.Message{Topic: []byte(delay.Topic), Props: p, BornHost: client, Body: []byte("bad")})
			must(t, err)
		}
		must(t, r.store.Append(&b))
		r.put(message("T", 0, "1", "DELAY", "1"))
		time.Sleep(2 * time.Second)
		r.delivered(t, 2, 0)
		info, err := r.RuntimeInfo(t.Context())
		must(t, err)
		if info["scheduleLost"] != "5" {
			t.Errorf("scheduleLost %s", info["scheduleLost"])
		}
	})
}
