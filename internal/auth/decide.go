package auth

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// rule is an entry made ready for decisions.
type rule struct {
	entry   *Entry
	actions Actions
	from    []span
	plain   bool // no condition on the source
}

// span is a range of addresses, both ends in it, as 128-bit numbers.
type span struct{ lo, hi [16]byte }

// rules are the entries of one policy type in the order of their precedence: of those that match a request, the first decides.
type rules []rule

// compile sorts entries as Java sorts those that match a request: any kind last, literal before prefix before any name, the longer
// prefix first, and of two that are alike a denying one before an allowing one (5.5.0; earlier versions did the opposite). Java
// compares only entries that match the same request, so that kinds other than Any never meet; here they are sorted by kind, which
// changes no decision.
func compile(entries []Entry) rules {
	rs := make(rules, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		r := rule{entry: e, actions: ActionsOf(e.Actions...), plain: len(e.SourceIPs) == 0}
		for _, s := range e.SourceIPs {
			if sp, ok := parseSpan(s); ok {
				r.from = append(r.from, sp)
			}
		}
		rs = append(rs, r)
	}
	slices.SortStableFunc(rs, func(a, b rule) int {
		x, y := &a.entry.Resource, &b.entry.Resource
		c := cmp.Or(cmp.Compare(rank(x.Kind), rank(y.Kind)), cmp.Compare(x.Pattern, y.Pattern))
		if c == 0 && x.Pattern == Prefixed {
			c = cmp.Compare(utf16Len(y.Name), utf16Len(x.Name))
		}
		if c == 0 && a.entry.Deny != b.entry.Deny {
			c = 1
			if a.entry.Deny {
				c = -1
			}
		}
		return c
	})
	return rs
}

func rank(k Kind) int {
	if k == KindAny {
		return int(KindGroup) + 1
	}
	return int(k)
}

// utf16Len is the length of s in Java.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// match returns the rule that decides, nil when there is none.
func (rs rules) match(what *Resource, actions Actions, from netip.Addr) *rule {
	for i := range rs {
		r := &rs[i]
		if r.entry.Resource.covers(what) && r.allows(actions) && (r.plain || r.comesFrom(from)) {
			return r
		}
	}
	return nil
}

// allows reports whether the rule is about any of the actions, although Java's name for it is a match.
func (r *rule) allows(actions Actions) bool {
	if r.actions == 0 {
		return false
	}
	return actions.Has(Any) || actions != 0 && r.actions.Has(All) || r.actions&actions != 0
}

func (r *rule) comesFrom(from netip.Addr) bool {
	if !from.IsValid() {
		return false
	}
	n := number(from)
	for i := range r.from {
		if bytes.Compare(n[:], r.from[i].lo[:]) >= 0 && bytes.Compare(n[:], r.from[i].hi[:]) <= 0 {
			return true
		}
	}
	return false
}

// number is an address as Java compares it: IPv4 in the lowest four bytes.
func number(a netip.Addr) (n [16]byte) {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		copy(n[12:], b[:])
		return n
	}
	return a.As16()
}

// parseSpan reads an address or a CIDR block. ok is false for anything else.
//
// Differs from Java: addresses are compared as addresses, not as texts, so that IPv6 ones match however they are written.
func parseSpan(s string) (sp span, ok bool) {
	addr, bits, cidr := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Zone() != "" {
		return sp, false
	}
	a = a.Unmap()
	sp.lo = number(a)
	sp.hi = sp.lo
	if !cidr {
		return sp, true
	}
	p, err := strconv.Atoi(bits)
	if err != nil || p < 0 || p > a.BitLen() {
		return sp, false
	}
	for bit := p; bit < a.BitLen(); bit++ {
		i := (128 - a.BitLen() + bit) / 8
		m := byte(0x80) >> (bit % 8)
		sp.lo[i] &^= m
		sp.hi[i] |= m
	}
	return sp, true
}
