package auth

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, o Options) *Guard {
	tb.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem(vfs.MemOptions{})
	}
	if o.Dir == "" {
		o.Dir = "auth"
	}
	g, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func user(tb testing.TB, g *Guard, name, secret, kind string) {
	tb.Helper()
	if err := g.CreateUser(By{}, &protocol.UserInfo{Username: name, Password: secret, UserType: kind}); err != nil {
		tb.Fatal(err)
	}
}

var here = netip.MustParseAddr("10.1.2.3")

// request is a send of the user, signed with a secret.
func request(user, secret string) *Request {
	f := protocol.Fields{{Key: []byte("b"), Val: []byte("orders")}, {Key: []byte("a"), Val: []byte("p")}}
	c := Credentials{AccessKey: user, SecretKey: secret}
	return &Request{Code: 310, Version: protocol.VersionServed, Fields: append(f, c.Sign(f, []byte("body"))...), Body: []byte("body"), From: here}
}

func refusedAs(t *testing.T, err error, want string) {
	t.Helper()
	if text, ok := AsRefused(err); !ok || text != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// The signature is what Java's AclClientRPCHook makes of these fields: values in the order of their keys, then the body.
func TestSignatureIsOfSortedValuesAndBody(t *testing.T) {
	t.Parallel()
	c := Credentials{AccessKey: "RocketMQ", SecretKey: "12345678"}
	f := protocol.Fields{{Key: []byte("b"), Val: []byte("2")}, {Key: []byte("a"), Val: []byte("1")}}
	got := c.Sign(f, []byte("x"))
	// HMAC-SHA1("12345678", "RocketMQ" "1" "2" "x"): AccessKey sorts before a.
	s := newSigner("12345678")
	want := string(s.sign(protocol.Fields{{Val: []byte("RocketMQ12x")}}, nil))
	if sig, _ := got.Get(FieldSignature); string(sig) != want {
		t.Errorf("%s, want %s", sig, want)
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	g := open(t, Options{Authenticate: true, FailBurst: -1})
	user(t, g, "alice", "secret", "")
	user(t, g, "bob", "secret", "")
	if err := g.UpdateUser(By{}, &protocol.UserInfo{Username: "bob", UserStatus: "disable"}); err != nil {
		t.Fatal(err)
	}
	var sc Scratch
	if a, err := g.Authenticate(request("alice", "secret"), &sc); err != nil || a.Name != "alice" {
		t.Fatal(a, err)
	}
	for _, tc := range []struct {
		name, want string
		r          *Request
	}{
		{"wrong secret", "check signature failed.", request("alice", "guess")},
		{"nobody", "User:carol is not found.", request("carol", "secret")},
		{"disabled", "User:bob is disabled.", request("bob", "secret")},
		{"unsigned", "username cannot be null.", &Request{Code: 310}},
	} {
		_, err := g.Authenticate(tc.r, &sc)
		refusedAs(t, err, tc.want)
	}
	for name, change := range map[string]func(*Request){
		"body":      func(r *Request) { r.Body = []byte("other") },
		"value":     func(r *Request) { r.Fields[0].Val = []byte("pay") },
		"new field": func(r *Request) { r.Fields = append(r.Fields, protocol.Field{Key: []byte("z"), Val: []byte("1")}) },
		"signature": func(r *Request) { r.Fields = r.Fields[:3] },
		// Signed as it is, so that only the second key is wrong.
		"twice": func(r *Request) {
			f := protocol.Fields{{Key: []byte("b"), Val: []byte("orders")}, {Key: []byte("b"), Val: nil}}
			c := Credentials{AccessKey: "alice", SecretKey: "secret"}
			r.Fields = slices.Concat(f, c.Sign(f, r.Body))
		},
	} {
		r := request("alice", "secret")
		change(r)
		if _, err := g.Authenticate(r, &sc); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			refusedAs(t, err, "check signature failed.")
		}
	}
}

func TestFieldsThatComeTwiceAreFoundAmongMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, fewFields, fewFields + 1, 4000} {
		var f protocol.Fields
		for i := range n {
			f = append(f, protocol.Field{Key: []byte(strconv.Itoa(i))})
		}
		var sc Scratch
		if twice(f, &sc) {
			t.Errorf("%d fields: all are different", n)
		}
		f[n-1].Key = []byte("0")
		if !twice(f, &sc) {
			t.Errorf("%d fields: one is there twice", n)
		}
	}
}

