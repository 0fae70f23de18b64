package mq

// Replies is answering a request message (SEND_REPLY_MESSAGE, 324 and 325).
type Replies interface {
	// Reply checks each answer, stores it if the broker keeps answers, and pushes it to the client that asked. Done is
	// called once for each of rs, from any goroutine and under no lock; it must not block. Nothing of rs is used after
	// the call but Done.
	Reply(rs []ReplyRequest)
}

// ReplyRequest is one answer to a request message. Its property REPLY_TO_CLIENT names the client that asked.
type ReplyRequest struct {
	SendRequest
	Done func(ReplyResult)
}

// ReplyResult is what became of an answer. It may have been stored and not delivered.
type ReplyResult struct {
	Err     *Error // nil: the client that asked has it
	Stored  bool
	QueueID int32
	Index   Index  // where it was stored
	Offset  Offset // where it was stored
}

// PushedReply is an answer on its way to the client that asked (PUSH_REPLY_MESSAGE_TO_CLIENT, 326). It is borrowed.
type PushedReply struct {
	*SendRequest
	Props     []byte // those of the request with the time of the push
	StoreTime int64  // ms
}
