package auth

import (
	"testing"
	"time"
)

func TestProve(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	g := open(t, Options{Authenticate: true, FailBurst: 3, FailEvery: time.Second, Now: func() time.Time { return now }})
	user(t, g, "ann", "secret1", "Normal")
	is := func(password string) func(string) bool { return func(secret string) bool { return secret == password } }
	if err := g.Prove("ann", here, is("secret1")); err != nil {
		t.Errorf("the right password: %v", err)
	}
	// A user who does not exist has no password, and not the empty one either.
	asked := false
	if err := g.Prove("bob", here, func(s string) bool { asked = true; return s == "" }); err == nil || !asked {
		t.Errorf("an unknown user: %v, asked %v", err, asked)
	}
	for range 3 {
		if err := g.Prove("ann", here, is("wrong")); err == nil {
			t.Error("the wrong password is taken")
		}
	}
	if err := g.Prove("ann", here, is("secret1")); err == nil {
		t.Error("after many failures nothing is asked for a while")
	}
	if err := g.Prove("ann", here.Next(), is("secret1")); err != nil {
		t.Errorf("failures of another address: %v", err)
	}
	now = now.Add(3 * time.Second)
	if err := g.Prove("ann", here, is("secret1")); err != nil {
		t.Errorf("later: %v", err)
	}
}
