package remotingapi

// popHandlers are the requests about consumers that pop.
func popHandlers() map[int32]handler {
	return map[int32]handler{}
}
