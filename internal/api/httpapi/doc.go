// Package httpapi is the dashboard's door: a JSON API over mq.Cluster, and the files of the user interface. openapi.yaml is its
// contract; a test compares the router with it both ways and checks recorded answers against its schemas.
//
// Where things are: api.go builds the handler, routes.go lists what there is and who may call it, call.go is one request, and each
// resource has a file of its own. What the console keeps for itself (users, sessions, tokens, audit) is one bbolt file, keep.go.
//
// Invariants:
//   - The server decides who may do what: every route has a role, and names in the path are held against the caller's scope.
//   - One broker that does not answer never empties a list: the answer is partial and names it.
//   - Lists ask each broker once, however many rows there are.
//   - Whatever changes something is in the audit, and can be tried with dryRun where it destroys or moves offsets.
//   - Bodies of messages, names and everything else that a stranger wrote go out as JSON strings or as downloads, never as HTML.
//   - Reading messages commits nothing and pulls in blocks of 32, as Java's tools do: consumers do not notice.
package httpapi
