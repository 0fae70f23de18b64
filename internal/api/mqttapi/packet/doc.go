// Package packet is the codec of MQTT 3.1, 3.1.1 and 5.0: bytes to packets and back, both directions, so that the server and the test
// clients share it.
//
// Invariants:
//   - Hostile bytes never panic and never make it allocate more than a small multiple of the bytes that came.
//   - What is decoded refers to the source; a caller that keeps something copies it.
//   - A packet that the standard calls malformed or a protocol error is refused with the reason code of version 5. What depends on the
//     state of a session (packet ids, aliases, quotas) is the session's.
//   - Encoding appends to what the caller gives and does not allocate by itself.
package packet
