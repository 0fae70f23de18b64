// Package remoting is the transport of RocketMQ's remoting protocol: frames over byte streams, a server that dispatches
// requests by code and a client that multiplexes calls over one connection per address. Headers are decoded and
// encoded by package protocol; no message is understood here.
//
// The shape of the server is what makes it fast: one goroutine a connection reads as much as came, handles every
// complete frame of that read inline and in order of arrival, calls OnBurstEnd once and flushes all answers with one
// write. A message that shares its system calls with others costs less than a microsecond.
//
// Invariants:
//   - A Request and all it points to (fields, body) is valid until its handler returns. The bytes, not the Request, stay
//     valid until the OnBurstEnd that follows has returned, so that a door may collect a burst and store it at once.
//   - A one-way request is never answered, whatever the handler does.
//   - Memory is bounded: a frame claims no more than twice what has arrived of it; a connection whose peer does not read
//     stops being read when MaxOutput bytes wait; a peer that takes nothing for WriteTimeout is closed.
//   - Malformed input closes that connection with one log line and touches no other.
//   - The reader goroutine of a connection owns its end: it alone runs OnOpen, handlers, OnBurstEnd and OnClose, and it
//     ends only after the connection's writer did. Server.Shutdown and Client.Close wait for all readers and workers.
//
// Lock order: Conn.mu and Conn.pmu are leaves and never held together; core.mu may be held when Conn.mu is taken, not
// the other way round.
//
// Where things are: frame.go splits frames, conn.go is the connection, read.go and write.go its two directions, call.go
// what we ask the peer, sniff.go the first bytes (PROXY protocol, TLS), server.go and client.go the two users.
package remoting
