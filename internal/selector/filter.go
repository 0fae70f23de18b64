package selector

import "github.com/cometmq/cometmq/internal/record"

// Filter is a compiled expression: *Tags or *SQL. Both tests are made once, so that a pull hands them on without an
// allocation; a message must pass both.
type Filter interface {
	// Match returns the test on the tags hash in the queue entry, nil when it lets everything through.
	Match() func(tagsCode int64) bool
	// Props returns the test on the properties of the message, nil when it lets everything through.
	Props() func(record.Props) bool
}

var (
	_ Filter = (*Tags)(nil)
	_ Filter = (*SQL)(nil)
)

// Props implements Filter: the tags decide alone.
func (t *Tags) Props() func(record.Props) bool { return nil }
