// Package raftlog is the replicated log of a group of controllers, on github.com/hashicorp/raft with a bbolt store, behind
// four methods: Propose, Leader, Members, Close. Nothing of the library is seen outside of it (docs/adr/0006-raft-library.md).
//
// Invariants:
//   - Propose returns an answer only after a majority has the entry on disk and this member has applied it.
//   - Leader reports Self only when this member has applied everything that earlier leaders committed. A leader that loses
//     its majority stops to be one within Options.Election.
//   - The first configured member founds the group, once, when its folder is empty; all others wait to be called. So two
//     groups cannot arise from one configuration while it is rolled out, and a single controller can become three.
//   - Members are found where the configuration says, by id; an address may change. New ids are added by the leader, and
//     nobody is removed because a file does not name it.
//   - A folder belongs to one member of one group. A damaged one is refused at the start, with the reason.
//
// One port serves brokers, tools and the other controllers: Mux looks at the first byte of a connection. Nobody is
// authenticated, as with Java's controllers: the port belongs into a private network.
package raftlog
