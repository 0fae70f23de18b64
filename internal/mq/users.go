package mq

import "context"

// User is a user of a broker. A broker never returns passwords; "" leaves the one that is there.
type User struct {
	Name, Password string
	Type           string // Super or Normal
	Status         string // enable or disable
}

// ACL is what a user may do.
type ACL struct {
	Subject  string // User:name
	Policies []Policy
}

// Policy is the rules of one type, Custom or Default.
type Policy struct {
	Type    string
	Entries []PolicyEntry
}

// PolicyEntry is one rule.
type PolicyEntry struct {
	Resource         string // *, Topic:name, Topic:prefix*, Topic:*
	Actions, Sources []string
	Decision         string // Allow or Deny
}

// RemoteUsers manages the users of one broker.
type RemoteUsers interface {
	// PutUser creates a user, or changes one that is there.
	PutUser(ctx context.Context, u User, create bool) error
	DeleteUser(ctx context.Context, name string) error
	// Users lists those whose names contain filter.
	Users(ctx context.Context, filter string) ([]User, error)
	// User returns nil for a name that is not there.
	User(ctx context.Context, name string) (*User, error)
	PutACL(ctx context.Context, a ACL, create bool) error
	// DeleteACL deletes the rule of a resource, or all of the subject when resource is "".
	DeleteACL(ctx context.Context, subject, resource string) error
	ACLs(ctx context.Context, subject, resource string) ([]ACL, error)
	// ACL returns nil for a subject that has none.
	ACL(ctx context.Context, subject string) (*ACL, error)
}
