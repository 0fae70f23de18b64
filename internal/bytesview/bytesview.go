// Package bytesview turns byte slices into strings and back without a copy.
//
// It is the only package that uses unsafe. The rule for callers: the memory must not change while the view is in
// use. A String view of a network or pooled buffer is therefore borrowed: whoever keeps it clones it
// (strings.Clone). The result of Bytes must never be written to.
package bytesview

import "unsafe"

// String returns a string that shares b's memory. It is valid until b is written to or reused.
func String(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the one place, see the package comment
}

// Bytes returns a slice that shares the memory of s. It must not be written to. Its capacity is its length, so an
// append copies.
func Bytes(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // the one place, see the package comment
}
