// Package archtest holds the rules of the architecture as tests: which package may import which, how long a file may
// grow, and which calls are kept behind a seam. It has no code of its own.
//
// The import table is docs/adr/0002-package-table.md in executable form; change both together.
package archtest