func TestAllowedRequestsDoNotAllocate(t *testing.T) {
	if testing.CoverMode() != "" || raceEnabled {
		t.Skip("counts allocations")
	}
	g := open(t, Options{Authenticate: true, Authorize: true})
	user(t, g, "alice", "secret", "")
	allow(t, g, "alice", "Topic:ord*", "Pub", "Allow")
	r, what := request("alice", "secret"), Topic("orders")
	var sc Scratch
	n := testing.AllocsPerRun(100, func() {
		a, err := g.Authenticate(r, &sc)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Authorize(a, []byte("alice"), true, &what, ActionsOf(Pub), here); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func allow(tb testing.TB, g *Guard, name, resource, action, decision string) {
	tb.Helper()
	acl := &protocol.ACLInfo{Policies: []protocol.PolicyInfo{{Entries: []protocol.PolicyEntryInfo{{Resource: resource, Actions: []string{action}, Decision: decision}}}}}
	if err := g.PutACL(By{}, "User:"+name, acl); err != nil {
		tb.Fatal(err)
	}
}

func TestDenialNamesTheRule(t *testing.T) {
	t.Parallel()
	g := open(t, Options{Authorize: true})
	user(t, g, "alice", "secret", "")
	allow(t, g, "alice", "Topic:*", "All", "Allow")
	allow(t, g, "alice", "Topic:ord*", "Pub", "Deny")
	a := g.now.Load().accounts["alice"]
	what := Topic("orders")
	err := g.Authorize(a, []byte("alice"), true, &what, ActionsOf(Pub), here)
	refusedAs(t, err, "User:alice has no permission to access Topic:orders from 10.1.2.3, the decision is deny. (Custom rule: Deny Pub on Topic:ord*)")
	if err := g.Authorize(a, []byte("alice"), true, &what, ActionsOf(Sub), here); err != nil {
		t.Error(err)
	}
	group := Group("g")
	refusedAs(t, g.Authorize(a, []byte("alice"), true, &group, ActionsOf(Sub), here), "User:alice has no permission to access Group:g from 10.1.2.3, no matched policies.")
}

func TestFailedAuthenticationsAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	g := open(t, Options{Authenticate: true, FailBurst: 3, FailEvery: time.Second, Now: func() time.Time { return now }})
	user(t, g, "alice", "secret", "")
	var sc Scratch
	for range 3 {
		_, err := g.Authenticate(request("alice", "guess"), &sc)
		refusedAs(t, err, "check signature failed.")
	}
	_, err := g.Authenticate(request("alice", "secret"), &sc)
	refusedAs(t, err, "too many failed authentications from 10.1.2.3, try again later.")
	elsewhere := request("alice", "secret")
	elsewhere.From = netip.MustParseAddr("10.9.9.9")
	if _, err := g.Authenticate(elsewhere, &sc); err != nil {
		t.Error("locked out by somebody else:", err)
	}
	now = now.Add(time.Second)
	if _, err := g.Authenticate(request("alice", "secret"), &sc); err != nil {
		t.Error("after a pause:", err)
	}
	for i := range 3 * maxDebts {
		r := request("alice", "guess")
		r.From = netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		_, _ = g.Authenticate(r, &sc)
	}
	if n := len(g.limit.table); n > maxDebts {
		t.Errorf("%d addresses are remembered", n)
	}
}

func TestUsersOnlySuperUsersMayMake(t *testing.T) {
	t.Parallel()
	g := open(t, Options{})
	user(t, g, "root", "secret", "Super")
	user(t, g, "alice", "secret", "")
	alice := By{User: "alice"}
	if err := g.CreateUser(alice, &protocol.UserInfo{Username: "x", Password: "p", UserType: "super"}); !errors.Is(err, ErrSuperOnly) {
		t.Error(err)
	}
	if err := g.UpdateUser(alice, &protocol.UserInfo{Username: "alice", UserType: "Super"}); !errors.Is(err, ErrSuperUpdate) {
		t.Error(err)
	}
	refusedAs(t, g.UpdateUser(alice, &protocol.UserInfo{Username: "root", Password: "mine"}), "The super user can only be update by super user")
	refusedAs(t, g.DeleteUser(alice, "root"), "The super user can only be update by super user")
	refusedAs(t, g.CreateUser(By{}, &protocol.UserInfo{Username: "root", Password: "p"}), "The user is existed")
	refusedAs(t, g.CreateUser(By{}, &protocol.UserInfo{Username: "x"}), "password can not be blank")
	refusedAs(t, g.UpdateUser(By{}, &protocol.UserInfo{Username: "x"}), "The user is not exist")
	if err := g.DeleteUser(By{}, "x"); err != nil {
		t.Error(err)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	g := open(t, Options{})
	user(t, g, "alice", "secret", "")
	put := func(e protocol.PolicyEntryInfo) error {
		return g.PutACL(By{}, "User:alice", &protocol.ACLInfo{Policies: []protocol.PolicyInfo{{Entries: []protocol.PolicyEntryInfo{e}}}})
	}
	for want, e := range map[string]protocol.PolicyEntryInfo{
		"The resource is null.":            {Resource: "Queue:x", Actions: []string{"Pub"}, Decision: "Allow"},
		"The actions is empty.":            {Resource: "Topic:x", Actions: []string{"Fly"}, Decision: "Allow"},
		"The actions can not be Any.":      {Resource: "Topic:x", Actions: []string{"Any"}, Decision: "Allow"},
		"The source ip is invalid.":        {Resource: "Topic:x", Actions: []string{"Pub"}, Decision: "Allow", SourceIPs: []string{"10.0.0.0/40"}},
		"The decision is null or illegal.": {Resource: "Topic:x", Actions: []string{"Pub"}, Decision: "Perhaps"},
	} {
		refusedAs(t, put(e), want)
	}
	for _, action := range []string{"Pub", "Sub"} { // the second takes the place of the first
		if err := put(protocol.PolicyEntryInfo{Resource: "Topic:x", Actions: []string{action}, Decision: "Allow"}); err != nil {
			t.Fatal(err)
		}
	}
	allow(t, g, "alice", "Group:g", "Sub", "Allow")
	acl, aerr := g.ACL("User:alice")
	want := `{"policies":[{"entries":[{"actions":["Sub"],"decision":"Allow","resource":"Topic:x"},{"actions":["Sub"],"decision":"Allow","resource":"Group:g"}],"policyType":"Custom"}],"subject":"User:alice"}`
	if aerr != nil || string(acl.AppendTo(nil, false)) != want {
		t.Errorf("%s, %v", acl.AppendTo(nil, false), aerr)
	}
	if l := g.ACLs("ali", "Group"); len(l) != 1 || len(l[0].Policies[0].Entries) != 1 {
		t.Errorf("filtered: %+v", l)
	}
	if err := g.DeleteACL(By{}, "User:alice", "", "nonsense"); err == nil {
		t.Error("a resource that is none has deleted everything")
	}
	if err := g.DeleteACL(By{}, "User:alice", "Custom", "Topic:x"); err != nil {
		t.Error(err)
	}
	if err := g.DeleteACL(By{}, "User:alice", "", "Group:g"); err != nil {
		t.Error(err)
	}
	if none, err := g.ACL("User:alice"); none != nil || err != nil {
		t.Error(none, err)
	}
	refusedAs(t, g.DeleteACL(By{}, "User:alice", "", ""), "The acl is not exist.")
	_, aerr = g.ACL("User:bob")
	refusedAs(t, aerr, "The subject is not exist.")
}

func TestFileAndAuditOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, AuditName)
	openAll := func() (*Guard, *Audit) {
		a, err := OpenAudit(vfs.OS(), name, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return open(t, Options{FS: vfs.OS(), Dir: dir, Audit: a, Super: []Credentials{{AccessKey: "root", SecretKey: "first secret"}}}), a
	}
	g, a := openAll()
	user(t, g, "alice", "secret of alice", "")
	allow(t, g, "alice", "Topic:ord*", "Pub", "Deny")
	_ = g.CreateUser(By{User: "alice", From: "10.1.2.3:4"}, &protocol.UserInfo{Username: "eve", Password: "p", UserType: "Super"})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{FileName, AuditName} {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f, info.Mode(), err)
		}
	}
	g, a = openAll() // the super user is there
	defer a.Close()
	if u := g.Users(""); len(u) != 2 || u[0].Password != "" || u[1] != (protocol.UserInfo{Username: "root", UserType: "Super", UserStatus: "enable"}) {
		t.Errorf("%+v", u)
	}
	var sc Scratch
	g.o.Authenticate = true
	if _, err := g.Authenticate(request("alice", "secret of alice"), &sc); err != nil {
		t.Error(err)
	}
	if l := g.ACLs("", ""); len(l) != 1 || l[0].Policies[0].Entries[0].Resource != "Topic:ord*" {
		t.Errorf("%+v", l)
	}
	data, err := os.ReadFile(name)
	if err != nil || strings.Contains(string(data), "secret of alice") || strings.Contains(string(data), "first secret") {
		t.Errorf("%v, %s", err, data)
	}
	var last Line
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 4 {
		t.Fatal(err, len(lines))
	}
	if last.Who != "alice" || last.From != "10.1.2.3:4" || last.What != "create user" || last.Target != "eve" || last.Error == "" {
		t.Errorf("%+v", last)
	}
}

func TestChangeThatCannotBeWrittenIsNotInForce(t *testing.T) {
	t.Parallel()
	broken := false
	fsys := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), func(op vfs.Op) error {
		if broken && op.Kind == vfs.OpCreate {
			return errors.New("disk full")
		}
		return nil
	})
	g := open(t, Options{FS: fsys})
	broken = true
	if err := g.CreateUser(By{}, &protocol.UserInfo{Username: "alice", Password: "p"}); err == nil {
		t.Fatal("no error")
	}
	if _, ok := g.User("alice"); ok {
		t.Error("the user is there")
	}
}

func FuzzParseResource(f *testing.F) {
	for _, s := range []string{"*", "Topic:a", "Topic:a*", "Group:*", "x", "Cluster:", "Any:*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseResource(s)
		if !ok || r.Kind == KindAny {
			return
		}
		again, ok := ParseResource(r.String())
		if !ok || again != r {
			t.Errorf("%q is %+v, and %q is %+v", s, r, r.String(), again)
		}
	})
}
