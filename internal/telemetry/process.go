package telemetry

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// runtimeNames are what is asked of the Go runtime, and where it goes.
var runtimeNames = []struct {
	name string
	m    *Metric
}{
	{"/memory/classes/heap/objects:bytes", HeapBytes},
	{"/memory/classes/total:bytes", MemoryBytes},
	{"/gc/cycles/total:gc-cycles", GCCycles},
	{"/sched/goroutines:goroutines", Goroutines},
}

// CollectProcess tells what the process uses. started is when it began.
func CollectProcess(s *Sink, started time.Time, version string) {
	s.Int(BuildInfo, 1, version, runtime.Version())
	s.Value(Uptime, time.Since(started).Seconds())
	samples := make([]metrics.Sample, len(runtimeNames))
	for i, r := range runtimeNames {
		samples[i].Name = r.name
	}
	metrics.Read(samples)
	for i, r := range runtimeNames {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			s.Value(r.m, float64(samples[i].Value.Uint64()))
		}
	}
	if open, most, ok := files(); ok {
		s.Int(OpenFiles, open)
		s.Int(OpenFilesMost, most)
	}
}
