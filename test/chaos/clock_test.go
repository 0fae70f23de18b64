package chaos

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// built keeps what is compiled once for all rows.
var built struct {
	once   sync.Once
	dir    string
	shim   string
	shimBy error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func builtDir(t *testing.T) string {
	t.Helper()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "chaos-") //nolint:usetesting // it outlives the test
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	return built.dir
}

// buildShim compiles shim.c. Without a C compiler the row is skipped.
func buildShim(t *testing.T) string {
	t.Helper()
	out := filepath.Join(builtDir(t), "shim.so")
	built.once.Do(func() {
		built.shimBy = exec.Command("cc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", out, "testdata/shim.c", "-ldl").Run()
	})
	if built.shimBy != nil {
		t.Skipf("no C compiler: %v", built.shimBy)
	}
	return out
}

// clock is a wall clock that a test sets, for all processes of a world. What measures durations goes on as it is.
type clock struct {
	path   string // int64 seconds by which it is wrong
	binary string // ours, compiled with this clock
}

// ownClock makes the processes that are started from now on go by a clock of their own.
func (w *world) ownClock() *clock {
	w.t.Helper()
	w.clock = &clock{path: filepath.Join(w.dir, "clock")}
	w.clock.jump(w.t, 0)
	w.shim = buildShim(w.t)
	w.clock.binary = clockBinary(w.t)
	return w.clock
}

func (c *clock) jump(t *testing.T, by time.Duration) {
	t.Helper()
	f, err := os.OpenFile(c.path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(by/time.Second))), 0); err != nil {
		t.Fatal(err)
	}
}

// clockMain is cmd/cometmq with a goroutine that follows the file. The standard library it is compiled with has one line more:
// time.Now adds the seconds of a variable.
const clockMain = `package main

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"time"
	_ "unsafe"

	"github.com/cometmq/cometmq/internal/cli"
)

//go:linkname skewSeconds time.skewSeconds
var skewSeconds int64

func main() {
	go func() {
		var b [8]byte
		for {
			if f, err := os.Open(os.Getenv("CHAOS_CLOCK")); err == nil {
				if n, _ := f.ReadAt(b[:], 0); n == 8 {
					atomic.StoreInt64(&skewSeconds, int64(binary.NativeEndian.Uint64(b[:])))
				}
				f.Close()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	os.Exit(cli.Main(os.Args[1:], cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
`

// clockBinary compiles our binary with a clock that can be set.
func clockBinary(t *testing.T) string {
	t.Helper()
	dir := builtDir(t)
	out := filepath.Join(dir, "cometmq-clock")
	if _, err := os.Stat(out); err == nil {
		return out
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	timeGo := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	src, err := os.ReadFile(timeGo)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	changed := strings.Replace(string(src), reads, "\tsec, nsec, mono := runtimeNow()\n\tsec += skewSeconds\n\tif mono == 0 {", 1)
	if changed == string(src) {
		t.Skipf("time.Now of %s is written differently", runtime.Version())
	}
	changed += "\n// skewSeconds is set by the main package of a test.\nvar skewSeconds int64\n"
	overlay := map[string]map[string]string{"Replace": {
		timeGo: filepath.Join(dir, "time.go.txt"),
		filepath.Join(root, "cmd", "clocked", "main.go"): filepath.Join(dir, "main.go.txt"),
	}}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"time.go.txt": changed, "main.go.txt": clockMain, "overlay.json": string(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-ldflags=-checklinkname=0", "-o", out, "./cmd/clocked")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return out
}
