package history

// Feature is what a load of one feature says at the end.
type Feature struct {
	Acked, Lost, Phantom, Duplicates int64
	Again                            int64 // work that was done although its end had been acknowledged
	Early                            int64 // delivered before the time
}
