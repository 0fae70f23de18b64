// Package cli is the command tree of the binary: one file per command, which turns flags and files into the options of
// internal/node or internal/bench and prints what comes back. Data goes to stdout, talk to stderr. Exit codes: 0 ok,
// 1 failure, 2 usage.
package cli
