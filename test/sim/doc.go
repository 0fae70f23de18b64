// Package sim runs a name server, a broker, producers and a consumer inside one testing/synctest bubble: in-memory network
// and disk, virtual time, faults chosen by a seed. A minute of a cluster's life takes some milliseconds. `make sim SIM=1000` runs
// many seeds; a failing one is printed and runs alone with -seed.
//
// What must hold, whatever the faults are: each acknowledged message is readable, in order within its queue, with its own
// body; nothing is readable that was not sent; a committed offset that was acknowledged does not move back; clients find
// their way after the faults have ended.
package sim
