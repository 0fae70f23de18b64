package auth

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the form of Java's MQTT gateway
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
)

// Login is who connects with a password, by a protocol that signs nothing.
type Login struct {
	User     string
	Password []byte
	// Client is the client's id, from which devices of Java's MQTT gateway compute their password.
	Client string
	From   netip.Addr
}

// Password lets in whoever knows a user's secret: the password is the secret, or base64(HMAC-SHA1(secret, client id)) as the sample of
// apache/rocketmq-mqtt has it. It refuses nobody when authentication is switched off. Failures count as those of signatures. The error
// is a *Refused.
func (g *Guard) Password(l *Login) error {
	if !g.o.Authenticate {
		return nil
	}
	if l.User == "" {
		return g.refuse(noUser, textNoUser)
	}
	a := g.now.Load().accounts[l.User]
	who := limitKey{from: l.From}
	if a != nil {
		who.user = a.Name
	}
	if g.limit.refuses(who) {
		return g.refuse(tooManyFailures, "too many failed authentications from "+addr(l.From)+", try again later.")
	}
	switch {
	case a == nil:
		g.limit.failed(who)
		return g.refuse(unknownUser, "User:"+text([]byte(l.User))+" is not found.")
	case a.Disabled:
		return g.refuse(disabledUser, "User:"+a.Name+" is disabled.")
	case !a.knows(l):
		g.limit.failed(who)
		return g.refuse(badSignature, "check password failed.")
	}
	return nil
}

// knows compares in a time that tells nothing, not even the length of the secret.
func (a *Account) knows(l *Login) bool {
	if a.Secret == "" {
		return false
	}
	got, want := sha256.Sum256(l.Password), sha256.Sum256([]byte(a.Secret))
	mac := hmac.New(sha1.New, []byte(a.Secret))
	_, _ = mac.Write([]byte(l.Client))
	derived := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	plain := subtle.ConstantTimeCompare(got[:], want[:])
	return plain|subtle.ConstantTimeCompare(l.Password, []byte(derived)) == 1
}

// May decides whether a user who has logged in may do any of the actions with a resource now. The error is a *Refused.
func (g *Guard) May(user string, what *Resource, actions Actions, from netip.Addr) error {
	if !g.o.Authorize {
		return nil
	}
	return g.Authorize(g.now.Load().accounts[user], []byte(user), user != "", what, actions, from)
}
