package longpoll_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/broker/longpoll"
	"github.com/cometmq/cometmq/internal/mq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts a table and returns a function that stops it and waits.
func run(t *testing.T, o longpoll.Options) (table *longpoll.Table, stop func()) {
	t.Helper()
	table = longpoll.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- table.Run(ctx) }()
	return table, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func even(code int64) bool { return code%2 == 0 }

// at is a queue that ends there.
type at mq.Index

func (i at) Max() mq.Index { return mq.Index(i) }

// end is a queue that grows.
type end struct{ atomic.Int64 }

func (e *end) Max() mq.Index { return mq.Index(e.Load()) }

func TestParkedRequestIsWokenByAMatchingMessageOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, stop := run(t, longpoll.Options{SkipDelay: time.Hour})
		var woken atomic.Int32
		w := &mq.Waiter{
			Topic: "T", QueueID: 1, From: 7, Match: even, Deadline: time.Now().Add(time.Minute),
			Wake: func(*mq.Waiter) { woken.Add(1) },
		}
		if !table.Park(w, at(7)) {
			t.Fatal("not parked")
		}
		table.Arrived("T", 0, 9, 2, nil) // another queue
		table.Arrived("U", 1, 9, 2, nil) // another topic
		table.Arrived("T", 1, 6, 2, nil) // before it
		table.Arrived("T", 1, 7, 3, nil) // wrong tag
		synctest.Wait()
		if woken.Load() != 0 || table.Parked() != 1 {
			t.Fatalf("woken %d, parked %d", woken.Load(), table.Parked())
		}
		table.Arrived("T", 1, 8, 2, nil)
		table.Arrived("T", 1, 9, 2, nil)
		synctest.Wait()
		if woken.Load() != 1 || table.Parked() != 0 {
			t.Fatalf("woken %d, parked %d", woken.Load(), table.Parked())
		}
		stop()
	})
}

func TestDeadlineWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, stop := run(t, longpoll.Options{})
		start := time.Now()
		var mu sync.Mutex
		var got []time.Duration
		park := func(d time.Duration) {
			table.Park(&mq.Waiter{Topic: "T", Deadline: start.Add(d), Wake: func(*mq.Waiter) {
				mu.Lock()
				got = append(got, time.Since(start))
				mu.Unlock()
			}}, at(0))
		}
		for _, s := range []int{20, 5, 15, 1, 30} {
			park(time.Duration(s) * time.Second)
		}
		time.Sleep(2 * time.Second)
		park(3 * time.Second) // earlier than what the clock sleeps for
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		want := []int{1, 3, 5, 15, 20, 30}
		if len(got) != len(want) {
			t.Fatalf("got %v", got)
		}
		for i, s := range want {
			if got[i] != time.Duration(s)*time.Second {
				t.Fatalf("got %v", got)
			}
		}
	})
}

func TestAMessageThatDoesNotMatchShortensTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, stop := run(t, longpoll.Options{})
		start := time.Now()
		woken := make(chan time.Duration, 1)
		table.Park(&mq.Waiter{
			Topic: "T", Match: even, Deadline: start.Add(time.Minute),
			Wake: func(*mq.Waiter) { woken <- time.Since(start) },
		}, at(0))
		time.Sleep(time.Second)
		table.Arrived("T", 0, 0, 1, nil)
		time.Sleep(time.Second)
		table.Arrived("T", 0, 1, 1, nil) // the first one counts
		if d := <-woken; d != 6*time.Second {
			t.Errorf("woken after %v", d)
		}
		stop()
	})
}

func TestParkRefusesWhenThereIsSomethingToRead(t *testing.T) {
	t.Parallel()
	table, stop := run(t, longpoll.Options{})
	w := &mq.Waiter{Topic: "T", From: 3, Deadline: time.Now().Add(time.Hour), Wake: func(*mq.Waiter) { t.Error("woken") }}
	if table.Park(w, at(4)) {
		t.Error("parked although index 3 is there")
	}
	if table.Parked() != 0 {
		t.Error("left behind")
	}
	stop()
	if table.Park(w, at(0)) {
		t.Error("parked after the end")
	}
}

