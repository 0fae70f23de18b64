// Package sim runs a name server, a broker, producers and consumers inside one testing/synctest bubble: in-memory network
// and disk, virtual time, faults chosen by a seed. Minutes of a cluster's life take some hundred milliseconds. `make sim
// SIM=1000` runs many seeds; a failing one is printed and runs alone with -seed.
//
// What must hold, whatever the faults are:
//
//   - each acknowledged message is readable, in order within its queue, with its own body; nothing is readable that was
//     not sent;
//   - what a consumer has seen at an index stays there;
//   - a committed offset that was acknowledged does not move back;
//   - clients that know a route go on while the name server is away; a broker that is silent for two minutes loses its
//     routes, and has them again after the next registration;
//   - clients find their way after the faults have ended.
//
// The goroutines of a bubble run truly concurrently, so a seed fixes the faults and not each interleaving. What must be the
// same byte for byte is in test/crash.
package sim
