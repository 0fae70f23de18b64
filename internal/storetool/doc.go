// Package storetool looks at a store directory while no broker runs on it: ours or Java's, since the files are the same.
// It only reads. Check walks the commit log and compares every queue unit with the record that it names; Dump prints
// records.
package storetool
