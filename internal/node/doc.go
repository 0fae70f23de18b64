// Package node puts the roles of one process together: it builds cores and doors, opens listeners, starts everything in
// order, and ends it in reverse in four steps. It is the only package that knows both cores and doors.
//
// Shutdown has one deadline and four steps: stop accepting; let what is in flight finish or be refused; flush and
// checkpoint; close the files and drop the abort file. Disk, network and time come in through Options, so that a whole
// cluster runs in one test.
//
// A broker is a shell (broker.go) that lives as long as the process: listeners, connections, the register of clients, the registration;
// and an engine (engine.go) that lives as long as a role: store, core, door, replication. Node.Become (role.go) ends an engine and
// starts another one. Who may do what when:
//
//   - Whoever holds brokerPart.turn may change the engine: one change at a time, and none any more once stop has taken it. The token is
//     held across I/O; nothing that a part of an engine calls may wait for it, since the end of the engine waits for the part.
//   - brokerPart.engine is the engine that serves, or the last one that did. Everybody may load it at any time, and must be able to
//     live with one that has ended: its tables can be read, its store answers with an error.
//   - The order of a change: the server refuses (remoting.Server.Swap), the handlers' context ends, replication ends, the core ends
//     and answers who is parked, the store decides who waits for disk or slaves (Settle), the last handlers return, the files are
//     closed. Then the new engine is opened, stored in brokerPart.engine, started, given to the server, and registered.
//
// No mutex is held during any of that, so that a test with a virtual clock sees time pass.
package node
