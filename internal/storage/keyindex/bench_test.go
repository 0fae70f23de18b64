package keyindex

import (
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// BenchmarkPut puts unique keys of 32 characters into a file of the default size: random ones, or such that count up
// as the clients' unique keys do.
func BenchmarkPut(b *testing.B) {
	b.Run("random", func(b *testing.B) { benchmarkPut(b, 0x9e3779b97f4a7c15) })
	b.Run("counting", func(b *testing.B) { benchmarkPut(b, 1) })
}

func benchmarkPut(b *testing.B, step uint64) {
	b.Helper()
	ix, err := Open(vfs.OS(), b.TempDir(), Options{})
	must(b, err)
	topic, key := []byte("TopicTest"), make([]byte, 32)
	var raw [16]byte
	before := heap()
	b.ReportAllocs()
	off, peak := record.Offset(0), int64(0)
	var slowest time.Duration
	for b.Loop() {
		binary.BigEndian.PutUint64(raw[8:], uint64(off)*step)
		hex.Encode(key, raw[:])
		if off++; off&1023 == 0 {
			start := time.Now()
			must(b, ix.Put(topic, key, off*200, t0+int64(off)))
			slowest = max(slowest, time.Since(start))
			continue
		}
		if err := ix.Put(topic, key, off*200, t0+int64(off)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	peak = heap() - before
	b.ReportMetric(float64(peak)/1024, "KiB-held")
	b.ReportMetric(float64(slowest.Microseconds()), "max-us")
	must(b, ix.Close())
}

// BenchmarkPutSlow is a broker with a thousand keys a second and a flush every second.
func BenchmarkPutSlow(b *testing.B) {
	ix, err := Open(vfs.OS(), b.TempDir(), Options{})
	must(b, err)
	topic, key := []byte("TopicTest"), make([]byte, 32)
	var raw [16]byte
	off := record.Offset(0)
	for b.Loop() {
		for range 1000 {
			binary.BigEndian.PutUint64(raw[8:], uint64(off)*0x9e3779b97f4a7c15)
			hex.Encode(key, raw[:])
			off++
			must(b, ix.Put(topic, key, off*200, t0+int64(off)))
		}
		must(b, ix.Flush(false))
	}
	must(b, ix.Close())
}

func BenchmarkQuery(b *testing.B) {
	ix, err := Open(vfs.OS(), b.TempDir(), Options{})
	must(b, err)
	for i := range 500_000 {
		must(b, ix.Put([]byte("TopicTest"), binary.BigEndian.AppendUint32(nil, uint32(i)), record.Offset(i), t0+int64(i)))
	}
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = (i + 77_777) % 500_000
		if len(ix.Query("TopicTest", string(binary.BigEndian.AppendUint32(nil, i)), 32, 0, 1<<60)) == 0 {
			b.Fatal("lost")
		}
	}
	must(b, ix.Close())
}

// BenchmarkRecover mends a file of a million keys.
func BenchmarkRecover(b *testing.B) {
	dir := b.TempDir()
	ix, err := Open(vfs.OS(), dir, Options{})
	must(b, err)
	for i := range 1_000_000 {
		must(b, ix.Put([]byte("TopicTest"), binary.BigEndian.AppendUint32(nil, uint32(i)), record.Offset(i), t0+int64(i)))
	}
	must(b, ix.Close())
	trust := record.Offset(1_000_000)
	for b.Loop() {
		trust -= 10_000
		ix, err = Open(vfs.OS(), dir, Options{})
		must(b, err)
		must(b, ix.Recover(trust))
		must(b, ix.Close())
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
