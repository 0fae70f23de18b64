//go:build race

package aclgen

// checked is how many of the cases are looked at: fewer under the race detector, which finds nothing here.
const checked = 300
