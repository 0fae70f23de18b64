package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

// outcome is what one run of a row saw.
type outcome struct {
	history.Verdict
	Faults   int       `json:",omitempty"` // accidents that happened
	Again    []float64 `json:",omitempty"` // seconds until messages were acknowledged again, for each accident
	Stuck    int       `json:",omitempty"` // accidents after which no message was accepted for two minutes
	Refused  int64     `json:",omitempty"` // sends that were answered with something else than success
	Replicas string    `json:",omitempty"` // comparison of the logs
	Differ   bool      `json:",omitempty"`
	Note     string    `json:",omitempty"` // what else was counted
	Bad      []string  `json:",omitempty"` // what else must not be
	Took     float64
	When     string
	Machine  string
}

// String is one line.
func (o *outcome) String() string {
	return fmt.Sprintf("%d faults: %v, refused %d, again after %s, %s %s %v", o.Faults, o.Verdict, o.Refused, o.again(), o.Replicas, o.Note, o.Bad)
}

func (o *outcome) again() string {
	if len(o.Again) == 0 {
		return "–"
	}
	v := slices.Sorted(slices.Values(o.Again))
	s := fmt.Sprintf("%.2f (max %.2f)", v[(len(v)-1)/2], v[len(v)-1])
	if len(v) == 1 {
		s = fmt.Sprintf("%.2f", v[0])
	}
	if o.Stuck > 0 {
		s += fmt.Sprintf("; %d times never", o.Stuck)
	}
	return s
}

// figures are the last outcome of each row and side.
type figures map[string]map[target.Kind]outcome

func loadFigures(path string) (figures, error) {
	f := figures{}
	if path == "" {
		return f, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	return f, nil
}

// put notes an outcome, in the file too when there is one. Other rows of the file stay as they are by now.
func (f figures) put(path, row string, kind target.Kind, o outcome) error {
	set := func(f figures) {
		if f[row] == nil {
			f[row] = map[target.Kind]outcome{}
		}
		f[row][kind] = o
	}
	set(f)
	if path == "" {
		return nil
	}
	all, err := loadFigures(path)
	if err != nil {
		return err
	}
	set(all)
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

func machine() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		out = []byte(runtime.GOOS)
	}
	return fmt.Sprintf("%d processors, %s, %s", runtime.NumCPU(), strings.TrimSpace(string(out)), runtime.Version())
}

// text is docs/loss-table.md.
func (f figures) text() string {
	var b strings.Builder
	b.WriteString(head)
	machines := map[string]bool{}
	for _, bySide := range f {
		for _, o := range bySide {
			machines[o.Machine] = true
		}
	}
	for m := range machines {
		fmt.Fprintf(&b, "Machine: %s; other processes may have used it at the same time.\n", m)
	}
	section := ""
	for _, r := range allRows() {
		if r.deployment != section {
			section = r.deployment
			fmt.Fprintf(&b, "\n## %s\n\n| accident | promise | side | times | acknowledged | lost | phantom | inverted | duplicates per million | seconds to write again | more | run |\n", section)
			b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
		}
		for _, kind := range []target.Kind{target.Ours, target.Java} {
			f.line(&b, &r, kind)
		}
	}
	return b.String()
}

func (f figures) line(b *strings.Builder, r *row, kind target.Kind) {
	side, not := "CometMQ", r.notOurs
	if kind == target.Java {
		side, not = "Java 5.5.0", r.notJava
	}
	what, promise := r.what, r.promise
	if kind == target.Java {
		what, promise = "", ""
	}
	fmt.Fprintf(b, "| %s | %s | %s |", what, promise, side)
	o, ok := f[r.name][kind]
	switch {
	case not != "":
		fmt.Fprintf(b, " | | | | | | | not run: %s | |\n", not)
		return
	case !ok:
		b.WriteString(" | | | | | | | not run yet | |\n")
		return
	}
	dup := float64(o.Duplicates) * 1e6 / float64(max(o.Acked, 1))
	more := o.Note
	if o.Replicas != "" {
		more = strings.Trim(more+"; logs "+o.Replicas, "; ")
	}
	if o.Refused > 0 {
		more = strings.Trim(fmt.Sprintf("%s; %d sends refused or unsure", more, o.Refused), "; ")
	}
	if len(o.Bad) > 0 {
		more = strings.Trim(more+"; "+strings.Join(o.Bad, ", "), "; ")
	}
	fmt.Fprintf(b, " %d | %d | %d | %d | %d | %.0f | %s | %s | %s, %.0f s |\n", o.Faults, o.Acked, o.Lost, o.Phantom, o.Inverted, dup, o.again(), more, o.When, o.Took)
}

const head = `# What each deployment loses

Written by ` + "`make loss-table`" + ` from runs of test/chaos; not edited by hand. Each row is one accident, done to real processes on
loopback as often as "times" says, under load: four senders with 16 messages in flight each, which send again what was not
answered, and a reader that goes along. The same program and the same configuration files do it to CometMQ and to Apache RocketMQ
5.5.0. How to run it and how to read it: [operations/loss-table.md](operations/loss-table.md).

Acknowledged: answered with SEND_OK. FLUSH_DISK_TIMEOUT, FLUSH_SLAVE_TIMEOUT and errors do not count. Lost: acknowledged and not
readable at the end. Phantom: readable and never sent, or read by a consumer and gone at the end, or half a transaction. Inverted:
read before a message that had been acknowledged before this one was sent. Duplicates: the same message more than once, mostly what
a producer sent again because it got no answer. Seconds to write again: from the accident to the first acknowledgement of a message
that was sent after it; median and worst.

`
