package jobs

import "github.com/cometmq/cometmq/internal/record"

// CopyProps are the properties of a copy of a message: the user's, and the offset id of what it was made from.
func CopyProps(p record.Props, offsetID string) []byte {
	return record.AppendProp(p.AppendWithout(nil, dropped...), PropResent, offsetID)
}
