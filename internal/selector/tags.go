package selector

import (
	"errors"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
)

// Expression types as on the wire.
const (
	TypeTag   = "TAG"
	TypeSQL92 = "SQL92"
)

// All is the expression that matches each message.
const All = "*"

// ErrSyntax says that an expression names nothing at all ("||").
var ErrSyntax = errors.New("subString split error")

// IsTag reports whether an expression type means tags; no type means tags.
func IsTag(expressionType string) bool { return expressionType == "" || expressionType == TypeTag }

// Tags is a compiled TAG expression. It never changes after it was made.
type Tags struct {
	words []string
	codes []int32 // sorted, without doubles
	match func(tagsCode int64) bool
}

// ParseTags compiles a TAG expression; "" is the same as "*". The words are copied out of expr.
func ParseTags(expr string) (*Tags, error) {
	if expr == "" || expr == All {
		return &Tags{}, nil
	}
	if strings.Trim(expr, "|") == "" && len(expr)%2 == 0 {
		return nil, ErrSyntax // Java's split leaves no piece at all
	}
	var words []string
	for piece := range strings.SplitSeq(expr, "||") {
		// Java trims every character up to the space.
		if w := strings.TrimFunc(piece, func(r rune) bool { return r <= ' ' }); w != "" {
			words = append(words, strings.Clone(w))
		}
	}
	codes := make([]int32, len(words))
	for i, w := range words {
		codes[i] = record.HashCode(w)
	}
	return newTags(words, codes), nil
}

// FromCodes is the expression whose hashes a client has computed itself, as a heartbeat carries it.
func FromCodes(codes []int32) *Tags { return newTags(nil, slices.Clone(codes)) }

func newTags(words []string, codes []int32) *Tags {
	slices.Sort(codes)
	t := &Tags{words: words, codes: slices.Compact(codes)}
	t.match = t.Matches
	if len(t.codes) == 1 {
		one := uint32(t.codes[0])
		t.match = func(code int64) bool { return uint32(code&0xffffffff) == one }
	}
	return t
}

// Words returns the wanted tags in the order written, nil when all messages match or only hashes are known.
func (t *Tags) Words() []string { return t.words }

// All reports whether every message matches.
func (t *Tags) All() bool { return t.match == nil }

// Match returns the test for a message's tags hash, nil when every message matches. It is made once, so that a pull
// can hand it on without an allocation.
func (t *Tags) Match() func(tagsCode int64) bool { return t.match }

// Matches reports whether a message with this tags hash may be wanted. As in Java only the low 32 bits count.
func (t *Tags) Matches(tagsCode int64) bool {
	if t.match == nil {
		return true
	}
	code := int32(tagsCode)
	if len(t.codes) <= 8 {
		return slices.Contains(t.codes, code)
	}
	_, found := slices.BinarySearch(t.codes, code)
	return found
}
