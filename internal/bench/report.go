package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the result of a run, printed as one line of JSON. Latencies are microseconds.
type Report struct {
	Mode     string  `json:"mode"`
	Size     int     `json:"size"`
	Queues   int     `json:"queues"`
	Conns    int     `json:"conns"`
	Window   int     `json:"window,omitempty"`
	Batch    int     `json:"batch,omitempty"`
	Rate     float64 `json:"rate,omitempty"`
	Messages int64   `json:"messages"`
	Failed   int64   `json:"failed"`
	Shed     int64   `json:"shed,omitempty"` // given up by the generator: no room in its windows
	Seconds  float64 `json:"seconds"`
	PerSec   float64 `json:"msgs_per_s"`
	MBPerSec float64 `json:"mb_per_s"`
	P50      float64 `json:"p50_us"`
	P90      float64 `json:"p90_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
	Max      float64 `json:"max_us"`
}

// newHistogram covers 1 us to 1 h with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 3_600_000_000, 3) }

func (r *Report) count(ok, failed int64, d time.Duration) {
	r.Messages, r.Failed, r.Seconds = ok, failed, d.Seconds()
	if d > 0 {
		r.PerSec = float64(ok) / d.Seconds()
		r.MBPerSec = r.PerSec * float64(r.Size) / 1e6
	}
}

func (r *Report) latency(hs []*hdrhistogram.Histogram) {
	all := newHistogram()
	for _, h := range hs {
		if h != nil {
			all.Merge(h)
		}
	}
	if all.TotalCount() == 0 {
		return
	}
	q := func(p float64) float64 { return float64(all.ValueAtQuantile(p)) }
	r.P50, r.P90, r.P99, r.P999, r.Max = q(50), q(90), q(99), q(99.9), float64(all.Max())
}
