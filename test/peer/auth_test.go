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
	// Two of Java's headers say that they are of request 201. Which of them it takes is chance and differs between JVMs.
	got := strings.Replace(string(aclOracle(t, nil, "table")),
		"201\tGetAllSubscriptionGroupRequestHeader\tGROUP\tGet\t!groupSeq Integer\n",
		"201\tGetAllSubscriptionGroupResponseHeader\tGROUP\tList\t!totalGroupNum Integer\n", 1)
	if got != aclgen.JavaNeeds {
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
	line := append(ownJVM(t, java55, []string{"-Xmx256m", "-Drocketmq.client.logRoot=" + t.TempDir(), "-Duser.home=" + t.TempDir()}), "AclOracle")
	cmd := exec.CommandContext(t.Context(), line[0], append(line[1:], args...)...)
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

const authClasses = "org.apache.rocketmq.auth."

// authConf switches access control on, in Java's way.
var authConf = map[string]string{
	"authenticationEnabled": "true", "authorizationEnabled": "true", "initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
	"innerClientAuthenticationCredentials": `{"accessKey":"inner","secretKey":"inner-secret"}`,
	"authenticationProvider":               authClasses + "authentication.provider.DefaultAuthenticationProvider",
	"authenticationMetadataProvider":       authClasses + "authentication.provider.LocalAuthenticationMetadataProvider",
	"authorizationProvider":                authClasses + "authorization.provider.DefaultAuthorizationProvider",
	"authorizationMetadataProvider":        authClasses + "authorization.provider.LocalAuthorizationMetadataProvider",
}

// signedWant is what Java's clients and tools are answered, by Java and here. Where the texts differ on purpose ours is longer.
var signedWant = map[string]string{
	"createUser": "ok", "createAgain": "16 The user is existed", "createWithoutPassword": "16 password can not be blank", "createAcl": "ok", "denyAcl": "ok",
	"badAcl": "16 The source ip is invalid.", "aclOfNobody": "16 The subject of User:nobody is not exist.", "getUser": "ok", "user": "alice Normal enable",
	"getAcl": "ok", "listUser": "ok", "users": "1", "listAcl": "ok", "acls": "1",
	"acl":     "User:alice | Custom Topic:orders* [Pub, Sub] [] Allow | Custom Group:g_* [Pub, Sub] [] Allow | Custom Topic:pay [Pub, Sub] [127.0.0.0/8] Deny",
	"produce": "ok", "consumed": "20", "wrongSecret": "16 check signature failed.", "unknownUser": "16 User:carol is not found.",
	"noSignature": "16 username cannot be null.", "denied": "16 User:alice has no permission to access Topic:pay from 127.0.0.1, the decision is deny.",
	"noRule":     "16 User:alice has no permission to access Topic:other from 127.0.0.1, no matched policies.",
	"notAllowed": "16 User:alice has no permission to access Cluster:DefaultCluster from 127.0.0.1, no matched policies.",
	"deleteRule": "ok", "disable": "ok", "disabled": "16 User:alice is disabled.", "deleteUser": "ok", "deleted": "16 User:alice is not found.",
}

// TestJavaClientsWithAccessControl has Java's own admin client make users and policies, and its clients sign.
func TestJavaClientsWithAccessControl(t *testing.T) {
	t.Parallel()
	for i, kind := range []target.Kind{target.Ours, target.Java} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			variant(t, i)
			c := newCluster(t, target.Options{Kind: kind, Conf: authConf})
			got := javaMain(t, java55, "Signed", c.NS, c.Addrs[0])
			for k, v := range signedWant {
				s := fmt.Sprint(got[k])
				if kind == target.Ours && k == "denied" {
					s, _, _ = strings.Cut(s, " (") // the rule
				}
				if s != v {
					t.Errorf("%s: %s, want %s", k, s, v)
				}
			}
			if kind == target.Java {
				return
			}
			root := []string{"PEER_ACCESS_KEY=root", "PEER_SECRET_KEY=root-secret"}
			want(t, goMainWith(t, root, "send", c.NS, "go_signed", "go_g", "20"), "ok", 20)
			want(t, goMainWith(t, root, "push", c.NS, "go_signed", "go_c", "20"), "distinct", 20)
		})
	}
}
