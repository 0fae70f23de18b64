package auth

import (
	"strings"
)

// Action is one kind of access; a set of them is an Actions.
type Action uint8

// The actions, with Java's codes.
const (
	All Action = iota + 1
	Any
	Pub
	Sub
	Create
	Update
	Delete
	Get
	List
)

var actionNames = [...]string{All: "All", Any: "Any", Pub: "Pub", Sub: "Sub", Create: "Create", Update: "Update", Delete: "Delete", Get: "Get", List: "List"}

func (a Action) String() string {
	if int(a) < len(actionNames) && a > 0 {
		return actionNames[a]
	}
	return "?"
}

// ParseAction reads the name of an action in any case.
func ParseAction(s string) (Action, bool) {
	for a := All; a <= List; a++ {
		if strings.EqualFold(actionNames[a], s) {
			return a, true
		}
	}
	return 0, false
}

// Actions is a set of actions.
type Actions uint16

// ActionsOf makes a set.
func ActionsOf(list ...Action) Actions {
	var s Actions
	for _, a := range list {
		s |= 1 << a
	}
	return s
}

// Has reports whether a is in the set.
func (s Actions) Has(a Action) bool { return s&(1<<a) != 0 }

func (s Actions) String() string {
	var b strings.Builder
	for a := All; a <= List; a++ {
		if s.Has(a) {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			b.WriteString(a.String())
		}
	}
	return b.String()
}

// Kind is what a resource is.
type Kind uint8

// The kinds, with Java's codes. KindUnknown is that of requests whose header names none.
const (
	KindUnknown Kind = iota
	KindAny
	KindCluster
	KindNamespace
	KindTopic
	KindGroup
)

var kindNames = [...]string{KindUnknown: "Unknown", KindAny: "Any", KindCluster: "Cluster", KindNamespace: "Namespace", KindTopic: "Topic", KindGroup: "Group"}

func (k Kind) String() string { return kindNames[k] }

// Pattern is how the name of a resource is meant.
type Pattern uint8

// The patterns, in the order of their precedence.
const (
	Literal Pattern = iota
	Prefixed
	AnyName
)

// Resource is what is accessed, or in an entry what it is about.
type Resource struct {
	Kind    Kind
	Pattern Pattern
	Name    string // "" with AnyName
	NoName  bool   // of a request: the field is missing, so no name equals it
}

// Topic is a topic that a request accesses.
func Topic(name string) Resource { return Resource{Kind: KindTopic, Name: name} }

// Cluster is the resource of requests about the whole cluster.
func Cluster(name string) Resource { return Resource{Kind: KindCluster, Name: name} }

// Group is a group by its name or by that of its retry topic.
func Group(name string) Resource {
	return Resource{Kind: KindGroup, Name: strings.TrimPrefix(name, RetryPrefix)}
}

// RetryPrefix begins the names of retry topics.
const RetryPrefix = "%RETRY%"

// ParseResource reads the text of a resource: *, Topic:name, Topic:prefix*, Topic:*. ok is false for what Java takes for none.
func ParseResource(s string) (r Resource, ok bool) {
	if strings.TrimSpace(s) == "" {
		return r, false
	}
	if s == "*" {
		return Resource{Kind: KindAny, Pattern: AnyName}, true
	}
	kind, name, _ := strings.Cut(s, ":")
	for k := KindAny; k <= KindGroup; k++ {
		if strings.EqualFold(kindNames[k], kind) {
			r.Kind = k
		}
	}
	if strings.EqualFold(kind, kindNames[KindUnknown]) || r.Kind == KindUnknown {
		return r, false
	}
	switch {
	case name == "*":
		r.Pattern = AnyName
	case strings.HasSuffix(name, "*"):
		r.Pattern = Prefixed
		r.Name, _, _ = strings.Cut(name, "*")
	default:
		r.Name = name
	}
	return r, true
}

// String is Java's resource key.
func (r Resource) String() string {
	switch {
	case r.Kind == KindAny:
		return "*"
	case r.Pattern == AnyName:
		return r.Kind.String() + ":*"
	case r.Pattern == Prefixed:
		return r.Kind.String() + ":" + r.Name + "*"
	case r.NoName:
		return r.Kind.String() + ":null"
	}
	return r.Kind.String() + ":" + r.Name
}

// covers reports whether an entry about r is about what a request accesses.
func (r *Resource) covers(what *Resource) bool {
	switch {
	case r.Kind == KindAny:
		return true
	case r.Kind != what.Kind:
		return false
	}
	switch r.Pattern {
	case AnyName:
		return true
	case Prefixed:
		return !what.NoName && strings.HasPrefix(what.Name, r.Name)
	default:
		return !what.NoName && what.Name == r.Name
	}
}

// Entry is one rule.
type Entry struct {
	Resource  Resource
	Actions   []Action
	SourceIPs []string // addresses and CIDR blocks; none: from anywhere
	Deny      bool
}

// decision is Java's name of it.
func decision(deny bool) string {
	if deny {
		return "Deny"
	}
	return "Allow"
}

// String is the rule as refusals name it.
func (e *Entry) String() string {
	var b strings.Builder
	b.WriteString(decision(e.Deny) + " ")
	for i, a := range e.Actions {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(a.String())
	}
	b.WriteString(" on " + e.Resource.String())
	if len(e.SourceIPs) > 0 {
		b.WriteString(" from " + strings.Join(e.SourceIPs, ","))
	}
	return b.String()
}

// PolicyType says which entries come first: those of Default count only where no Custom one matches.
type PolicyType uint8

// The policy types.
const (
	Custom PolicyType = iota
	Default
)

func (t PolicyType) String() string {
	if t == Default {
		return "Default"
	}
	return "Custom"
}

// ParsePolicyType reads the name of a policy type in any case; Java takes what it does not know for none, and none for Custom.
func ParsePolicyType(s string) PolicyType {
	if strings.EqualFold(s, "Default") {
		return Default
	}
	return Custom
}

// Policy is the entries of one type.
type Policy struct {
	Type    PolicyType
	Entries []Entry
}

// ACL is the policies of a user.
type ACL struct {
	User     string
	Policies []Policy
}

// subject is Java's subject key.
func subject(user string) string { return "User:" + user }

// User is who may send requests.
type User struct {
	Name, Secret    string
	Super, Disabled bool
}
