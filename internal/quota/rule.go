package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a quota is for.
type Kind uint8

// The kinds.
const (
	Topic Kind = iota
	User
	Client
	kinds
)

var kindNames = [kinds]string{"topic", "user", "client"}

// String returns the kind's word in rules.
func (k Kind) String() string { return kindNames[k] }

// Units of rates.
const (
	UnitBytes    = "bytes"
	UnitMessages = "messages"
)

// Rule says how much everybody of a kind whose name fits may send. Each of them may send that much.
type Rule struct {
	Kind Kind
	// Name is a name, or the begin of names with a * behind it.
	Name string
	// Bytes and Messages are rates a second, 0: as a less special rule says, else no limit.
	Bytes, Messages int64
}

// prefix is the begin of the names that the rule is for, when it is for several.
func (r *Rule) prefix() (string, bool) { return strings.CutSuffix(r.Name, "*") }

// MaxRate is the largest rate.
const MaxRate = 1 << 40

// maxName is the longest name of a rule.
const maxName = 255

// Parse reads rules such as topic:Orders:bytes=1048576, user:bob:messages=100 and client:*:messages=1000. Rates are whole numbers. Rules
// for the same name become one.
func Parse(list []string) ([]Rule, error) {
	var rules []Rule
	for _, text := range list {
		r, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("quota %q: %w", text, err)
		}
		i := slices.IndexFunc(rules, func(o Rule) bool { return o.Kind == r.Kind && o.Name == r.Name })
		if i < 0 {
			rules = append(rules, r)
			continue
		}
		old := &rules[i]
		if old.Bytes != 0 && r.Bytes != 0 || old.Messages != 0 && r.Messages != 0 {
			return nil, fmt.Errorf("quota %q: there are two of it", text)
		}
		old.Bytes, old.Messages = cmp.Or(old.Bytes, r.Bytes), cmp.Or(old.Messages, r.Messages)
	}
	return rules, nil
}

func parse(text string) (r Rule, err error) {
	kind, rest, ok := strings.Cut(strings.TrimSpace(text), ":")
	last := strings.LastIndexByte(rest, ':')
	if !ok || last < 0 {
		return r, fmt.Errorf("want kind:name:unit=number, such as topic:Orders:%s=1048576", UnitBytes)
	}
	k := slices.Index(kindNames[:], kind)
	if k < 0 {
		return r, fmt.Errorf("%q is none of %s", kind, strings.Join(kindNames[:], ", "))
	}
	r.Kind, r.Name = Kind(k), strings.TrimSpace(rest[:last])
	if r.Name == "" || len(r.Name) > maxName {
		return r, fmt.Errorf("the name must have 1 to %d letters; * means everybody", maxName)
	}
	unit, number, _ := strings.Cut(rest[last+1:], "=")
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 1 || n > MaxRate {
		return r, fmt.Errorf("%q is no whole number from 1 to %d", number, int64(MaxRate))
	}
	switch strings.TrimSpace(unit) {
	case UnitBytes:
		r.Bytes = n
	case UnitMessages:
		r.Messages = n
	default:
		return r, fmt.Errorf("%q is neither %s nor %s", unit, UnitBytes, UnitMessages)
	}
	return r, nil
}

// ruleSet are the rules of one kind, to be looked up.
type ruleSet struct {
	exact    map[string]*Rule
	prefixes []*Rule // the longest first
}

func (s *ruleSet) empty() bool { return len(s.exact) == 0 && len(s.prefixes) == 0 }

func setsOf(rules []Rule) *[kinds]ruleSet {
	var sets [kinds]ruleSet
	for i := range rules {
		r := &rules[i]
		s := &sets[r.Kind]
		if _, many := r.prefix(); many {
			s.prefixes = append(s.prefixes, r)
			continue
		}
		if s.exact == nil {
			s.exact = map[string]*Rule{}
		}
		s.exact[r.Name] = r
	}
	for i := range sets {
		slices.SortStableFunc(sets[i].prefixes, func(a, b *Rule) int { return cmp.Compare(len(b.Name), len(a.Name)) })
	}
	return &sets
}

// rates are what a name may send. Of several rules that fit the most special one counts, for bytes and messages on their own. own: only
// rules that name it.
func (s *ruleSet) rates(name string, own bool) (bytes, messages int64) {
	if r := s.exact[name]; r != nil {
		bytes, messages = r.Bytes, r.Messages
	}
	if own {
		return bytes, messages
	}
	for _, r := range s.prefixes {
		if bytes != 0 && messages != 0 {
			break
		}
		if p, _ := r.prefix(); strings.HasPrefix(name, p) {
			bytes, messages = cmp.Or(bytes, r.Bytes), cmp.Or(messages, r.Messages)
		}
	}
	return bytes, messages
}
