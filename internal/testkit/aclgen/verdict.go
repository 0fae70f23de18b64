package aclgen

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/api/remotingapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Verdict is what this program decides: a line for the authentication, one for the authorization, and one for each resource that the
// request needs with its actions.
func Verdict(t *testing.T, c *Case) string {
	t.Helper()
	r := &remoting.Request{Header: protocol.Header{Code: c.Code, Version: c.Version, Fields: c.FieldList()}, Body: c.Body}
	lines := []string{decide(t, c, r, true), decide(t, c, r, false)}
	needs, err := remotingapi.Needs(r, Cluster)
	if err == nil {
		lines = append(lines, needs...)
	}
	return strings.Join(lines, "\n")
}

// decide is the answer of a gate that authenticates only, or authorizes only.
func decide(t *testing.T, c *Case, r *remoting.Request, authenticate bool) string {
	t.Helper()
	g, err := auth.Open(auth.Options{Authenticate: authenticate, Authorize: !authenticate, FailBurst: -1, FS: vfs.NewMem(vfs.MemOptions{}), Dir: "auth"})
	if err != nil {
		t.Fatal(err)
	}
	u := &protocol.UserInfo{Username: UserName, Password: Secret}
	if c.Super {
		u.UserType = "Super"
	}
	if c.Disabled {
		u.UserStatus = "disable"
	}
	if err := g.CreateUser(auth.By{}, u); err != nil {
		t.Fatal(err)
	}
	if c.ACL != nil {
		if err := g.PutACL(auth.By{}, "", c.ACL); err != nil {
			t.Fatalf("%s: %v", c.ACL.AppendTo(nil, false), err)
		}
	}
	if err := remotingapi.NewGate(g, Cluster).Check(r, netip.MustParseAddr(c.From)); err != nil {
		return err.Error()
	}
	return "ok"
}

// Short is a verdict without texts: y or n for the authentication and the authorization.
func Short(verdict string) string {
	var b strings.Builder
	for l := range strings.SplitSeq(verdict, "\n") {
		if b.Len() == 2 {
			break
		}
		if l == "ok" {
			b.WriteByte('y')
		} else {
			b.WriteByte('n')
		}
	}
	return b.String()
}

// Differs says in what our verdict about c is another than Java's, "" when it is not. Our refusals may say more behind Java's text.
// Of requests whose body has sets Java asks in an order of its own, so that another resource may be refused first.
func (c *Case) Differs(ours, java string) string {
	o, j := strings.Split(ours, "\n"), strings.Split(java, "\n")
	sets := c.Code == 34 || c.Code == 41 || c.Code == 42
	for i, l := range o {
		if i >= 2 {
			o[i] = sorted(l)
		}
	}
	for i, l := range j {
		if i >= 2 {
			j[i] = sorted(l)
		}
	}
	if sets {
		slices.Sort(o[2:])
		slices.Sort(j[min(2, len(j)):])
	}
	if len(o) != len(j) {
		return "another number of resources"
	}
	for i := range o {
		same := o[i] == j[i] || i == 1 && strings.HasPrefix(o[i], j[i]+" (") || i == 1 && sets && (o[i] == "ok") == (j[i] == "ok")
		if !same {
			return "line " + o[i]
		}
	}
	return ""
}

// sorted is a resource and its actions in the order of the alphabet, each once.
func sorted(need string) string {
	f := strings.Fields(need)
	slices.Sort(f)
	return strings.Join(slices.Compact(f), " ")
}
