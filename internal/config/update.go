package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Effect is when a change of a value counts.
type Effect uint8

// The effects.
const (
	EffectNow     Effect = iota // at once
	EffectRestart               // when the broker starts again
	EffectNone                  // never: a key of Java that means nothing here
	EffectUnknown               // never: nobody knows the key; it is not stored
)

// String returns a word for logs.
func (e Effect) String() string { return [...]string{"now", "restart", "none", "unknown"}[e] }

// Change is one value of an update.
type Change struct {
	Key, Old, New string
	Effect        Effect
	Note          string // what the operator should know, "" mostly
}

// Update is a change of a running broker's configuration that was found to be good.
type Update struct {
	Running *Broker  // with what counts at once
	Stored  *Broker  // with all of it: what the next start will find
	Changes []Change // sorted by key; those that change nothing are left out
}

// LockedError is a change of a key that no request may change.
type LockedError struct{ Key string }

// Error names the key.
func (e *LockedError) Error() string { return "Can not update config in black list: " + e.Key }

// alwaysLocked are the keys that Java's broker never lets a request change.
var alwaysLocked = []string{"brokerConfigPath", "configBlackList", "rocketmqHome"}

// Plan judges a change of the configuration of a running broker. b is what runs, stored what the next start would find; they differ
// in values that were changed before and wait for a restart. All is changed or nothing: the error joins what is wrong. A key that
// nobody knows is no error, as in Java: tools send the same properties to brokers of several versions.
func (b *Broker) Plan(stored *Broker, changes map[string]string) (*Update, error) {
	black := append(slices.Clone(alwaysLocked), splitList(b.Process.Blacklist, ";")...)
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if slices.Contains(black, key) {
			return nil, &LockedError{key}
		}
	}
	running, next := *b, *stored
	u := &Update{Running: &running, Stored: &next}
	next.Set = maps.Clone(stored.Set)
	if next.Set == nil {
		next.Set = map[string]Setting{}
	}
	l := loader{kind: KindBroker}
	now, then := settings{}, settings{}
	for k, v := range stored.Set {
		then[k] = entry{v.Value, v.Source}
	}
	nowV, nextV := reflect.ValueOf(&running).Elem(), reflect.ValueOf(&next).Elem()
	fields := fieldsOf(nowV.Type())
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		e := entry{strings.TrimSpace(changes[key]), "update"}
		if e.value == Hidden && slices.Contains(secretKeys, key) {
			continue // a tool sends back what it was told
		}
		i, ok := slices.BinarySearchFunc(fields, key, func(f field, k string) int { return strings.Compare(f.key, k) })
		if !ok {
			u.foreign(&l, key, e, stored.Set[key], fields)
			continue
		}
		f := &fields[i]
		c := Change{Key: key, Old: f.text(nextV), Effect: EffectRestart}
		if !f.set(nextV, e.value) {
			l.bad(key, e, f.allowed())
			continue
		}
		then[key] = e
		if f.live {
			f.set(nowV, e.value)
			now[key], c.Effect = e, EffectNow
		}
		if c.New = f.text(nextV); c.New != c.Old || f.text(nowV) != f.text(reflect.ValueOf(b).Elem()) {
			u.add(c, stored.Set[key])
		}
	}
	l.validateBroker(&next, then)
	if len(l.errs) == 0 { // else the same again
		l.validateBroker(&running, now)
	}
	running.Set = next.Set
	if _, _, err := finish(&l, b); err != nil {
		return nil, err
	}
	return u, nil
}

// add enters a change of a value that was set by before.
func (u *Update) add(c Change, before Setting) {
	switch {
	case before.Source == "flag":
		c.Note = "a flag of the command line says otherwise, and will again at the next start"
	case before.Source != "" && before.Source != "update" && before.Source != u.Stored.Process.ConfigPath:
		c.Note = before.Source + " says otherwise, and will again at the next start"
	}
	u.Changes = append(u.Changes, c)
	u.Stored.Set[c.Key] = Setting{c.New, "update"}
}

// foreign judges a key that means nothing here.
func (u *Update) foreign(l *loader, key string, e entry, before Setting, fields []field) {
	fate, ok := fateOf(l.kind, key)
	switch {
	case !ok:
		c := Change{Key: key, New: e.value, Effect: EffectUnknown, Note: "no broker has such a key"}
		if s := suggest(key, candidates(l.kind, fields)); s != "" {
			c.Note += "; did you mean " + s + "?"
		}
		u.Changes = append(u.Changes, c)
	case fate.Refused && !fate.same(e.value):
		l.bad(key, e, "refused, "+fate.Why)
	case before.Value != e.value:
		u.add(Change{Key: key, Old: before.Value, New: e.value, Effect: EffectNone, Note: fate.Why}, before)
	}
}

// secretKeys hold passwords.
var secretKeys = []string{"initAuthenticationUser", "innerClientAuthenticationCredentials", "metricsGrpcExporterHeader", "tls.server.keyPassword", "tls.client.keyPassword"}

// Hidden stands for a value that is not told to anybody.
const Hidden = "******"

// IsSecret reports whether a key holds a password.
func IsSecret(key string) bool { return slices.Contains(secretKeys, key) }

// JavaProperties returns all keys that Java's broker prints for GET_BROKER_CONFIG and ours, with the values that count here. Keys
// that mean nothing here have the value that the operator set, or Java's default. Passwords are Hidden.
func (b *Broker) JavaProperties() map[string]string {
	out := map[string]string{}
	for _, j := range javaKeys() {
		if slices.Contains(KindBroker.classes(), j.class) && j.def != "(host)" && j.def != "" { // as Java, which leaves out null
			out[j.key] = j.def
		}
	}
	for k, s := range b.Set {
		if _, ok := fateOf(KindBroker, k); ok {
			out[k] = s.Value
		}
	}
	maps.Copy(out, propertiesOf(b))
	for _, k := range secretKeys {
		if out[k] != "" {
			out[k] = Hidden
		}
	}
	return out
}
