package bytesview_test

import (
	"bytes"
	"testing"

	"github.com/cometmq/cometmq/internal/bytesview"
)

func TestViewsShareContents(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "TopicTest", "\x00\x01\xff"} {
		if got := bytesview.String([]byte(s)); got != s {
			t.Errorf("String(%q) = %q", s, got)
		}
		b := bytesview.Bytes(s)
		if !bytes.Equal(b, []byte(s)) || cap(b) != len(b) {
			t.Errorf("Bytes(%q) = %q, cap %d", s, b, cap(b))
		}
	}
	if bytesview.String(nil) != "" {
		t.Error("String(nil) is not empty")
	}
}

func TestViewsDoNotAllocate(t *testing.T) {
	b, s := []byte("some bytes"), "some text"
	n := 0
	if got := testing.AllocsPerRun(100, func() { n += len(bytesview.String(b)) + len(bytesview.Bytes(s)) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
	_ = n
}
