package broker_test

import (
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// onDisk puts a rig on real files.
func (o *setup) onDisk(tb testing.TB) {
	tb.Helper()
	o.FS, o.Dir = vfs.OS(), tb.TempDir()
	o.storage.Dir = o.Dir
}

// sendBatch is a burst of n messages as one read of a pipelined producer has them.
func sendBatch(n, size int, topic string) *mq.SendBatch {
	b := &mq.SendBatch{}
	body := strings.Repeat("x", size)
	for i := range n {
		b.Requests = append(b.Requests, message(topic, int32(i%8), body,
			"UNIQ_KEY", "7F000001292530946E096FE86A540000", "WAIT", "true", "TAGS", "tagA"))
	}
	return b
}

func TestSendAndPullAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	// On files: those in memory allocate pages.
	r := start(t, func(o *setup) { o.onDisk(t); o.idle, o.storage.SegmentSize = true, 64<<20 })
	r.topic("T", 8)
	for name, b := range map[string]*mq.SendBatch{
		"with a unique key": sendBatch(64, 128, "T"), "without": {Requests: []mq.SendRequest{message("T", -1, "x"), message("BenchmarkTest", 3, "x")}},
	} {
		for range 100 { // each of the queues has been used
			r.Send(t.Context(), b)
		}
		n := testing.AllocsPerRun(50, func() {
			if r.Send(t.Context(), b) {
				t.Error("pending")
			}
		})
		if n > 0 {
			t.Errorf("a burst of sends %s costs %v allocations", name, n)
		}
	}
	r = start(t)
	r.topic("T", 8)
	r.fill("T", 0, 1000, "a", "b")
	p := pull("T", 0, 0)
	p.Expression, p.Commit = "a || c", true
	buf := make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(100, func() {
		f, err := r.Pull(t.Context(), p, buf)
		if err != nil || f.Count != 32 {
			t.Error(f.Count, err)
		}
		p.From, p.CommitIndex = f.Next%900, f.Next
	}); n > 0 {
		t.Errorf("a pull costs %v allocations", n)
	}
}

func benchmarkSend(b *testing.B, burst, size int) {
	b.Helper()
	r := start(b, func(o *setup) {
		o.onDisk(b)
		o.storage.SegmentSize, o.storage.QueueFileSize, o.storage.IndexEnabled = 256<<20, 6_000_000, false
	})
	r.topic("T", 8)
	sb := sendBatch(burst, size, "T")
	b.SetBytes(int64(size * burst))
	b.ReportAllocs()
	for b.Loop() {
		if r.Send(b.Context(), sb) {
			b.Fatal("pending")
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/message")
	r.stop()
}

func BenchmarkSend128x64(b *testing.B)  { benchmarkSend(b, 64, 128) }
func BenchmarkSend1024x64(b *testing.B) { benchmarkSend(b, 64, 1024) }
func BenchmarkSend128x1(b *testing.B)   { benchmarkSend(b, 1, 128) }

func BenchmarkPull32(b *testing.B) {
	r := start(b)
	r.topic("T", 1)
	m := &mq.SendBatch{}
	for range 10_000 {
		m.Requests = append(m.Requests, message("T", 0, strings.Repeat("x", 128)))
	}
	r.Send(b.Context(), m)
	r.settle()
	p := pull("T", 0, 0)
	buf := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		f, err := r.Pull(b.Context(), p, buf)
		if err != nil || f.Count != 32 {
			b.Fatal(f.Count, err)
		}
		p.From = f.Next % 9900
	}
}
