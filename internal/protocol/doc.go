// Package protocol is the vocabulary of the remoting protocol: request and response codes, the command header in both of
// its serialisations (JSON and binary), the typed headers that travel as flat text fields, and the JSON bodies.
//
// It knows bytes and nothing else: no sockets, no broker. What is decoded aliases the source bytes and is valid as
// long as these are; nothing on the path of a message allocates (held by AllocsPerRun tests).
//
//   - codes.go: the numbers.
//   - frame.go: the frame and the command header; header_json.go and header_binary.go decode it.
//   - fields.go: Fields (what was decoded) and FieldWriter (what is to be sent).
//   - headers_gen.go: one struct for each typed header, generated from headers.tsv by tools/genheaders.
//   - bodies_*.go: the JSON bodies, in Java's fastjson dialect.
//
// What Java says is in testdata/java, written by test/golden/json with the real classes.
//
// Callers: remoting (frames), the doors (headers, bodies), nameserver, membership and the file formats that share
// bodies with the wire.
package protocol
