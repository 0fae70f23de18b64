//go:build compare

package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

type report struct {
	got map[string]map[string][]result // scenario, side, runs
}

// load takes in the figures of earlier runs; without a file there are none.
func (r *report) load(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, &r.got)
}

func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.Marshal(r.got)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

func newReport() *report { return &report{got: map[string]map[string][]result{}} }

func (r *report) add(scenario, side string, res result) {
	if r.got[scenario] == nil {
		r.got[scenario] = map[string][]result{}
	}
	r.got[scenario][side] = append(r.got[scenario][side], res)
}

// stat is the median with its spread.
type stat struct {
	median, low, high float64
	n                 int
}

func (r *report) stat(scenario, side, figure string) (stat, bool) {
	var v []float64
	for _, res := range r.got[scenario][side] {
		if f, ok := res[figure]; ok {
			v = append(v, f)
		}
	}
	if len(v) == 0 {
		return stat{}, false
	}
	slices.Sort(v)
	return stat{median: (v[len(v)/2] + v[(len(v)-1)/2]) / 2, low: v[0], high: v[len(v)-1], n: len(v)}, true
}

func (s stat) text(unit string) string {
	if s.n == 1 {
		return human(s.median) + " " + unit + " (1 run)"
	}
	return fmt.Sprintf("%s %s (%s to %s, %d runs)", human(s.median), unit, human(s.low), human(s.high), s.n)
}

func human(v float64) string {
	switch {
	case v >= 10000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// render turns a scenario's figures into lines of the table.
func (r *report) render(sc scenario) (table []string) {
	for _, w := range sc.rows {
		ours, ok := r.stat(sc.name, "ours", w.figure)
		if !ok {
			table = append(table, fmt.Sprintf("| %s | not measured | | | %s | |", w.what, w.goal))
			continue
		}
		java, hasJava := r.stat(sc.name, "java", w.figure)
		javaText, ratio := "", ""
		if hasJava {
			javaText = java.text(w.unit)
			if java.median > 0 && ours.median > 0 && !w.oursOnly {
				ratio = fmt.Sprintf("%s x", human(ours.median/java.median))
				if ours.median/java.median < 0.095 {
					ratio = fmt.Sprintf("%.3f x", ours.median/java.median)
				}
			}
		}
		extra := ""
		if c, ok := r.stat(sc.name, "ceiling", w.figure); ok && c.median > 0 {
			extra = fmt.Sprintf("%s x the ceiling of %s", human(ours.median/c.median), c.text(w.unit))
		}
		table = append(table, fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", w.what, ours.text(w.unit), javaText, ratio, w.goal, extra))
	}
	return table
}

func (r *report) text() string {
	var b strings.Builder
	b.WriteString("# Figures beside Java\n\nMade by `make compare`, not by hand. Median of the runs, lowest and highest in brackets. Java is Apache RocketMQ 5.5.0 with a 4 GiB\n")
	b.WriteString("heap, G1 and the same configuration file; both sides run in turn on an empty store with the same raw generator\n")
	b.WriteString("(`cometmq bench`'s) on the same machine, which it shares. Ratios are ours / Java.\n\n")
	fmt.Fprintf(&b, "Machine: %d processors, %s, %s, %s. %s. Run of %s.\n\n", runtime.NumCPU(), cpuModel(), memory(), kernel(), runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "Command: `make compare` (%g s a load; the number of runs is behind each figure). Disk: %s.\n\n", *secs, fsyncRate())
	b.WriteString("| what | ours | Java | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, sc := range scenarios() {
		for _, l := range r.render(sc) {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for l := range strings.SplitSeq(string(b), "\n") {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

func memory() string {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "memory unknown"
	}
	var kb int64
	fmt.Sscanf(string(b), "MemTotal: %d kB", &kb)
	return fmt.Sprintf("%d GiB", (kb+1<<19)>>20)
}

func kernel() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return runtime.GOOS
	}
	return string(bytes.TrimSpace(out))
}

// fsyncRate is what the disk gives to one writer of 4 KiB blocks.
func fsyncRate() string {
	f, err := os.CreateTemp(os.Getenv("COMPARE_DIR"), "fsync-")
	if err != nil {
		return "unknown"
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, 64<<20); err != nil {
		return "unknown"
	}
	buf := make([]byte, 4096)
	t0, n := time.Now(), 0
	for time.Since(t0) < 2*time.Second {
		if _, err := f.WriteAt(buf, int64(n%16000)*4096); err != nil {
			return "unknown"
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return "unknown"
		}
		n++
	}
	return fmt.Sprintf("%.0f fdatasync/s of 4 KiB, one at a time", float64(n)/time.Since(t0).Seconds())
}
