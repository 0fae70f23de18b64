package node

import (
	"runtime"
	"testing"
)

func TestHotBytesIsAShareOfTheMemory(t *testing.T) {
	t.Parallel()
	if got := hotBytes(16<<30, 40); got != 16<<30/100*40 {
		t.Errorf("%d", got)
	}
	if got := hotBytes(0, 40); got != 0 {
		t.Errorf("%d of unknown memory", got)
	}
	if got := hotBytes(16<<30, 0); got != 1 {
		t.Errorf("%d with a share of 0", got)
	}
	if m := physicalMemory(); runtime.GOOS == "linux" && (m < 64<<20 || m > 1<<50) {
		t.Errorf("the machine has %d bytes", m)
	}
}
