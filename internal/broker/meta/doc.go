// Package meta holds what a broker knows besides messages: its topics, subscription groups and consumer offsets.
//
// Each table lives in memory, in one of Java's JSON files under <root>/config and in a journal of ours under
// <root>/cometmq:
//
//	Topics   config/topics.json              cometmq/topics.<n>.journal
//	Groups   config/subscriptionGroup.json   cometmq/groups.<n>.journal
//	Offsets  config/consumerOffset.json      cometmq/offsets.<n>.journal
//	Delays   config/delayOffset.json         cometmq/delays.<n>.journal
//
// A change is appended to the journal (topics and groups: on disk before Put returns; offsets: in the page cache when
// Sync returns) and folded into the JSON by Run and Close. So creating 10,000 topics does not write the whole
// table 10,000 times and kill -9 rewinds no consumer, while a Java broker finds its own files, in its own dialect, at most
// half a second (topics, groups) or five seconds (offsets) old, and exact after a clean stop.
//
// Invariants:
//   - A reader of the hot path (Topics.Get, Groups.Get, Offsets.Commit, Offsets.Query) takes no exclusive lock and
//     allocates nothing.
//   - The JSON is replaced atomically; its predecessor stays as .bak. With the journals either of them restores the
//     full state, see ledger. When both are damaged, opening fails: a table never silently starts empty.
//   - A journal is applied only to the very JSON text it was started from (or a descendant). If Java or an operator
//     wrote the JSON since, the JSON is right and the journal is dropped.
//   - Members of the JSON that this package does not know are kept and written back.
//
// Shapes and dialect: docs/formats, "JSON config files". Callers: internal/broker.
package meta
