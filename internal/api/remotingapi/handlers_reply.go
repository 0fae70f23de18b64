package remotingapi

// replyHandlers are the requests about answers to request messages.
func replyHandlers() map[int32]handler {
	return map[int32]handler{}
}
