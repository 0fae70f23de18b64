package cli

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// fileRSS returns how many KiB of mapped files this process has in memory.
func fileRSS(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "RssFile:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(line), " kB"))
	if err != nil {
		t.Fatalf("RssFile %q", line)
	}
	return n
}

func TestTextThatIsNotUsedIsGivenBack(t *testing.T) {
	var before, after int
	for range 20 { // the tests beside this one fetch text in again
		before = fileRSS(t)
		releaseText()
		if after = fileRSS(t); after < before {
			return
		}
	}
	t.Errorf("%d KiB before, %d KiB after", before, after)
}
