//go:build peer

package peer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/aclgen"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

var (
	aclSeed   = flag.Uint64("acl-seed", 1, "seed of the generated policies and requests")
	aclCases  = flag.Int("acl-cases", 6000, "number of generated policies with a request")
	aclGolden = flag.String("acl-golden", "", "write what Java decides to this file")
)

// TestAccessVerdictsAsJava has Java's evaluators and ours decide about the same requests of the same users.
func TestAccessVerdictsAsJava(t *testing.T) {
	t.Parallel()
	if got := string(aclOracle(t, nil, "table")); got != aclgen.JavaNeeds {
		t.Error("the annotations of Java's headers are not those of needs.tsv")
	}
	cases := aclgen.Cases(*aclSeed, *aclCases)
	answers := askAccess(t, cases)
	refused := 0
	for i := range cases {
		ours := aclgen.Verdict(t, &cases[i])
		if why := cases[i].Differs(ours, answers[i]); why != "" {
			t.Errorf("case %d: %s\ncode %d fields %v\nacl %s\nours\n%s\njava\n%s", i, why, cases[i].Code, cases[i].Fields, cases[i].ACL.AppendTo(nil, false), ours, answers[i])
			if refused++; refused > 20 {
				t.FailNow()
			}
		}
	}
	count := map[string]int{}
	for _, a := range answers {
		count[aclgen.Short(a)]++
	}
	t.Logf("%d requests: %v (authenticated, authorized)", len(cases), count)
	if *aclGolden != "" {
		var b bytes.Buffer
		for _, a := range answers {
			fmt.Fprintln(&b, aclgen.Short(a))
		}
		if err := os.WriteFile(*aclGolden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func aclOracle(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cp := target.NeedJava(t, java55)
	classes := filepath.Join("..", "..", "build", "classes-"+java55)
	cmd := exec.CommandContext(t.Context(), "java", append([]string{"-Xmx256m", "-Drocketmq.client.logRoot=" + t.TempDir(), "-Duser.home=" + t.TempDir(), "-cp", classes + ":" + cp, "AclOracle"}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	return out
}

// askAccess returns Java's verdicts.
func askAccess(t *testing.T, cases []aclgen.Case) []string {
	t.Helper()
	var in bytes.Buffer
	enc := base64.StdEncoding
	text := func(b []byte) string {
		if b == nil {
			return "-"
		}
		return enc.EncodeToString(b)
	}
	for i := range cases {
		c := &cases[i]
		fields, err := json.Marshal(c.Fields)
		if err != nil {
			t.Fatal(err)
		}
		var acl []byte
		if c.ACL != nil {
			acl = c.ACL.AppendTo(nil, false)
		}
		kind, status := "Normal", "enable"
		if c.Super {
			kind = "Super"
		}
		if c.Disabled {
			status = "disable"
		}
		fmt.Fprintln(&in, kind, status, c.From, c.Code, c.Version, text(acl), text(fields), text(c.Body))
	}
	lines := strings.Fields(string(aclOracle(t, in.Bytes())))
	if len(lines) != len(cases) {
		t.Fatalf("%d answers to %d questions", len(lines), len(cases))
	}
	for i, l := range lines {
		b, err := enc.DecodeString(l)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = strings.ReplaceAll(strings.ReplaceAll(string(b), "[fd00:0:0:0:0:0:0:1]", "fd00::1"), "fd00:0:0:0:0:0:0:1", netip.MustParseAddr("fd00::1").String())
	}
	return lines
}
