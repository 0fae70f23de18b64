package config

import "reflect"

// KeyFacts is what is known of a key of a role.
type KeyFacts struct {
	Default string // "" when it depends on the machine
	Doc     string // "" for keys of Java that have no effect here
	Live    bool   // it counts without a restart
}

// Known tells what is known of a key: of this program's, or else of Java's.
func Known(kind Kind, key string) (KeyFacts, bool) {
	var k KeyFacts
	found := false
	for _, j := range javaKeys() {
		if j.key == key {
			k.Default, found = j.def, true
			break
		}
	}
	t := map[Kind]reflect.Type{KindBroker: reflect.TypeFor[Broker](), KindNamesrv: reflect.TypeFor[Namesrv](), KindController: reflect.TypeFor[Controller]()}[kind]
	for _, f := range fieldsOf(t) {
		if f.key == key {
			k.Doc, k.Live, found = f.doc, f.live, true
		}
	}
	return k, found
}
