//go:build !race

package aclgen

const checked = 1 << 20
