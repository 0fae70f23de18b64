// Package config turns Java's configuration files into typed structs.
//
// LoadBroker and LoadNamesrv read a broker.conf or namesrv.conf as it is. Each value comes from, in this order, the default,
// the file, the environment (COMETMQ_LISTEN_PORT for listenPort) and the flags; the last one wins. The struct tags are the only
// place that knows a key:
//
//	key:"listenPort"   the name in the file
//	live:"true"        a running broker can change it (UPDATE_BROKER_CONFIG)
//	unit:"ms"          the file has a number of this unit, the field is a time.Duration
//	min:"1" max:"9"    the allowed range, in the file's unit
//	enum:"A B"         the allowed words
//	sep:";"            the file has a list with this separator
//	doc:"..."          one line for the operator
//
// Invariants:
//   - A wrong value is an error that names the key, the value, where it came from and what is allowed. Java
//     ignores such values silently.
//   - An unknown key is a notice with the nearest known one. Every key of Java 5.5.0 is known: it is implemented here,
//     accepted without effect, or refused with the reason (known.go decides, java-5.5.0.tsv has the facts, a test
//     sees to it that no key is forgotten).
//   - Nothing here touches the store. The host's name, address and folder are injected.
//
// Callers: internal/cli and internal/node.
package config
