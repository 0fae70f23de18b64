package consumequeue

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// benchmarkAppend appends round robin over n queues; a flush without sync comes every second, as in a store.
func benchmarkAppend(b *testing.B, n int) {
	b.Helper()
	s := NewSet(vfs.OS(), b.TempDir(), Options{})
	queues := make([]*Queue, n)
	for i := range queues {
		queues[i] = s.Queue("topic-"+strconv.Itoa(i/8), int32(i%8))
		must(b, queues[i].Append(0, 0, 100, 1))
	}
	must(b, s.Flush(false))
	b.ReportAllocs()
	off, at := record.Offset(100), 0
	idx := record.Index(1)
	last := time.Now()
	for b.Loop() {
		if err := queues[at].Append(idx, off, 100, 77); err != nil {
			b.Fatal(err)
		}
		off += 100
		if at++; at == n {
			at = 0
			idx++
			if idx%64 == 0 && time.Since(last) > time.Second {
				last = time.Now()
				must(b, s.Flush(false))
			}
		}
	}
	b.StopTimer()
	must(b, s.Close())
}

func BenchmarkAppend8Queues(b *testing.B)     { benchmarkAppend(b, 8) }
func BenchmarkAppend80000Queues(b *testing.B) { benchmarkAppend(b, 80_000) }

func BenchmarkReadTail(b *testing.B) { benchmarkRead(b, false) }
func BenchmarkReadFile(b *testing.B) { benchmarkRead(b, true) }

func benchmarkRead(b *testing.B, fromFile bool) {
	b.Helper()
	s := NewSet(vfs.OS(), b.TempDir(), Options{})
	q := s.Queue("t", 0)
	for i := range record.Index(100_100) {
		must(b, q.Append(i, record.Offset(i)*100, 100, 1))
	}
	us := make([]Unit, 32)
	at := q.Next() - 32
	b.ReportAllocs()
	for b.Loop() {
		if fromFile {
			at = (at + 32) % 100_000
		}
		if n, err := q.Read(at, us); n != 32 || err != nil {
			b.Fatal(n, err)
		}
	}
	must(b, s.Close())
}

// BenchmarkCreate80000Queues is the whole life of many small queues: handle, first unit, file, reopening.
func BenchmarkCreate80000Queues(b *testing.B) {
	const n = 80_000
	for b.Loop() {
		dir := b.TempDir()
		s := NewSet(vfs.OS(), dir, Options{})
		before := heap()
		start := time.Now()
		for i := range n {
			must(b, s.Queue("topic-"+strconv.Itoa(i/8), int32(i%8)).Append(0, record.Offset(i*100), 100, 1))
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "append-ns/queue")
		b.ReportMetric(float64(heap()-before)/n, "dirty-B/queue")
		start = time.Now()
		must(b, s.Flush(false))
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "create-ns/queue")
		start = time.Now()
		must(b, s.Flush(false))
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "idle-flush-ns/queue")
		b.ReportMetric(float64(heap()-before)/n, "idle-B/queue")
		start = time.Now()
		must(b, s.Flush(true))
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "sync-ms")
		must(b, s.Close())
		s = NewSet(vfs.OS(), dir, Options{})
		start = time.Now()
		for i := range n {
			if s.Queue("topic-"+strconv.Itoa(i/8), int32(i%8)).Next() != 1 {
				b.Fatal("a queue is lost")
			}
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "open-ns/queue")
		start = time.Now()
		_, err := s.Clean(50)
		must(b, err)
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "clean-ns/queue")
		must(b, s.Close())
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
