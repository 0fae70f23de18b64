package broker_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// onDisk puts the store on a real disk, with Java's sizes.
func onDisk(b *testing.B) func(o *setup) {
	b.Helper()
	dir := b.TempDir()
	return func(o *setup) {
		o.FS, o.Dir = vfs.OS(), dir
		o.storage = storage.Options{Dir: dir, StoreHost: storeHost, IndexEnabled: true, IndexSlots: 100_000, IndexCapacity: 400_000}
	}
}

// sendTimers sends n timers in bursts of 64, as a door does; due gives the time of each in ms.
func sendTimers(b *testing.B, r *rig, n int, due func(i int) int64) {
	b.Helper()
	body := make([]byte, 100)
	sb := &mq.SendBatch{Done: func(*mq.SendBatch, mq.SendStatus) {}}
	for i := 0; i < n; {
		sb.Requests = sb.Requests[:0]
		for range min(64, n-i) {
			p := record.AppendProp(nil, "TIMER_DELIVER_MS", strconv.FormatInt(due(i), 10))
			m := message("T", int32(i%4), "")
			m.Props, m.Body = record.Props(p), body
			sb.Requests = append(sb.Requests, m)
			i++
		}
		if r.Send(context.Background(), sb) {
			b.Fatal("pending")
		}
		for _, res := range sb.Results {
			if res.Err != nil {
				b.Fatal(res.Err)
			}
		}
	}
}

func (r *rig) arrived() int {
	n := 0
	for q := range int32(4) {
		if q, ok := r.store.Lookup("T", q); ok {
			n += int(q.Max())
		}
	}
	return n
}

// BenchmarkMillionTimersInOneSecond reports how long it takes to deliver a million timers that are due in one second, from the
// end of that second on.
func BenchmarkMillionTimersInOneSecond(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		r := start(b, onDisk(b))
		r.topic("T", 4)
		begin := time.Now()
		second := begin.Add(25 * time.Second).Truncate(time.Second)
		sendTimers(b, r, n, func(i int) int64 { return second.UnixMilli() + int64(i%1000) })
		b.ReportMetric(time.Since(begin).Seconds(), "sending-s")
		if time.Now().After(second) {
			b.Fatal("sending took too long")
		}
		time.Sleep(time.Until(second))
		early := r.arrived()
		for r.arrived() < n {
			time.Sleep(5 * time.Millisecond)
			if time.Since(second) > time.Minute {
				b.Fatalf("%d of %d", r.arrived(), n)
			}
		}
		b.ReportMetric(time.Since(second.Add(time.Second)).Seconds(), "drain-s")
		b.ReportMetric(float64(early), "early")
		b.ReportMetric(0, "ns/op")
		r.stop()
	}
}

// BenchmarkTimerLateness reports how late timers come at 5,000 a second, each with a time of its own.
func BenchmarkTimerLateness(b *testing.B) {
	const rate, seconds = 5000, 15
	for b.Loop() {
		r := start(b, onDisk(b))
		r.topic("T", 4)
		for range seconds * 100 { // every 10 ms
			next := time.Now().Add(10 * time.Millisecond)
			now := time.Now().UnixMilli()
			sendTimers(b, r, rate/100, func(i int) int64 { return now + 500 + int64(i*7919%3000) })
			time.Sleep(time.Until(next))
		}
		for end := time.Now().Add(20 * time.Second); r.arrived() < rate*seconds; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				b.Fatalf("%d arrived", r.arrived())
			}
		}
		var late []int64
		for q := range int32(4) {
			queue, _ := r.store.Lookup("T", q)
			for at := queue.Min(); at < queue.Max(); {
				res := r.store.Read(queue, &storage.Read{From: at, MaxCount: 1000, MaxBytes: 1 << 20}, nil)
				at = res.Next
				for _, m := range messages(b, res.Records) {
					due, _ := strconv.ParseInt(prop(&m, "TIMER_DELIVER_MS"), 10, 64)
					late = append(late, m.StoreTime-due)
				}
			}
		}
		slices.Sort(late)
		if late[0] < 0 {
			b.Errorf("%d ms early", -late[0])
		}
		for _, p := range []float64{50, 99, 99.9, 100} {
			b.ReportMetric(float64(late[int(float64(len(late)-1)*p/100)]), fmt.Sprintf("p%v-ms", p))
		}
		b.ReportMetric(0, "ns/op")
		r.stop()
	}
}
