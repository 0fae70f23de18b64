package auth

import "net/netip"

// Decide tells which of a user's policies decides about an action, as Authorize does: the custom ones first, then the default ones. Nil:
// none, which is a refusal.
func Decide(policies []Policy, what Resource, action Action, from netip.Addr) *Entry {
	for _, t := range []PolicyType{Custom, Default} {
		for i := range policies {
			if policies[i].Type != t {
				continue
			}
			if r := compile(policies[i].Entries).match(&what, ActionsOf(action), from); r != nil {
				return r.entry
			}
		}
	}
	return nil
}
