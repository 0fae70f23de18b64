// Package history makes loads whose history can be judged: which messages were acknowledged, which were read, in which
// order. test/crash and test/chaos drive them through accidents and ask for the verdict at the end.
//
//	load.go      numbered messages to queues, with or without repeating what was not answered; a reader that goes along
//	feature.go   what the loads of single features say at the end
//	delay.go     messages that wait for their time
//	tx.go        transactions
//	pop.go       pop and acknowledgements
//	replicas.go  logs of two replicas, compared
package history
