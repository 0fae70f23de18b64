package rebalance_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/rebalance"
	"github.com/cometmq/cometmq/internal/mq"
)

func queues(n int) []mq.Queue {
	qs := make([]mq.Queue, n)
	for i := range qs {
		// Two brokers, in the wrong order.
		qs[n-1-i] = mq.Queue{Topic: "T", Broker: fmt.Sprintf("b%d", i*2/n), ID: int32(i)}
	}
	return qs
}

func ids(qs []mq.Queue) []int32 {
	var is []int32
	for _, q := range qs {
		is = append(is, q.ID)
	}
	return is
}

// The expectations were computed with the Java classes' formula by hand.
func TestAllocate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		strategy string
		queues   int
		clients  []string
		want     map[string][]int32
	}{
		{"AVG", 8, []string{"c", "a", "b"}, map[string][]int32{"a": {0, 1, 2}, "b": {3, 4, 5}, "c": {6, 7}, "x": nil}},
		{"AVG", 4, []string{"a", "b"}, map[string][]int32{"a": {0, 1}, "b": {2, 3}}},
		{"AVG", 2, []string{"a", "b", "c"}, map[string][]int32{"a": {0}, "b": {1}, "c": nil}},
		{"AVG", 1, []string{"a"}, map[string][]int32{"a": {0}}},
		{"AVG_BY_CIRCLE", 8, []string{"b", "a", "c"}, map[string][]int32{"a": {0, 3, 6}, "b": {1, 4, 7}, "c": {2, 5}}},
		{"AVG_BY_CIRCLE", 2, []string{"a", "b", "c"}, map[string][]int32{"a": {0}, "b": {1}, "c": nil}},
	} {
		for client, want := range c.want {
			got, known := rebalance.Allocate(c.strategy, client, queues(c.queues), slices.Clone(c.clients))
			if !known || !slices.Equal(ids(got), want) {
				t.Errorf("%s %d queues %v: %s gets %v, want %v", c.strategy, c.queues, c.clients, client, ids(got), want)
			}
		}
	}
}

func TestAllocateWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		strategy, client string
		queues           []mq.Queue
		clients          []string
	}{
		{"MACHINE_ROOM", "a", queues(1), []string{"a"}},
		{"AVG", "", queues(1), []string{"a"}},
		{"AVG", "a", nil, []string{"a"}},
		{"AVG", "a", queues(1), nil},
	} {
		if got, known := rebalance.Allocate(c.strategy, c.client, c.queues, c.clients); known || got != nil {
			t.Errorf("%+v: %v %v", c, got, known)
		}
	}
}

func TestEachQueueHasOneOwner(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{rebalance.Average, rebalance.ByCircle} {
		for n := 1; n < 20; n++ {
			for m := 1; m < 25; m++ {
				var clients []string
				for i := range m {
					clients = append(clients, fmt.Sprintf("c%02d", i))
				}
				owners := make(map[int32]int)
				for _, c := range slices.Clone(clients) {
					got, _ := rebalance.Allocate(strategy, c, queues(n), clients)
					for _, q := range got {
						owners[q.ID]++
					}
				}
				for i := range int32(n) {
					if owners[i] != 1 {
						t.Fatalf("%s, %d queues, %d clients: queue %d has %d owners", strategy, n, m, i, owners[i])
					}
				}
			}
		}
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := rebalance.NewLocks(time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		qs := queues(4)
		lock := func(client string, qs ...mq.Queue) []int32 {
			return ids(l.Lock(&mq.LockRequest{Group: "g", ClientID: client, Queues: qs}))
		}
		want := func(got []int32, want ...int32) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("locked %v, want %v", got, want)
			}
		}
		if l.Held("g") {
			t.Error("held before anything")
		}
		want(lock("a", qs[0], qs[1]), 3, 2)
		want(lock("b", qs[1], qs[2]), 1)
		if !l.Held("g") || l.Held("h") {
			t.Error("held")
		}
		time.Sleep(40 * time.Second)
		want(lock("a", qs[0]), 3) // renewed
		time.Sleep(20*time.Second + time.Millisecond)
		if log.Len() > 0 {
			t.Errorf("nothing was taken over: %s", &log)
		}
		want(lock("c", qs[0], qs[1], qs[2]), 2, 1) // a's second and b's have run out
		if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "client=c from=b queues=2") {
			t.Errorf("log %q", s)
		}
		l.Unlock(&mq.LockRequest{Group: "g", ClientID: "b", Queues: qs})
		want(lock("d", qs[1]))
		l.Unlock(&mq.LockRequest{Group: "g", ClientID: "c", Queues: qs})
		l.Unlock(&mq.LockRequest{Group: "nobody", ClientID: "c", Queues: qs})
		want(lock("d", qs[1]), 2)
		time.Sleep(61 * time.Second)
		if l.Held("g") {
			t.Error("held after a minute")
		}
		time.Sleep(10 * time.Minute)
		l.Expire()
		want(lock("e", qs...), 3, 2, 1, 0)
	})
}
