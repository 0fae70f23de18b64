// Package admin is the operator's command line: mqadmin's subcommands with their names, flags and tables, on CometMQ and on Java
// clusters, and some that mqadmin lacks. It reaches a cluster through mq.Cluster only.
//
// A table (commands) declares each command: name, flags, what it changes, and the function that runs it. A command prints with
// Call.Row: a line of the table for people, and the value behind it for -o json and -o yaml. What only decorates goes through
// Call.Say.
//
// Exit codes: 0 done, 1 failed (address, step and time are named; with several servers the results of the others are there), 2 wrong
// usage (with a suggestion).
package admin
