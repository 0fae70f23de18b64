// Package remotingapi is the remoting door: it translates the request codes of the RocketMQ remoting protocol to
// mq.Service and mq.Admin, one file per code, the code first in the file's name.
//
// Invariants:
//   - A handler runs in the connection's reader goroutine, in arrival order. What may take long moves to the server's
//     workers with Conn.Go.
//   - Sends of one read are collected and handed to mq.Service.Send as one batch (burst.go); any other request first
//     flushes what was collected, so that a client sees its own writes.
//   - A one-way request is never answered; a two-way request is answered exactly once.
//   - Kinds of mq.Error become response codes in errors.go and nowhere else.
package remotingapi
