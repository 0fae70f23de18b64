package mq

// The parts of Service that have a file of their own: what clients do besides sending, pulling and committing.
type (
	// Pops is consuming without owning queues.
	Pops interface{}
)
