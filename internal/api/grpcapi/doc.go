// Package grpcapi is the gRPC door: the protocol of RocketMQ 5 (apache.rocketmq.v2.MessagingService) over mq.Service and mq.Admin, in the
// process of the broker. Java has it in a proxy, which asks a broker over remoting.
//
// A Door lives as long as the process, and serves one Core after the other: a broker in one role. Clients stay connected when the role
// changes.
//
// Invariants:
//   - A call ends with the status OK of gRPC and a code in its answer, whatever is wrong with it: clients take any other status for a
//     broken connection. Kinds of mq.Error become codes in status.go and nowhere else.
//   - Who is hung in a call holds the core (Door.enter): Swap returns when nobody does any more. A telemetry stream holds none.
//   - What came in with a request is not kept by reference, but for message bodies until the core has stored them.
//   - A message is handed to a stream when it is in the journal that it was handed out; what the stream does not take is given back.
package grpcapi
