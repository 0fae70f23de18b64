// Package compare measures ours beside Java in one run and writes docs/benchmarks.md: `make compare`. It is no test of
// right or wrong: nothing fails because a figure is low.
//
// Both sides get the same configuration and the same load from the same generator, in turn (Java, ours, Java, ours), each
// on an empty store. A ceiling program runs in between: it only splits frames, appends each body with one write per read
// and answers. What the generator costs is paid by both sides, since all share the machine.
package compare
