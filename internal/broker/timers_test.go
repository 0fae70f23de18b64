package broker_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// far is the refusal of a time that is out of the limits.
func far(property string) string {
	return "timer message illegal, the delay time should not be bigger than the max delay 259200000ms; or if set del msg, " +
		"the delay time should be bigger than the current time (property " + property + ")"
}

// withTimers makes the wheel small enough for a disk in memory.
func withTimers(fs vfs.FS) func(o *setup) {
	return func(o *setup) {
		if fs != nil {
			o.FS = fs
		}
		o.Timers.Slots, o.Timers.FileSize, o.Timers.Recall = 3600, 64<<10, true
		o.Timers.RollWindow = 20 * time.Minute
	}
}

func TestTimersAreDeliveredAtTheirTimeAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, withTimers(nil))
		begin := time.Now() // a full second
		type want struct {
			queue int32
			at    time.Duration
		}
		var wants []want
		add := func(at time.Duration, name, value string) {
			q := int32(len(wants) % 4)
			r.put(message("T", q, strconv.Itoa(len(wants)), name, value, "TAGS", "a"))
			wants = append(wants, want{q, at})
		}
		for _, at := range []time.Duration{ // also exact seconds, the current one, the last millisecond of one
			3 * time.Millisecond, 500 * time.Millisecond, 999 * time.Millisecond, time.Second, 1001 * time.Millisecond, 1500 * time.Millisecond,
			2 * time.Second, 17 * time.Second, 19*time.Minute + 999*time.Millisecond, 20 * time.Minute, 20*time.Minute + time.Second, 2 * time.Hour,
			3*time.Hour + 123*time.Millisecond, // the wheel, of an hour, has come round
		} {
			add(at, "TIMER_DELIVER_MS", strconv.FormatInt(begin.Add(at).UnixMilli(), 10))
			add(at, "TIMER_DELAY_MS", strconv.FormatInt(at.Milliseconds(), 10))
			if at%time.Second == 0 {
				add(at, "TIMER_DELAY_SEC", strconv.Itoa(int(at/time.Second)))
			}
		}
		const slack = 10 * time.Millisecond
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		seen := 0
		for q := range int32(4) {
			for _, m := range r.read("T", q) {
				i, err := strconv.Atoi(string(m.Body))
				must(t, err)
				w := wants[i]
				at := time.UnixMilli(m.StoreTime).Sub(begin)
				if w.queue != q || at < w.at || at > w.at+slack {
					t.Errorf("message for %v came at %v in queue %d", w.at, at, q)
				}
				if prop(&m, "REAL_TOPIC") != "T" || prop(&m, "TIMER_DUE_MS") != "" || prop(&m, "TIMER_OUT_MS") == "" ||
					prop(&m, "TIMER_DEQUEUE_MS") == "" || prop(&m, "TIMER_ENQUEUE_MS") == "" || prop(&m, "TAGS") != "a" ||
					(prop(&m, "TIMER_ROLL_TIMES") != "") != (w.at > 20*time.Minute) {
					t.Errorf("%v: %q", w.at, m.Props)
				}
				seen++
			}
		}
		if seen != len(wants) {
			t.Errorf("%d of %d", seen, len(wants))
		}
		info, err := r.RuntimeInfo(t.Context())
		must(t, err)
		if info["timerOffsetBehind"] != "0" || info["timerReadBehind"] != "0" || info["timerLost"] != "0" {
			t.Errorf("%q", info)
		}
	})
}

// plan sends n timers that are due within the span, to queues 0..3, with their due time in the body.
func (r *rig) plan(n int, span time.Duration, rng *rand.Rand) {
	r.t.Helper()
	for i := range n {
		due := time.Now().Add(time.Duration(rng.Int64N(int64(span)))).UnixMilli()
		r.put(message("T", int32(i%4), fmt.Sprintf("%d %d", due, rng.Uint64()), "TIMER_DELIVER_MS", strconv.FormatInt(due, 10)))
	}
}

