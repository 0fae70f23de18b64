// Package memnet is a network in memory for tests: listeners, dials and stream connections that behave like TCP, and
// faults that a test can switch on and off between two hosts.
//
// Everything waits on condition variables, channels and timers only, so a whole cluster on a memnet.Network runs inside a
// synctest bubble: when all its goroutines wait, the bubble's clock moves. Connections are buffered like sockets (writes
// succeed until the peer's window is full), deadlines work, and addresses are *net.TCPAddr.
//
// A link is an unordered pair of host addresses. Partition holds everything back in both directions, as lost packets
// do until TCP repeats them, PartitionOneWay in one; Cut resets the connections that exist; Delay adds latency; CutAfter resets a link in the
// middle of a stream.
package memnet
