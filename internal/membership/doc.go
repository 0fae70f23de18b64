// Package membership is a broker's side of the name servers: it keeps this broker registered with all of them and
// asks them for routes.
//
// One goroutine per name server (type server) does everything that is said to that server, one thing at a time, so a
// full registration can never overtake an incremental one that is newer. It registers in full when it starts, every
// period, and as soon as a probe shows that the server does not know this broker (it was restarted); a server that does
// not answer is tried again after 1 s, then less often, up to every 10 s. Topic changes that come while another call is
// under way are sent together.
//
// Invariants:
//   - Nothing here holds up the broker: a name server that is down costs log lines, one when it goes and one when it
//     comes back, and a Register call does not wait for it.
//   - What Topics returns is read after the change that caused the registration, so a full registration stands in for
//     all incremental ones before it.
//
// The bodies are those of Apache RocketMQ's broker, so its name servers accept them.
package membership