// planned checks that all n timers were delivered and none before its time. It returns how many came twice.
func (r *rig) planned(n int) int {
	r.t.Helper()
	seen, total := map[string]bool{}, 0
	for q := range int32(4) {
		for _, m := range r.read("T", q) {
			var due int64
			if _, err := fmt.Sscan(string(m.Body), &due); err != nil || m.StoreTime < due {
				r.t.Errorf("%s was delivered at %d", m.Body, m.StoreTime)
			}
			seen[string(m.Body)] = true
			total++
		}
	}
	if len(seen) != n {
		r.t.Fatalf("%d different timers were delivered, want %d", len(seen), n)
	}
	return total - n
}

func TestTimersGoOnAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		rng := rand.New(rand.NewPCG(1, 2))
		r := start(t, withTimers(fs))
		r.plan(3000, 3*time.Minute, rng) // several timer log files
		for range 4 {
			time.Sleep(40 * time.Second)
			synctest.Wait()
			r.stop()
			time.Sleep(3 * time.Second)
			r = start(t, withTimers(fs))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := r.planned(3000); twice != 0 {
			t.Errorf("%d came twice", twice)
		}
	})
}

func TestALongTimeDownSkipsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		r := start(t, withTimers(fs))
		r.plan(500, 70*time.Hour, rand.New(rand.NewPCG(1, 2)))
		time.Sleep(time.Minute)
		r.stop()
		time.Sleep(30 * 24 * time.Hour) // the wheel has come round many times
		r = start(t, withTimers(fs))
		r.plan(500, 10*time.Minute, rand.New(rand.NewPCG(3, 4)))
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		r.planned(1000)
	})
}

func TestKilledBrokersLoseNoTimer(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			fs := vfs.NewMem(vfs.MemOptions{})
			r := start(t, withTimers(fs))
			n := 0
			for range 5 {
				r.plan(300, 40*time.Second, rng)
				n += 300
				mode := vfs.ProcessKill
				if seed%2 == 1 {
					mode = vfs.PowerCut
					must(t, r.store.Flush())
				}
				time.Sleep(time.Duration(rng.Int64N(int64(10 * time.Second))))
				synctest.Wait()
				clone := fs.CrashClone(rng, mode)
				r.stop()
				time.Sleep(time.Duration(rng.Int64N(int64(3 * time.Second))))
				fs = clone
				r = start(t, withTimers(fs))
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			twice := r.planned(n)
			if seed%2 == 0 && twice > 0 {
				t.Errorf("%d came twice", twice)
			}
		})
	}
}

// TestAKillBeforeTheFirstCheckpointSkipsNoTimer comes back in another second than the one in which it was killed.
func TestAKillBeforeTheFirstCheckpointSkipsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		r := start(t, withTimers(fs))
		r.plan(200, 900*time.Millisecond, rand.New(rand.NewPCG(1, 2)))
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		fs = fs.CrashClone(nil, vfs.ProcessKill)
		r.stop()
		time.Sleep(3 * time.Second)
		r = start(t, withTimers(fs))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if twice := r.planned(200); twice != 0 {
			t.Errorf("%d came twice", twice)
		}
	})
}

