package meta

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// attribute is one key of Java's TopicAttributes or SubscriptionGroupAttributes (5.5.0).
type attribute struct {
	fixed    bool     // cannot be changed or added after creation
	enum     []string // allowed values in Java's order of printing
	min, max int64    // range of an integer, when min < max
	boolean  bool
}

// Topic attributes of remoting spec 5.5, and what 5.5.0 added.
var topicAttributes = map[string]attribute{
	"cleanup.policy":        {fixed: true, enum: []string{"DELETE", "COMPACTION"}},
	"queue.type":            {fixed: true, enum: []string{"SimpleCQ", "BatchCQ"}},
	"message.type":          {enum: []string{"UNSPECIFIED", "MIXED", "TRANSACTION", "PRIORITY", "FIFO", "DELAY", "LITE", "NORMAL"}},
	"reserve.time":          {min: -1, max: math.MaxInt64},
	"lite.topic.expiration": {min: -1, max: 43200},
}

var groupAttributes = map[string]attribute{
	"priority.factor":                   {min: 0, max: 100},
	"lite.bind.topic":                   {},
	"lite.sub.wildcard":                 {},
	"lite.sub.model":                    {enum: []string{"Shared", "Exclusive"}},
	"lite.sub.client.quota":             {min: -1, max: math.MaxInt64},
	"lite.sub.client.max.event.cnt":     {min: 10, max: math.MaxInt64},
	"lite.sub.reset.offset.exclusive":   {boolean: true},
	"lite.sub.reset.offset.unsubscribe": {boolean: true},
}

func knownTopicAttribute(key string) (attribute, bool) {
	a, ok := topicAttributes[key]
	return a, ok
}

// knownGroupAttribute accepts every key.
//
// Differs from Java: an unknown key is refused there, but the table grows with each version and clients of a newer one
// should be able to set theirs.
func knownGroupAttribute(key string) (attribute, bool) { return groupAttributes[key], true }

func (a attribute) verify(value string) error {
	switch {
	case a.enum != nil:
		if !slices.Contains(a.enum, value) {
			return fmt.Errorf("value is not in set: [%s]", strings.Join(a.enum, ", "))
		}
	case a.min < a.max:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("For input string: %q", value) //nolint:staticcheck // Java's text
		}
		if n < a.min || n > a.max {
			return fmt.Errorf("value is not in range(%d, %d)", a.min, a.max)
		}
	case a.boolean:
		if value != "true" && value != "false" {
			return errors.New("boolean attribute format is wrong.") //nolint:staticcheck // Java's text
		}
	}
	return nil
}

// alterAttributes applies a request's attributes, whose keys begin with + or -, to those that are stored. Texts of errors are
// Java's (AttributeUtil); the order in which several wrong keys are found is not.
func alterAttributes(create bool, known func(string) (attribute, bool), have, request map[string]string) (map[string]string, error) {
	if len(request) == 0 {
		return have, nil
	}
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	seen := map[string]bool{}
	for _, signed := range slices.Sorted(maps.Keys(request)) {
		if len(signed) < 2 {
			return nil, errors.New("kv string format wrong.") //nolint:staticcheck // Java's text
		}
		sign, key := signed[0], signed[1:]
		if seen[key] {
			return nil, errors.New("key duplication. key: " + key)
		}
		seen[key] = true
		_, exists := have[key]
		switch {
		case create && sign != '+':
			return nil, errors.New("only add attribute is supported while creating topic. key: " + key)
		case sign != '+' && sign != '-':
			return nil, errors.New("wrong format key: " + key)
		case sign == '-' && !exists:
			return nil, errors.New("attempt to delete a nonexistent key: " + key)
		}
		a, ok := known(key)
		if !ok {
			return nil, errors.New("unsupported key: " + key)
		}
		if !create && a.fixed {
			return nil, errors.New("attempt to update an unchangeable attribute. key: " + key)
		}
		if sign == '-' {
			delete(out, key)
			continue
		}
		if err := a.verify(request[signed]); err != nil {
			return nil, err
		}
		out[key] = request[signed]
	}
	return out, nil
}
