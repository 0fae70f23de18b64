package mq

import "context"

// ConfigAdmin reads and changes the configuration of a running broker.
type ConfigAdmin interface {
	// Properties returns all values by key, as the next start would find them, and how often they were changed. Passwords are hidden.
	Properties(ctx context.Context) (map[string]string, DataVersion, error)
	// SetProperties changes values, all or none. from says who asked, for the log. remark, if not empty, says what the operator
	// should know: which values wait for a restart, which keys mean nothing here.
	SetProperties(ctx context.Context, values map[string]string, from string) (remark string, err error)
}
