// Package conformance is one suite of wire behaviour that runs against ours and against Java: `make conformance`, or
// `go test ./test/conformance -target java`. A case counts only when Java passes it too; what is deliberately different
// is not here but in docs/differences.md.
package conformance
