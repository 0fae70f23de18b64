package mq

// End decides a half message: code 37, Java's EndTransactionProcessor. Ends travel with the sends of a SendBatch, so that
// what arrived together is stored together and in the order in which it came.
type End struct {
	After     int    // how many of the batch's Requests came before it
	Group     string // producerGroup; must be the half message's
	Index     Index  // tranStateTableOffset: where the half message is in its queue
	Offset    Offset // commitLogOffset: where it is in the log
	Commit    bool   // else it is rolled back
	FromCheck bool   // the answer to a TransactionCheck; only then the immunity time of the message may have passed

	// Err is filled by Send: nil when the half message is decided. A half message that was decided before stays as it
	// was, and that is no error.
	Err *Error
}

// TransactionCheck asks a producer what became of a transaction: code 39, Java's sendCheckMessage. The client answers with
// an End for Index and Offset.
type TransactionCheck struct {
	Group         string // the producer group
	Topic         string // the topic in which the half message waits, as Java says it
	Broker        string
	Index         Index
	Offset        Offset
	TransactionID string // the message's unique key
	OffsetID      string
	Record        []byte // the half message as a stored record with its own topic and queue; borrowed
}
