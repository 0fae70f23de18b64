// Package relay stands between processes on loopback and spoils what goes over the lines: it holds data back in one
// direction or both, delays it, or resets connections, for each pair of processes by itself.
//
// A server listens on one address and tells the world another, where its Front listens. All connections to it therefore pass
// the front; which process opened one is found in the kernel's tables (Linux), so that nobody has to be told to use another
// address. Connections of unknown processes are those of the host "client".
//
// Drop is what lost packets look like from above: bytes, and the end of a connection, wait until the line is whole again.
// One thing is different from a real network: a new connection over a dropped line is accepted and then silent. Cut resets.
package relay
