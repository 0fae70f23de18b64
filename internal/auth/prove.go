package auth

import "net/netip"

// Prove asks proof, with the secret of a user, whether who connects from an address knows it: for protocols whose clients log in with a
// password instead of signing requests. For a user who does not exist, or may not log in, proof is called with "" and its answer does not
// count. Failures are limited as those of signatures are. The error is a *Refused.
func (g *Guard) Prove(user string, from netip.Addr, proof func(secret string) bool) error {
	a := g.now.Load().accounts[user]
	who := limitKey{from: from}
	if a != nil {
		who.user = a.Name
	}
	if g.limit.refuses(who) {
		return g.refuse(tooManyFailures, "too many failed authentications from "+addr(from)+", try again later.")
	}
	switch {
	case a == nil:
		proof("")
		g.limit.failed(who)
		return g.refuse(unknownUser, "User:"+clip(user)+" is not found.")
	case a.Disabled:
		proof("")
		return g.refuse(disabledUser, "User:"+a.Name+" is disabled.")
	case !proof(a.Secret):
		g.limit.failed(who)
		return g.refuse(badSignature, "the password is wrong.")
	}
	return nil
}
