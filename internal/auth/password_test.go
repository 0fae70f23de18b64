package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"testing"

	"github.com/cometmq/cometmq/internal/protocol"
)

func TestPasswordIsTheSecretOrTheGatewaysHMAC(t *testing.T) {
	t.Parallel()
	g := open(t, Options{Authenticate: true, FailBurst: 6})
	user(t, g, "device", "secret7", "")
	mac := hmac.New(sha1.New, []byte("secret7"))
	mac.Write([]byte("client-1"))
	derived := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	login := func(user, password, client string) error {
		return g.Password(&Login{User: user, Password: []byte(password), Client: client, From: here})
	}
	for _, password := range []string{"secret7", derived} {
		if err := login("device", password, "client-1"); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
	refusedAs(t, login("", "secret7", "client-1"), "username cannot be null.")
	refusedAs(t, login("device", derived, "client-2"), "check password failed.")
	refusedAs(t, login("device", "", "client-1"), "check password failed.")
	refusedAs(t, login("nobody", "secret7", "client-1"), "User:nobody is not found.")
	for range 4 {
		refusedAs(t, login("device", "guess", "client-1"), "check password failed.")
	}
	// Now it is the limit, with the right password, too, until it forgets.
	if err := login("device", "secret7", "client-1"); err == nil {
		t.Error("nothing limits guesses")
	}
}

func TestPasswordOfADisabledUser(t *testing.T) {
	t.Parallel()
	g := open(t, Options{Authenticate: true})
	user(t, g, "device", "secret7", "")
	if err := g.UpdateUser(By{}, &protocol.UserInfo{Username: "device", UserStatus: "disable"}); err != nil {
		t.Fatal(err)
	}
	refusedAs(t, g.Password(&Login{User: "device", Password: []byte("secret7"), From: here}), "User:device is disabled.")
	// Without authentication there is nothing to ask.
	if err := open(t, Options{}).Password(&Login{}); err != nil {
		t.Error(err)
	}
}

func TestMayAsksThePoliciesOfTheMoment(t *testing.T) {
	t.Parallel()
	g := open(t, Options{Authenticate: true, Authorize: true})
	user(t, g, "device", "secret7", "")
	topic := Topic("sensors")
	may := func(a Action) bool { return g.May("device", &topic, ActionsOf(a), here) == nil }
	if may(Pub) {
		t.Error("it may without a policy")
	}
	err := g.PutACL(By{}, "User:device", &protocol.ACLInfo{Subject: "User:device", Policies: []protocol.PolicyInfo{{
		PolicyType: "Custom", Entries: []protocol.PolicyEntryInfo{{Resource: "Topic:sensors", Actions: []string{"Pub"}, Decision: "Allow"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if !may(Pub) || may(Sub) {
		t.Errorf("publish %v, subscribe %v", may(Pub), may(Sub))
	}
	if g.May("", &topic, ActionsOf(Pub), here) == nil {
		t.Error("nobody may")
	}
}
