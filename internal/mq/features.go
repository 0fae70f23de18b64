package mq

// The parts of Service that have a file of their own: what clients do besides sending, pulling and committing.
type (
	// Timers is taking back messages that are not due yet.
	Timers interface{}
	// Pops is consuming without owning queues.
	Pops interface{}
)
