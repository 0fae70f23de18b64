package longpoll_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker/longpoll"
	"github.com/cometmq/cometmq/internal/mq"
)

const crowd = 100_000

// BenchmarkParkAndWake is one parked request that is woken by a message, among 100,000 others.
func BenchmarkParkAndWake(b *testing.B) {
	table := longpoll.New(longpoll.Options{})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { _ = table.Run(ctx); close(done) }()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	others := make([]mq.Waiter, crowd)
	for i := range others {
		others[i] = mq.Waiter{Topic: "Crowd", QueueID: int32(i % 8000), Deadline: time.Now().Add(time.Hour), Wake: func(*mq.Waiter) {}}
		table.Park(&others[i], nil)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)

	var woken atomic.Int64
	w := &mq.Waiter{Topic: "T", Deadline: time.Now().Add(time.Hour)}
	again := make(chan struct{}, 1)
	w.Wake = func(*mq.Waiter) { woken.Add(1); again <- struct{}{} }
	var queue longpoll.End = at(0)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		table.Park(w, queue)
		table.Arrived("T", 0, 0, 1, nil)
		<-again
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/crowd, "B/parked")
	cancel()
	<-done
	runtime.KeepAlive(others)
}

// BenchmarkPark100k parks 100,000 requests and wakes them all with one message a queue.
func BenchmarkPark100k(b *testing.B) {
	table := longpoll.New(longpoll.Options{})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { _ = table.Run(ctx); close(done) }()
	waiters := make([]mq.Waiter, crowd)
	var left atomic.Int64
	all := make(chan struct{}, 1)
	for i := range waiters {
		waiters[i] = mq.Waiter{Topic: "T", QueueID: int32(i % 8000), Wake: func(*mq.Waiter) {
			if left.Add(-1) == 0 {
				all <- struct{}{}
			}
		}}
	}
	b.ReportAllocs()
	for b.Loop() {
		left.Store(crowd)
		deadline := time.Now().Add(time.Hour)
		for i := range waiters {
			waiters[i].Deadline = deadline
			table.Park(&waiters[i], nil)
		}
		for q := range int32(8000) {
			table.Arrived("T", q, 0, 1, nil)
		}
		<-all
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/crowd, "ns/request")
	cancel()
	<-done
}

// BenchmarkArrivedNobodyWaits is what the dispatcher pays for each message when no consumer is parked on the queue.
func BenchmarkArrivedNobodyWaits(b *testing.B) {
	table := longpoll.New(longpoll.Options{})
	b.ReportAllocs()
	for b.Loop() {
		table.Arrived("TopicTest", 3, 1, 2, nil)
	}
}
