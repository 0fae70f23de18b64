package auth

import (
	"testing"
)

// BenchmarkCheck is what a signed and allowed send of 1 KiB costs: signature and policies.
func BenchmarkCheck(b *testing.B) {
	g := benchGuard(b)
	r, what := request("alice", "secret"), Topic("orders")
	r.Body = make([]byte, 1024)
	c := Credentials{AccessKey: "alice", SecretKey: "secret"}
	r.Fields = r.Fields[:2]
	r.Fields = append(r.Fields, c.Sign(r.Fields, r.Body)...)
	var sc Scratch
	b.ReportAllocs()
	b.SetBytes(1024)
	for b.Loop() {
		a, err := g.Authenticate(r, &sc)
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Authorize(a, []byte("alice"), true, &what, ActionsOf(Pub), here); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuthorize is the policies alone.
func BenchmarkAuthorize(b *testing.B) {
	g := benchGuard(b)
	a, what := g.now.Load().accounts["alice"], Topic("orders")
	for b.Loop() {
		if err := g.Authorize(a, []byte("alice"), true, &what, ActionsOf(Pub), here); err != nil {
			b.Fatal(err)
		}
	}
}

func benchGuard(b *testing.B) *Guard {
	b.Helper()
	g := open(b, Options{Authenticate: true, Authorize: true})
	user(b, g, "alice", "secret", "")
	for _, r := range []string{"Topic:a", "Topic:b*", "Group:g*", "Topic:ord*"} {
		allow(b, g, "alice", r, "Pub", "Allow")
	}
	return g
}
