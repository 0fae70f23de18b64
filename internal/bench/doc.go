// Package bench is the load generator behind `cometmq bench` and the client behind `cometmq demo`, `send` and `tail`: raw remoting
// frames over TCP with many requests in flight, so that the server and not the client is measured. It speaks to Java
// brokers as well.
//
// Latencies are HDR histograms. With a rate the load is open-loop: a message's latency counts from the moment it was
// due, so that a stall of the server is not hidden by a generator that waits for it.
package bench
