package process

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func start(tb testing.TB, conf map[string]string) *target.Cluster {
	tb.Helper()
	return target.New(tb, target.Options{Kind: target.Ours, Conf: conf})
}

func dial(tb testing.TB, addr string) *bench.Client {
	tb.Helper()
	c, err := bench.Dial(tb.Context(), nil, addr, protocol.JSON)
	must(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c
}

// send stores one message.
func send(c *bench.Client, topic string, queue int, body string) error {
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "edges", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: int32(queue), MaxReconsumeTimes: -1,
	}, []byte(body))
	if err != nil {
		return err
	}
	return r.Err()
}

// bodies reads a queue from its start to its end.
func bodies(tb testing.TB, c *bench.Client, topic string, queue int) []string {
	tb.Helper()
	history.CaughtUp(c)
	var out []string
	must(tb, c.ReadAll(topic, queue, func(_ int64, rec []byte) error {
		b, err := bench.Body(rec)
		out = append(out, string(b))
		return err
	}))
	return out
}

// files lists a directory: name, size and time of change of each file.
func files(tb testing.TB, dir string) string {
	tb.Helper()
	all := map[string]string{}
	must(tb, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		if err == nil {
			all[path] = fmt.Sprintf("%d %v", info.Size(), info.ModTime())
		}
		return err
	}))
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s %s\n", k, all[k])
	}
	return b.String()
}

// stopped reports whether all threads of a process stand still. A signal only asks them to; one that is in the middle of a write goes on to
// its end. True where there is no /proc.
func stopped(p *target.Process) bool {
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.PID()))
	if err != nil {
		return true
	}
	return !slices.ContainsFunc(list, func(name string) bool {
		data, err := os.ReadFile(name)
		return err == nil && !bytes.Contains(data, []byte("\nState:\tT"))
	})
}

// status reads a line of /proc/PID/status, "" where there is no such thing.
func status(p *target.Process, key string) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return ""
	}
	for l := range bytes.Lines(data) {
		if k, v, ok := strings.Cut(string(l), ":"); ok && k == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// resident is how much memory a process has, in MB; 0 when unknown.
func resident(p *target.Process) float64 {
	var kb float64
	if _, err := fmt.Sscanf(status(p, "VmRSS"), "%f kB", &kb); err != nil {
		return 0
	}
	return kb / 1024
}
