package topic

import (
	"errors"
	"strings"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
)

const (
	one  = "+" // matches one level
	rest = "#" // matches all levels that follow, and none

	sharePrefix = "$share/"
)

// ErrName and ErrFilter are the errors of what cannot be a name or a filter.
var (
	ErrName   = errors.New("it is not a topic name")
	ErrFilter = errors.New("it is not a topic filter")
)

// ValidName reports whether a message can be published to name, which has at most maxLevels levels.
func ValidName(name string, maxLevels int) bool {
	return validText(name, maxLevels) && !strings.ContainsAny(name, one+rest)
}

func validText(s string, maxLevels int) bool {
	return s != "" && len(s) <= 65535 && strings.Count(s, "/") < maxLevels && packet.ValidText(s)
}

// Filter is a topic filter, taken apart.
type Filter struct {
	Share string // the name of a shared subscription, "" when it is none
	Text  string // what names are compared with
}

// ParseFilter checks a filter as a client wrote it.
func ParseFilter(s string, maxLevels int) (Filter, error) {
	f := Filter{Text: s}
	if after, ok := strings.CutPrefix(s, sharePrefix); ok {
		var more bool
		if f.Share, f.Text, more = strings.Cut(after, "/"); !more || f.Share == "" || strings.ContainsAny(f.Share, one+rest) {
			return Filter{}, ErrFilter
		}
	}
	if !validText(f.Text, maxLevels) {
		return Filter{}, ErrFilter
	}
	for left, more := f.Text, true; more; {
		var level string
		level, left, more = strings.Cut(left, "/")
		if strings.ContainsAny(level, one+rest) && (len(level) > 1 || level == rest && more) {
			return Filter{}, ErrFilter
		}
	}
	return f, nil
}

// Wildcard reports whether it matches more than one name.
func (f Filter) Wildcard() bool { return strings.ContainsAny(f.Text, one+rest) }

// String returns what ParseFilter has read.
func (f Filter) String() string {
	if f.Share == "" {
		return f.Text
	}
	return sharePrefix + f.Share + "/" + f.Text
}

// Matches reports whether filter, without a share, matches name (MQTT 5.0, 4.7).
func Matches(filter, name string) bool {
	if strings.HasPrefix(name, "$") && (strings.HasPrefix(filter, one) || strings.HasPrefix(filter, rest)) {
		return false
	}
	for {
		fl, frest, fmore := strings.Cut(filter, "/")
		if fl == rest {
			return true
		}
		nl, nrest, nmore := strings.Cut(name, "/")
		if fl != one && fl != nl {
			return false
		}
		switch {
		case !nmore && !fmore:
			return true
		case !nmore: // "a/#" matches "a"
			return frest == rest
		case !fmore:
			return false
		}
		filter, name = frest, nrest
	}
}
