//go:build peer

package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// ownLines are those of mqadmin's script that need no client that runs, and end.
func ownLines() []string {
	var out []string
	for line := range strings.Lines(commands) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "!") || strings.Contains(line, "@CLIENT@"):
		case strings.HasPrefix(line, "clusterRT"): // goes on until it is ended
		case strings.HasPrefix(line, "startMonitoring"):
			out = append(out, line+" --count 1")
		default:
			out = append(out, line)
		}
	}
	return out
}

// ownAdmin runs the script with cometmq admin against a cluster. Each outcome's note is the exit code.
func ownAdmin(t *testing.T, c *target.Cluster) []outcome {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"topics.json": `[{"topicName":"L1","readQueueNums":1,"writeQueueNums":1,"perm":6},{"topicName":"L2","readQueueNums":2,"writeQueueNums":2,"perm":6}]`,
		"groups.json": `[{"groupName":"LG1"},{"groupName":"LG2","retryMaxTimes":5}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(line string) (out, errs, code string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, target.Binary(t), append([]string{"admin"}, strings.Fields(line)...)...)
		cmd.Env = append(cmd.Environ(), "NAMESRV_ADDR="+c.NS, "TMPDIR="+dir)
		var o, e bytes.Buffer
		cmd.Stdout, cmd.Stderr = &o, &e
		err := cmd.Run()
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			t.Fatalf("%s: %v", line, err)
		}
		return o.String(), e.String(), cmd.ProcessState.String()
	}
	ids := strings.NewReplacer()
	var list []outcome
	for _, line := range ownLines() {
		if strings.HasPrefix(line, "topicList") && len(list) > 0 && ids.Replace("@ID@") == "@ID@" { // a message that the queries find
			ids = ownMessage(t, run)
		}
		fill := ids.Replace(strings.NewReplacer("@NS@", c.NS, "@B@", c.Addrs[0], "@DIR@", dir).Replace(line))
		out, errs, code := run(fill)
		hide := strings.NewReplacer(c.NS, "NS", c.Addrs[0], "BROKER", dir, "DIR", c.Dir, "HERE")
		list = append(list, outcome{line: line, out: hide.Replace(out), err: hide.Replace(errs), note: code})
	}
	dump(t, "own-"+string(c.Kind), list)
	return list
}

// ownMessage sends a message to T1 and returns what stands for its ids in the script.
func ownMessage(t *testing.T, run func(line string) (out, errs, code string)) *strings.Replacer {
	t.Helper()
	var found []struct {
		MsgID, OffsetMsgID string
		QueueID            json.Number
	}
	var said string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, errs, code := run("sendMessage -t T1 -p own -k K0"); code != "exit status 0" {
			said = out + errs // the route may be late
			continue
		}
		for range 50 { // Java's index is late
			out, errs, _ := run("queryMsgByKey -t T1 -k K0 -o json")
			if said = out + errs; json.Unmarshal([]byte(out), &found) == nil && len(found) > 0 {
				return strings.NewReplacer("@ID@", found[0].MsgID, "@OFFSETID@", found[0].OffsetMsgID, "@QUEUE@", found[0].QueueID.String())
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	t.Fatalf("no message with key K0: %s", said)
	return nil
}

// TestOwnAdminAsJava compares what cometmq admin prints, and how it ends, with Java's servers and with ours, for docs/compatibility.md.
func TestOwnAdminAsJava(t *testing.T) {
	t.Parallel()
	variant(t, 1)
	java := ownAdmin(t, newCluster(t, target.Options{Kind: target.Java}))
	ours := ownAdmin(t, newCluster(t, target.Options{Kind: target.Ours}))
	for i := range java {
		j, o := normal(&java[i]), normal(&ours[i])
		said := "same output and exit code"
		switch {
		case java[i].note != ours[i].note:
			said = "**differs**: " + java[i].note + " with Java, " + ours[i].note + " with ours"
			t.Logf("%s\nJava:\n%s\nours:\n%s", java[i].line, j, o)
		case j != o:
			said = "same exit code, the output has other lines"
		}
		ownVerdict(java[i].line, said)
	}
}
