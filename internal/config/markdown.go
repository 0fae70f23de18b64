package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Markdown returns the tables of the documentation: what this program does with each key of Java 5.5.0, and the keys that
// Java does not have.
func Markdown() string {
	var b strings.Builder
	broker, namesrv := fieldsOf(reflect.TypeFor[Broker]()), fieldsOf(reflect.TypeFor[Namesrv]())
	java := map[string]bool{}
	for _, j := range javaKeys() {
		java[j.key] = true
	}
	for _, role := range []struct {
		kind   Kind
		fields []field
	}{{KindBroker, broker}, {KindNamesrv, namesrv}, {KindController, fieldsOf(reflect.TypeFor[Controller]())}} {
		fmt.Fprintf(&b, "## Keys of a %s\n\n### In effect\n\n| key | what | allowed | live |\n| --- | --- | --- | --- |\n", role.kind)
		for _, f := range role.fields {
			name := f.key
			switch where := javasTLS(name); {
			case where != "":
				name += " (" + where + ")"
			case !java[name]:
				name += " (ours)"
			}
			live := ""
			if f.live {
				live = "yes"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, cellText(f.doc), cellText(f.allowed()), live)
		}
		b.WriteString("\n### Accepted without effect, or refused\n\nA refused key is an error unless it has Java's default.\n\n| keys | what happens | why |\n| --- | --- | --- |\n")
		for _, g := range fates {
			keys := keysOf(role.kind, g.keys)
			if len(keys) == 0 {
				continue
			}
			what := "accepted"
			if g.refused {
				what = "refused"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Join(keys, ", "), what, cellText(g.why))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// keysOf returns the keys of a group that belong to files of kind k.
func keysOf(k Kind, group string) []string {
	var out []string
	for name := range strings.FieldsSeq(group) {
		class, key, qualified := strings.Cut(name, ".")
		if !qualified {
			class, key = "", name
		}
		for _, j := range javaKeys() {
			if j.key != key || (qualified && j.class != class) {
				continue
			}
			if slices.Contains(k.classes(), j.class) {
				out = append(out, key)
				break
			}
		}
	}
	return out
}

func cellText(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
