package docs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/cli"
)

// lines is what a command prints, line by line.
type lines struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.buf.Write(p)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return n, err
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// wait returns what follows prefix in the first line that begins with it.
func (l *lines) wait(ctx context.Context, prefix string) (string, error) {
	for {
		for line := range strings.Lines(l.text()) {
			if rest, ok := strings.CutPrefix(line, prefix); ok && strings.HasSuffix(rest, "\n") {
				return strings.TrimSpace(rest), nil
			}
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			return "", fmt.Errorf("no line that begins with %q in:\n%s", prefix, l.text())
		}
	}
}

// TestTourOfTheReadme runs the three commands of the README: dev, send, tail.
func TestTourOfTheReadme(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := func(ctx context.Context, out io.Writer, args ...string) int {
		var errs bytes.Buffer
		rc := cli.Run(ctx, cli.Env{In: strings.NewReader(""), Out: out, Err: &errs}, args)
		if rc != 0 {
			t.Errorf("cometmq %s ended with %d: %s", strings.Join(args, " "), rc, errs.String())
		}
		return rc
	}
	dev := &lines{more: make(chan struct{}, 1)}
	devCtx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		run(devCtx, dev, "dev", "--namesrv-port", "0", "--broker-port", "0", "--dir", t.TempDir(),
			"--set", "mappedFileSizeCommitLog=1048576", "--set", "maxHashSlotNum=100", "--set", "maxIndexNum=400")
	})
	defer wg.Wait()
	defer stop()
	ns, err := dev.wait(ctx, "name server ")
	if err != nil {
		t.Fatal(err)
	}
	var sent, got bytes.Buffer
	if run(ctx, &sent, "send", "-n", ns, "-t", "hello", "-b", "first message") != 0 {
		return
	}
	if run(ctx, &got, "tail", "-n", ns, "-t", "hello", "--from-start", "--count", "1") != 0 {
		return
	}
	if !strings.Contains(got.String(), "first message") {
		t.Errorf("tail shows %q", got.String())
	}
}
