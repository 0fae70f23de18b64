// Package node puts the roles of one process together: it builds cores and doors, opens listeners, starts everything in
// order, and ends it in reverse in four steps. It is the only package that knows both cores and doors.
//
// Shutdown has one deadline and four steps: stop accepting; let what is in flight finish or be refused; flush and
// checkpoint; close the files and drop the abort file. Disk, network and time come in through Options, so that a whole
// cluster runs in one test.
package node
