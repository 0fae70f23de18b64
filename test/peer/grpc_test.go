//go:build peer

package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// The unmodified Python client sends and consumes everything that it can.
func TestPythonClientOverGRPC(t *testing.T) {
	t.Parallel()
	python := filepath.Join(target.Cache(), "python-5.1.2")
	if _, err := os.Stat(filepath.Join(python, ".complete")); err != nil {
		t.Skipf("no Python client in %s: run `make setup`", python)
	}
	port := target.FreePorts(t, 1)
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{
		"enableGrpc": "true", "grpcServerPort": strconv.Itoa(port), "transactionTimeOut": "3000", "transactionCheckInterval": "1000",
	}})
	bin := target.Binary(t)
	admin := func(args ...string) {
		t.Helper()
		args = append([]string{"admin"}, append(args, "-n", c.NS, "-b", c.Addrs[0])...)
		if out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for topic, kind := range map[string]string{"py_normal": "NORMAL", "py_fifo": "FIFO", "py_delay": "DELAY", "py_tx": "TRANSACTION"} {
		admin("updateTopic", "-t", topic, "-r", "4", "-w", "4", "-a", "+message.type="+kind)
	}
	admin("updateSubGroup", "-g", "g_fifo", "-o", "true")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(python, "bin", "python"), filepath.Join("python", "client.py"),
		net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // it logs there
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	m := map[string]any{}
	if err == nil {
		err = json.Unmarshal([]byte(lines[len(lines)-1]), &m)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(fmt.Sprint(m))
	want(t, m, "simple", 20)
	want(t, m, "fifo", "f0 f1 f2 f3 f4 f5 f6 f7 f8 f9")
	want(t, m, "again", 2)
	want(t, m, "early", false)
	for key, all := range map[string]string{"delay": "[again later]", "tx": "[committed orphan]"} {
		if got := fmt.Sprint(m[key]); got != all {
			t.Errorf("%s: %s, want %s", key, got, all)
		}
	}
	want(t, m, "asked", true)
}
