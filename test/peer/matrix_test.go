//go:build peer

package peer

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var matrixPath = flag.String("matrix", "", "write the table of features and clients to this file")

var everyVariant = flag.Bool("every-variant", false, "also run the variants of the long tests of sets of brokers; the gate runs one of each")

// variant skips all variants of a long test but the first, unless all are asked for.
func variant(t *testing.T, i int) {
	t.Helper()
	if i > 0 && !*everyVariant {
		t.Skip("a variant of a test that takes minutes: -every-variant runs it")
	}
}

// The clients of the table, in the order of its columns.
const (
	java49 = "client-4.9.8"
	java55 = "server-5.5.0"
	goV2   = "go-v2"
)

var columns = []struct{ client, title string }{{java49, "Java 4.9.8"}, {java55, "Java 5.5.0"}, {goV2, "Go v2"}}

// verdicts is what the tests of this run said of each feature.
var verdicts struct {
	mu   sync.Mutex // guards rows
	rows map[string]map[string]string
	// admin is what subcommands of mqadmin did, own what those of cometmq admin did, in their order.
	admin, own [][2]string
}

// adminVerdict enters what a subcommand of mqadmin did.
func adminVerdict(line, v string) {
	verdicts.mu.Lock()
	defer verdicts.mu.Unlock()
	verdicts.admin = append(verdicts.admin, [2]string{line, v})
}

// ownVerdict enters what a subcommand of cometmq admin did.
func ownVerdict(line, v string) {
	verdicts.mu.Lock()
	defer verdicts.mu.Unlock()
	verdicts.own = append(verdicts.own, [2]string{line, v})
}

// covers enters the outcome of t as the verdict on a feature with a client: pass if t does not fail.
func covers(t *testing.T, client, feature string) {
	t.Helper()
	t.Cleanup(func() {
		switch {
		case t.Skipped():
		case t.Failed():
			verdict(feature, client, "FAIL: "+t.Name())
		default:
			verdict(feature, client, "pass")
		}
	})
}

// lacks says that a client has no such feature, and why.
func lacks(client, feature, why string) { verdict(feature, client, "– ("+why+")") }

// verdict keeps the worst.
func verdict(feature, client, v string) {
	verdicts.mu.Lock()
	defer verdicts.mu.Unlock()
	if verdicts.rows == nil {
		verdicts.rows = map[string]map[string]string{}
	}
	row := verdicts.rows[feature]
	if row == nil {
		row = map[string]string{}
		verdicts.rows[feature] = row
	}
	if !strings.HasPrefix(row[client], "FAIL") {
		row[client] = v
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *matrixPath != "" {
		if err := os.WriteFile(*matrixPath, []byte(matrix()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = cmp.Or(code, 1)
		}
	}
	os.Exit(code)
}

// matrix is docs/compatibility.md.
func matrix() string {
	var b strings.Builder
	b.WriteString("# What unmodified clients do against CometMQ\n\n" +
		"Written by `make compatibility` from the outcome of the tests in test/peer; not edited by hand. Each cell is a test with that\n" +
		"client in a process of its own. An empty cell has not been tested.\n\n| feature |")
	for _, c := range columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	features := make([]string, 0, len(verdicts.rows))
	for f := range verdicts.rows {
		features = append(features, f)
	}
	slices.Sort(features)
	for _, f := range features {
		b.WriteString("| " + f + " |")
		for _, c := range columns {
			b.WriteString(" " + verdicts.rows[f][c.client] + " |")
		}
		b.WriteString("\n")
	}
	if len(verdicts.admin) > 0 {
		b.WriteString("\n## mqadmin 5.5.0\n\n" +
			"Each subcommand of the unmodified tool against Java's servers and against ours, with the same arguments (@B@ is the broker's\n" +
			"address). Outputs are compared without times, ids, large numbers and the order of lines.\n\n| subcommand | ours, compared with Java |\n|---|---|\n")
		writeVerdicts(&b, verdicts.admin)
	}
	if len(verdicts.own) > 0 {
		b.WriteString("\n## cometmq admin\n\n" +
			"The same subcommands of our own tool against Java's servers and against ours: output, compared likewise, and exit code.\n\n" +
			"| subcommand | ours, compared with Java |\n|---|---|\n")
		writeVerdicts(&b, verdicts.own)
	}
	return b.String()
}

func writeVerdicts(b *strings.Builder, list [][2]string) {
	for _, a := range list {
		b.WriteString("| `" + strings.ReplaceAll(a[0], "|", "\\|") + "` | " + a[1] + " |\n")
	}
}
