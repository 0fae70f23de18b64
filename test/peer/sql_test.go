//go:build peer

package peer

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/selector"
	"github.com/cometmq/cometmq/internal/testkit/sqlgen"
)

var (
	sqlSeed   = flag.Uint64("sql-seed", 1, "seed of the generated expressions")
	sqlCases  = flag.Int("sql-cases", 5000, "number of generated expressions")
	sqlGolden = flag.String("sql-golden", "", "write what Java makes of a few hundred expressions to this file")
)

// sqlInFile is how many of them go into the golden file, besides the fixed ones.
const sqlInFile = 300

// TestSQL92VerdictsAsJava has Java's filter module and ours judge the same expressions on the same properties.
func TestSQL92VerdictsAsJava(t *testing.T) {
	t.Parallel()
	cases := sqlgen.Cases(*sqlSeed, *sqlCases)
	answers := askJava(t, cases)
	same := 0
	for i, c := range cases {
		if why := sqlgen.Differs(ourAnswer(c), answers[i]); why != "" {
			t.Errorf("%q on %q:\nours %q\njava %q\n%s", c.Expr, c.Props, ourAnswer(c), answers[i], why)
		} else if ourAnswer(c) == answers[i] {
			same++
		}
	}
	refused := 0
	for _, a := range answers {
		if strings.HasPrefix(a, "!") {
			refused++
		}
	}
	t.Logf("%d expressions, %d refused; %d answers are the same to the letter", len(cases), refused, same)
	if *sqlGolden != "" {
		var b strings.Builder
		for i := range len(cases) - *sqlCases + sqlInFile {
			fmt.Fprintf(&b, "%q\t%q\t%q\n", cases[i].Expr, cases[i].Props, answers[i])
		}
		if err := os.WriteFile(*sqlGolden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ourAnswer(c sqlgen.Case) string {
	q, err := selector.ParseSQL(c.Expr)
	if err != nil {
		return "!" + err.Error()
	}
	return q.Eval(c.Props).String()
}

func askJava(t *testing.T, cases []sqlgen.Case) []string {
	t.Helper()
	var in bytes.Buffer
	enc := base64.StdEncoding
	for _, c := range cases {
		fmt.Fprintf(&in, "%s %s\n", enc.EncodeToString([]byte(c.Expr)), enc.EncodeToString(c.Props))
	}
	line := append(ownJVM(t, java55, []string{"-Xmx256m", "-XX:-OmitStackTraceInFastThrow", "-Drocketmq.client.logRoot=" + t.TempDir()}), "SqlOracle")
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Stdin = &in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	lines := strings.Fields(string(out))
	if len(lines) != len(cases) {
		t.Fatalf("%d answers to %d questions", len(lines), len(cases))
	}
	for i, l := range lines {
		b, err := enc.DecodeString(l)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(b)
	}
	return lines
}
