// Package mqttapi is the MQTT door: versions 3.1, 3.1.1 and 5.0 on mq.Service.
//
// A publish is an ordinary message of the RocketMQ topic that the first level of its name is (package topic, package message). A
// session reads the queues of the topics that its filters name: it has one cursor for each queue, whatever the number of filters, so
// a message that matches several of them is delivered once. Sessions that are at the end of a queue are fed by one reader for all
// (feed.go), and each message is decoded once and matched in one trie; a session that cannot take more falls out, and reads on its own
// from its cursor when it can (session.go). So nothing is dropped for a slow client, and nothing is kept in memory for it.
// A shared subscription has cursors of its own, and gives each message to one of its sessions (share.go).
//
// Invariants:
//   - PUBACK and PUBREC are sent when the store has decided the message, in the order of the publishes; the connection reads on
//     meanwhile (inbound.go).
//   - A packet id of QoS 2 that came is on disk, with the unique key of its message, before the message is stored, and gone from disk
//     before PUBCOMP is sent. After a kill the key says whether the message had been stored.
//   - What was delivered with QoS 2 is on disk before it is sent, and what was received before PUBREL is sent.
//   - Lock order: Server.mu, feed.mu, session.mu, then conn.mu or share.mu. No lock is held while disk or network are waited for.
package mqttapi
