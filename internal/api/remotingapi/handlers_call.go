package remotingapi

// callHandlers are the requests about calls to connected clients and the questions that go with them.
func callHandlers() map[int32]handler {
	return map[int32]handler{}
}