// TestATimerThatWasDeliveredBeforeAKillIsNotDeliveredAgain kills the broker again and again while messages that are all the same are
// delivered: before and behind the appends of the timers, with and without a checkpoint between. Some are rolled, some come late.
func TestATimerThatWasDeliveredBeforeAKillIsNotDeliveredAgain(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			mem := vfs.NewMem(vfs.MemOptions{})
			var left atomic.Int32 // writes to the log until the kill
			var clone atomic.Pointer[vfs.Mem]
			with := func(o *setup) {
				disk := mem
				withTimers(vfs.NewFaulty(disk, func(op vfs.Op) error {
					if isLogWrite(op) && left.Load() > 0 && left.Add(-1) == 0 {
						clone.Store(disk.CrashClone(nil, vfs.ProcessKill))
					}
					return nil
				}))(o)
				o.Timers.RollWindow = 30 * time.Second
			}
			r := start(t, with)
			n := 0
			due := time.Now().Add(70 * time.Second).Truncate(time.Second)
			for range 6 {
				for range 150 {
					// Of the same time, of one that is nearly over, and of one to which it rolls.
					for _, at := range []time.Time{due, due.Add(300 * time.Millisecond), time.Now().Add(time.Millisecond)} {
						r.put(message("T", int32(n%4), "same", "TIMER_DELIVER_MS", strconv.FormatInt(at.UnixMilli(), 10)))
						n++
					}
				}
				left.Store(1 + rng.Int32N(8))
				time.Sleep(time.Duration(rng.Int64N(int64(25 * time.Second))))
				synctest.Wait()
				left.Store(0)
				c := clone.Swap(nil)
				if c == nil {
					c = mem.CrashClone(nil, vfs.ProcessKill)
				}
				r.stop()
				time.Sleep(time.Duration(rng.Int64N(int64(2 * time.Second))))
				mem = c
				r = start(t, with)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if got := r.total("T"); got != n {
				t.Errorf("%d deliveries of %d timers", got, n)
			}
		})
	}
}

func TestTimersOutliveAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		r := start(t, withTimers(fs))
		r.plan(300, 5*time.Second, rand.New(rand.NewPCG(1, 2)))
		fs.SetCapacity(1)
		time.Sleep(time.Minute)
		fs.SetCapacity(1 << 30)
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := r.planned(300); twice != 0 {
			t.Errorf("%d came twice", twice)
		}
	})
}

func TestADamagedTimerLogIsSearched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		r := start(t, withTimers(fs))
		r.plan(400, time.Minute, rand.New(rand.NewPCG(1, 2)))
		time.Sleep(3 * time.Second)
		f, err := fs.Open("/store/timerlog/00000000000000000000")
		must(t, err)
		for i := range int64(10) { // some units point to nonsense
			_, err = f.WriteAt([]byte{0, 0, 0, 1, 2, 3, 4, 5}, (30+35*i)*52+4)
			must(t, err)
		}
		must(t, f.Close())
		time.Sleep(time.Minute)
		synctest.Wait()
		seen := map[string]bool{}
		for q := range int32(4) {
			for _, m := range r.read("T", q) {
				seen[string(m.Body)] = true
			}
		}
		if len(seen) < 390 {
			t.Errorf("%d of 400 timers came, 10 at most are damaged", len(seen))
		}
	})
}

func recallOf(t *testing.T, r *rig, req mq.RecallRequest) (string, error) {
	t.Helper()
	var id string
	var refusal *mq.Error
	done := make(chan struct{})
	r.Recall(t.Context(), &req, func(i string, e *mq.Error) {
		id, refusal = i, e
		close(done)
	})
	<-done
	if refusal == nil {
		return id, nil
	}
	return id, refusal
}

func TestARecalledMessageIsNotDelivered(t *testing.T) {
	for _, topicKey := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, withTimers(nil), func(o *setup) { o.Timers.RecallTopicKey = topicKey })
			time.Sleep(300 * time.Millisecond)
			var results []mq.SendResult
			var keys []string
			delays := []int{900, 1500, 2000, 30_000, 25 * 60_000, 60 * 60_000}
			for i, ms := range delays {
				for j := range 2 {
					m := message("T", int32(i%4), fmt.Sprintf("%d-%d", i, j), "TIMER_DELAY_MS", strconv.Itoa(ms), "UNIQ_KEY", fmt.Sprintf("K%d-%d", i, j))
					res := r.put(m)
					results = append(results, res)
					keys = append(keys, strings.Clone(res.UniqueKey))
				}
			}
			for i := 0; i < len(results); i += 2 {
				id, err := recallOf(t, r, mq.RecallRequest{Group: "PG", Topic: "T", Handle: results[i].RecallHandle, From: client})
				if err != nil || id != keys[i] {
					t.Errorf("%s: %q %v", keys[i], id, err)
				}
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			n := 0
			for q := range int32(4) {
				for _, m := range r.read("T", q) {
					n++
					if !strings.HasSuffix(string(m.Body), "-1") {
						t.Errorf("%s was delivered", m.Body)
					}
				}
			}
			if n != len(delays) {
				t.Errorf("%d messages, want %d", n, len(delays))
			}
		})
	}
}

func TestRecallRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, withTimers(nil))
		r.topic("T", 4)
		handle := func(text string) string { return base64.URLEncoding.EncodeToString([]byte(text)) }
		soon := strconv.FormatInt(time.Now().UnixMilli()+60_000, 10)
		late := strconv.FormatInt(time.Now().UnixMilli()+72*3_600_000, 10)
		for _, c := range []struct {
			topic, handle string
			kind          mq.Kind
			text          string
		}{
			{"None", handle("v1 None broker-a " + soon + " K"), mq.KindTopicNotExist, "recall failed, the topic[None] not exist"},
			{"T", "", mq.KindIllegalOperation, "recall handle is invalid"},
			{"T", "!!!", mq.KindIllegalOperation, "recall handle is invalid"},
			{"T", handle("v2 T broker-a " + soon + " K"), mq.KindIllegalOperation, "recall handle is invalid"},
			{"T", handle("v1 T broker-a " + soon), mq.KindIllegalOperation, "recall handle is invalid"},
			{"T", handle("v1 T broker-a " + soon + " K\x01\x02"), mq.KindIllegalOperation, "recall handle is invalid"},
			{"T", handle("v1 U broker-a " + soon + " K"), mq.KindIllegalOperation, "recall failed, topic not match"},
			{"T", handle("v1 T broker-b " + soon + " K"), mq.KindIllegalOperation, "recall failed, broker service not available"},
			{"T", handle("v1 T broker-a x K"), mq.KindIllegalOperation, "recall failed, timestamp invalid"},
			{"T", handle("v1 T broker-a 3 K"), mq.KindIllegalOperation, "recall failed, timestamp invalid"},
			{"T", handle("v1 T broker-a " + late + " K"), mq.KindIllegalOperation, "recall failed, timestamp invalid"},
		} {
			before := r.store.Appended()
			_, err := recallOf(t, r, mq.RecallRequest{Topic: c.topic, Handle: c.handle, From: client})
			refused(t, err, c.kind, c.text)
			if r.store.Appended() != before {
				t.Errorf("%s: something was stored", c.text)
			}
		}
		off := start(t)
		_, err := recallOf(t, off, mq.RecallRequest{Topic: "T", Handle: "x", From: client})
		refused(t, err, mq.KindNoPermission, "recall failed, operation is forbidden")
	})
}

func TestTimersThatAreOffAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.NoTimerTopic = true })
	res, _ := r.send(message("T", 0, "x", "TIMER_DELAY_SEC", "3"))
	refused(t, res[0].Err, mq.KindInternal, "accurate timer message is not enabled, timerWheelEnable is false")
	res, _ = r.send(message("T", 0, "x", "TIMER_DELIVER_MS", "3"))
	refused(t, res[0].Err, mq.KindInternal, "accurate timer message is not enabled, timerWheelEnable is false")
}

func TestAMessageInTheTimerTopicWithoutATimeIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, withTimers(nil))
		r.plan(10, time.Second, rand.New(rand.NewPCG(1, 1)))
		for _, p := range []string{"", "x", "-1", "9223372036854775807"} {
			r.put(message(delay.TimerTopic, 0, "bad", "TIMER_OUT_MS", p))
		}
		r.put(message(delay.TimerTopic, 0, "no target", "TIMER_OUT_MS", "1000"))
		r.plan(10, time.Second, rand.New(rand.NewPCG(1, 3)))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		r.planned(20)
		info, err := r.RuntimeInfo(t.Context())
		must(t, err)
		if info["timerLost"] != "5" {
			t.Errorf("timerLost %s", info["timerLost"])
		}
	})
}
