package bufpool_test

import (
	"testing"

	"github.com/cometmq/cometmq/internal/bufpool"
)

func TestGetGivesEnoughCapacityAndNoContents(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 511, 512, 513, 1024, 1025, 4096, 1 << 20, 1<<20 + 1, 5 << 20} {
		b := bufpool.Get(n)
		if len(b.B) != 0 || cap(b.B) < n {
			t.Errorf("Get(%d): len %d cap %d", n, len(b.B), cap(b.B))
		}
		// A class has buffers of its size up to less than twice that: another user may have grown one between two sizes.
		if n <= bufpool.MaxPooled && cap(b.B) >= max(1024, 4*n) {
			t.Errorf("Get(%d): cap %d wastes memory", n, cap(b.B))
		}
		b.Release()
	}
}

func TestGrownBufferStaysInAFittingClass(t *testing.T) {
	t.Parallel()
	for range 100 {
		b := bufpool.Get(600)
		b.B = append(b.B, make([]byte, 3000)...) // capacity is now no power of two
		b.Release()
		for _, n := range []int{1024, 2048, 4096} {
			c := bufpool.Get(n)
			if cap(c.B) < n || len(c.B) != 0 {
				t.Fatalf("Get(%d) after a grown release: len %d cap %d", n, len(c.B), cap(c.B))
			}
			c.Release()
		}
	}
}

func TestSecondReleasePanics(t *testing.T) {
	t.Parallel()
	b := bufpool.Get(8 << 20) // not pooled, so nobody else can see it
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("second Release did not panic")
		}
	}()
	b.Release()
}

func TestReleaseOfNilIsIgnored(t *testing.T) {
	t.Parallel()
	var b *bufpool.Buf
	b.Release()
}

func BenchmarkGetRelease(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		bufpool.Get(1500).Release()
	}
}
