package aclgen

import (
	_ "embed" // the golden file
	"strings"
	"testing"
)

// javaSays is what Java 5.5.0 decides about the cases of seed 1: test/peer, TestAccessVerdictsAsJava -acl-golden.
//
//go:embed testdata/java/5.5.0/verdicts.txt
var javaSays string

func TestDecisionsAsJava(t *testing.T) {
	t.Parallel()
	want := strings.Fields(javaSays)
	for i, c := range Cases(1, min(len(want), checked)) {
		if got := Short(Verdict(t, &c)); got != want[i] {
			t.Errorf("case %d, code %d, fields %v, acl %s: %s, Java %s", i, c.Code, c.Fields, c.ACL.AppendTo(nil, false), got, want[i])
		}
	}
	if len(want) < 5000 {
		t.Errorf("%d cases", len(want))
	}
}