func TestEndWakesAll(t *testing.T) {
	t.Parallel()
	table, stop := run(t, longpoll.Options{})
	var woken atomic.Int32
	for i := range 500 {
		table.Park(&mq.Waiter{
			Topic: "T", QueueID: int32(i % 7), Deadline: time.Now().Add(time.Hour),
			Wake: func(*mq.Waiter) { woken.Add(1) },
		}, nil)
	}
	table.WakeTopic("U")
	if table.Parked() != 500 {
		t.Errorf("parked %d", table.Parked())
	}
	stop()
	if woken.Load() != 500 || table.Parked() != 0 {
		t.Errorf("woken %d, parked %d", woken.Load(), table.Parked())
	}
}

func TestWakeTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, stop := run(t, longpoll.Options{})
		var woken atomic.Int32
		for i := range 10 {
			table.Park(&mq.Waiter{
				Topic: []string{"T", "U"}[i%2], QueueID: int32(i), Deadline: time.Now().Add(time.Hour),
				Wake: func(*mq.Waiter) { woken.Add(1) },
			}, nil)
		}
		table.WakeTopic("T")
		synctest.Wait()
		if woken.Load() != 5 || table.Parked() != 5 {
			t.Errorf("woken %d, parked %d", woken.Load(), table.Parked())
		}
		stop()
	})
}

// TestNoWakeIsLost lets consumers park for the next message again and again, from the callback, as a door does, while
// messages arrive. Each waiter must be woken for each message exactly once, or see it at the check.
func TestNoWakeIsLost(t *testing.T) {
	t.Parallel()
	table, stop := run(t, longpoll.Options{})
	const queues, messages = 4, 2000
	var ends [queues]end
	var wg sync.WaitGroup
	for q := range queues {
		for range 3 {
			wg.Add(1)
			w := &mq.Waiter{Topic: "T", QueueID: int32(q)}
			next := func(w *mq.Waiter) {
				for {
					w.From = ends[q].Max()
					if w.From == messages {
						wg.Done()
						return
					}
					w.Deadline = time.Now().Add(time.Hour)
					if table.Park(w, &ends[q]) {
						return
					}
				}
			}
			w.Wake = next
			go next(w)
		}
		go func() {
			for i := range messages {
				ends[q].Add(1)
				table.Arrived("T", int32(q), mq.Index(i), 0, nil)
			}
		}()
	}
	wg.Wait()
	if table.Parked() != 0 {
		t.Errorf("%d left", table.Parked())
	}
	stop()
}

func TestRandomDeadlinesAndArrivals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table, stop := run(t, longpoll.Options{})
		rnd := rand.New(rand.NewPCG(1, 2))
		var wakes [3000]atomic.Int32
		for i := range wakes {
			table.Park(&mq.Waiter{
				Topic: "T", QueueID: rnd.Int32N(50), From: mq.Index(rnd.IntN(10)), Match: even,
				Deadline: time.Now().Add(time.Duration(rnd.IntN(20_000)) * time.Millisecond),
				Wake:     func(*mq.Waiter) { wakes[i].Add(1) },
			}, nil)
			if i%3 == 0 {
				table.Arrived("T", rnd.Int32N(50), mq.Index(rnd.IntN(10)), rnd.Int64N(4), nil)
			}
			if i%10 == 0 {
				time.Sleep(7 * time.Millisecond)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for i := range wakes {
			if n := wakes[i].Load(); n != 1 {
				t.Fatalf("waiter %d woken %d times", i, n)
			}
		}
		stop()
	})
}

func TestParkAllocatesNothingTheSecondTime(t *testing.T) {
	table := longpoll.New(longpoll.Options{})
	w := &mq.Waiter{Topic: "T", From: 1, Deadline: time.Now().Add(time.Hour)}
	var queue longpoll.End = at(2)
	if n := testing.AllocsPerRun(100, func() { table.Park(w, queue) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { table.Arrived("T", 0, 5, 1, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
