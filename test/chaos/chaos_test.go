package chaos

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

var (
	rowsWanted = flag.String("rows", "", "run the rows whose names match this regular expression; default: the short version of those that CI runs")
	sides      = flag.String("sides", "ours,java", "whom to put through it")
	keep       = flag.String("keep", "", "file with the figures of earlier runs, to which those of this one are added")
	times      = flag.Int("times", 0, "how often the accident of each row happens, 0: as the row says")
	write      = flag.String("write", "", "file to write the table to")
)

// row is one accident.
type row struct {
	name       string
	what       string // is done
	deployment string
	promise    string // what the deployment promises of acknowledged messages
	// keeps: nothing acknowledged may be lost, nothing may be read that goes away again.
	keeps bool
	// times is how often the accident happens; CI takes ci, 0 for none.
	times, ci int
	run       func(w *trial) // nil: see why
	notOurs   string         // why ours cannot be put through it, or not yet
	notJava   string         // why Java cannot be put through it
}

// trial is one run of a row.
type trial struct {
	*testing.T
	kind  target.Kind
	times int
	out   outcome
}

func allRows() []row {
	var all []row
	all = append(all, brokerRows()...)
	all = append(all, diskRows()...)
	all = append(all, featureRows()...)
	all = append(all, clientRows()...)
	all = append(all, slaveRows()...)
	all = append(all, controllerRows()...)
	return all
}

func TestRows(t *testing.T) {
	ci := *rowsWanted == ""
	pick := regexp.MustCompile(*rowsWanted)
	f, err := loadFigures(*keep)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range allRows() {
		if ci && r.ci == 0 || !pick.MatchString(r.name) {
			continue
		}
		for _, kind := range []target.Kind{target.Ours, target.Java} {
			if ci && kind == target.Java || !strings.Contains(*sides, string(kind)) || r.run == nil ||
				kind == target.Ours && r.notOurs != "" || kind == target.Java && r.notJava != "" {
				continue
			}
			t.Run(r.name+"/"+string(kind), func(t *testing.T) {
				x := &trial{T: t, kind: kind, times: r.times}
				if ci {
					x.times = r.ci
				}
				if *times > 0 {
					x.times = *times
				}
				start := time.Now()
				r.run(x)
				x.out.Took = time.Since(start).Seconds()
				x.out.When = time.Now().UTC().Format("2006-01-02")
				x.out.Machine = machine()
				t.Logf("%v", &x.out)
				if kind == target.Ours {
					judge(t, &r, &x.out)
				}
				if err := f.put(*keep, r.name, kind, x.out); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	if *write != "" {
		if err := os.WriteFile(*write, []byte(f.text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// judge fails the test when ours did not keep what it promises.
func judge(t *testing.T, r *row, o *outcome) {
	t.Helper()
	var bad []string
	add := func(what string, n int64) {
		if n != 0 {
			bad = append(bad, fmt.Sprintf("%s %d", what, n))
		}
	}
	if r.keeps {
		add("lost", o.Lost)
		add("phantom", o.Phantom)
		add("offsets moved back", o.MovedBack)
	}
	add("inverted", o.Inverted)
	add("never accepted again", int64(o.Stuck))
	if o.Differ {
		bad = append(bad, "logs "+o.Replicas)
	}
	if o.Acked == 0 {
		bad = append(bad, "nothing was acknowledged: the run proves nothing")
	}
	if bad = append(bad, o.Bad...); len(bad) > 0 {
		t.Error(strings.Join(bad, ", "))
	}
}
