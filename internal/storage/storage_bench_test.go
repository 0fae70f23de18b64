package storage

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

func benchStore(b *testing.B, index bool) (*Store, func()) {
	b.Helper()
	o := Options{Dir: b.TempDir(), SegmentSize: 1 << 30, IndexEnabled: index}
	s := open(b, vfs.OS(), o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		must(b, s.Close())
	}
}

func benchMessage(size int) *record.Message {
	m := message("BenchmarkTopic", strings.Repeat("x", size))
	m.Props = record.AppendProp(record.AppendProp(nil, "UNIQ_KEY", "7F0000010001000000000000000000AB"), "WAIT", "true")
	return m
}

// BenchmarkAppend is n goroutines that append batches of 64 to 8 queues, the dispatcher following.
func BenchmarkAppend(b *testing.B) {
	for _, index := range []bool{false, true} {
		for _, size := range []int{128, 1024} {
			for _, writers := range []int{1, 4} {
				b.Run(fmt.Sprintf("index=%v/%dB/%dwriters", index, size, writers), func(b *testing.B) {
					s, stop := benchStore(b, index)
					defer stop()
					b.SetBytes(int64(size))
					b.ReportAllocs()
					var left, serial atomic.Int64
					left.Store(int64(b.N))
					var wg sync.WaitGroup
					b.ResetTimer()
					for w := range writers {
						wg.Go(func() {
							var batch Batch
							m := benchMessage(size)
							unique := m.Props[len("UNIQ_KEY")+1:][:32]
							for left.Add(-64) > -64 {
								batch.Reset()
								for i := range 64 {
									copy(unique[24:], fmt.Sprintf("%08X", serial.Add(1)))
									if _, err := batch.Add(s.Queue("BenchmarkTopic", int32((w+i)%8)), m); err != nil {
										b.Error(err)
										return
									}
								}
								if err := s.Append(&batch); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
					for s.Dispatched() < s.Appended() {
						time.Sleep(time.Millisecond)
					}
					b.StopTimer()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
				})
			}
		}
	}
}

// BenchmarkCatchUp reads queues from their begin, 32 messages at once, in turn.
func BenchmarkCatchUp(b *testing.B) {
	for _, size := range []int{128, 1024} {
		for _, queues := range []int{1, 8} {
			b.Run(fmt.Sprintf("%dB/%dqueues", size, queues), func(b *testing.B) {
				s, stop := benchStore(b, false)
				defer stop()
				const total = 400_000
				var batch Batch
				m := benchMessage(size)
				for n := 0; n < total; n += 64 {
					batch.Reset()
					for i := range 64 {
						if _, err := batch.Add(s.Queue("BenchmarkTopic", int32(i%queues)), m); err != nil {
							b.Fatal(err)
						}
					}
					must(b, s.Append(&batch))
				}
				for s.Dispatched() < s.Appended() {
					time.Sleep(time.Millisecond)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				dst := make([]byte, 0, 256<<10)
				at := make([]record.Index, queues)
				for n := 0; n < b.N; {
					for i := range at {
						q := s.Queue("BenchmarkTopic", int32(i))
						res := s.Read(q, &Read{From: at[i]}, dst[:0])
						if at[i] = res.Next; at[i] >= q.Max() {
							at[i] = 0
						}
						n += res.Count
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

// BenchmarkPaced is one message each 200 us, as seen by the CPU clock of the process.
func BenchmarkPaced(b *testing.B) {
	s, stop := benchStore(b, false)
	defer stop()
	var batch Batch
	m := benchMessage(1024)
	before := cpuTime(b)
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		batch.Reset()
		if _, err := batch.Add(s.Queue("BenchmarkTopic", 0), m); err != nil {
			b.Fatal(err)
		}
		must(b, s.Append(&batch))
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/msg")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkSyncFlush is n clients that each wait until their message is on disk.
func BenchmarkSyncFlush(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("%dclients", clients), func(b *testing.B) {
			s := open(b, vfs.OS(), Options{Dir: b.TempDir(), FlushSync: true, IndexEnabled: true})
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range clients {
				wg.Go(func() {
					var batch Batch
					m := benchMessage(1024)
					done := make(chan Status, 1)
					a := Await{Flush: true, Done: func(st Status) { done <- st }}
					for left.Add(-1) >= 0 {
						batch.Reset()
						if _, err := batch.Add(s.Queue("BenchmarkTopic", int32(c%8)), m); err != nil {
							b.Error(err)
							return
						}
						if err := s.Append(&batch); err != nil {
							b.Error(err)
							return
						}
						a.End, a.Deadline = batch.End(), time.Now().Add(5*time.Second)
						if s.AwaitDurable(&a) && <-done != Durable {
							b.Error("not durable")
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
			must(b, s.Close())
		})
	}
}
