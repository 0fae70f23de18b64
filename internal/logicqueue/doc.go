// Package logicqueue is about the queues of static topics (Java's statictopic package).
//
// A static topic has a fixed number of logical queues in the whole cluster, and clients see only these. A logical queue is a list of
// physical queues of brokers, oldest first: the last one is written to, its broker leads the logical queue, and the positions of
// each begin where those of the one before it end, rounded up. When a logical queue moves to another broker the list grows by one,
// first without a position (-1), and with one as soon as the old leader takes no more messages.
//
// A Mapping is what one broker knows: the lists of the queues that it leads or has led. It is immutable once it is shared. The
// package is arithmetic, checks and Java's JSON form; it knows no disk and no network.
package logicqueue
