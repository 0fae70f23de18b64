package remotingapi

// transactionHandlers are the requests about transactions.
func transactionHandlers() map[int32]handler {
	return map[int32]handler{}
}
