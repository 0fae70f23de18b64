// Package storetool looks at a store directory while no broker runs on it: ours or Java's, since the files are the same.
// Check walks the commit log and compares every queue unit with the record that it names; Verify compares the logs of two replicas;
// Dump prints records. They only read. Repair writes damaged parts of a log anew from another replica's.
package storetool
