//go:build !race

package broker

import (
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

func TestInnerAllocatesNothing(t *testing.T) {
	b := openIdle(t, false)
	body, props := make([]byte, 100), record.Props("TAGS\x01a\x02")
	to := place{"BenchmarkTest", 0}
	var m record.Message
	once := func() {
		w := b.takeInner()
		for range 4 {
			m = record.Message{Body: body, Props: props, BornHost: b.o.Addr}
			if _, refusal := w.add(&m, to); refusal != nil {
				t.Fatal(refusal)
			}
		}
		if _, refusal := w.store(false, nil); refusal != nil {
			t.Fatal(refusal)
		}
		w.release()
	}
	if n := testing.AllocsPerRun(100, once); n >= 1 {
		t.Errorf("%v allocations for four messages, want 0", n)
	}
}
