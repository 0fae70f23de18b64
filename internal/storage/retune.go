package storage

// Retune changes what cleaning goes by while the store runs: ReservedTime, DeleteWhen, DiskMaxUsed, ForceClean, Warning and KeepForced
// of o count from the next round on.
func (s *Store) Retune(o Options) {
	o = o.withDefaults()
	next := *s.tuned.Load()
	next.ReservedTime, next.DeleteWhen, next.DiskMaxUsed = o.ReservedTime, o.DeleteWhen, o.DiskMaxUsed
	next.ForceClean, next.Warning, next.KeepForced = o.ForceClean, o.Warning, o.KeepForced
	s.tuned.Store(&next)
}
