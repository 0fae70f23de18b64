// Package sim runs clusters inside one testing/synctest bubble: in-memory network and disks, virtual time, faults chosen by a
// seed. Minutes of a cluster's life take some hundred milliseconds. `make sim SIM=10000` runs many seeds; a failing one is printed and
// runs alone with -seed, and with -tell it prints what all machines logged.
//
// TestCluster is a name server, a broker, producers and consumers. TestSet is a set of two or three brokers in controller mode,
// three controllers, one or two name servers, and clients on two hosts. Each seed chooses how the set is configured, and its faults, of
// which several may hold at a time: processes killed, machines without power, hosts that nobody hears (pauses), links cut in one
// direction or both, slow links and disks, connections that break anywhere, a master asked for by an operator, a disk lost. Only what
// docs/operations/high-availability.md allows a configuration to bear happens to it.
//
// What must hold in TestCluster, whatever the faults are:
//
//   - each acknowledged message is readable, in order within its queue, with its own body; nothing is readable that was
//     not sent;
//   - what a consumer has seen at an index stays there;
//   - a committed offset that was acknowledged does not move back;
//   - clients that know a route go on while the name server is away; a broker that is silent for two minutes loses its
//     routes, and has them again after the next registration;
//   - clients find their way after the faults have ended.
//
// And in TestSet:
//
//   - each acknowledged message is where it was acknowledged, index and offset, in the logs of all brokers, which are equal byte for
//     byte; none is there twice. So no index is used again in another epoch. Where nobody waits for slaves some may be gone, and are
//     counted;
//   - a message that was sent after another one had been acknowledged, by whomever, is behind it in the log;
//   - in one epoch one broker acknowledges. A master that was replaced acknowledges nothing that was sent after its successor's
//     first acknowledgement; where nobody waits for slaves, nothing after its lease has ended;
//   - what a reader got from a master or a slave at an index stays there, where all in sync must have it (allAckInSyncStateSet);
//   - a master does not set positions of consumers back within its epoch, and no master knows less than what had been
//     committed a second before the end of a time without faults, if no disk has lost anything since;
//   - when the faults end all brokers come into the set of those in sync, and messages are taken.
//
// In TestCluster the broker's time of day is set, forwards and backwards, by milliseconds up to hours; a time without a monotonic reading
// stands for it, so that whatever is measured by it goes wrong. In TestSet clocks are not moved apart: what depends on the time of day in
// roles counts on the monotonic clock, and a bubble has one clock. test/chaos does that to real processes. A paused machine here is one that nobody hears and that hears nobody; its own timers go on.
//
// The goroutines of a bubble run truly concurrently, so a seed fixes the faults and not each interleaving. What must be the
// same byte for byte is in test/crash.
package sim
