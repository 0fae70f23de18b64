// Package process looks at the edges of the real binary: its orderly end, a second process on the same store or port,
// thousands of idle connections, and garbage on some connections while others go on.
package process
