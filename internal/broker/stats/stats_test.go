package stats

import (
	"testing"
	"time"
)

func TestWindowsAreThoseOfJava(t *testing.T) {
	t.Parallel()
	var i Item
	at := int64(1_000_000)
	i.Note(Sample{At: at})
	if _, ok := i.Past(Num); ok {
		t.Error("a thing of which nothing was counted has a past")
	}
	// Two messages of 100 bytes each second, in one request, for two hours.
	for n := int64(1); n <= 720; n++ {
		at += Step.Milliseconds()
		i.Note(Sample{At: at, Times: 10 * n, Num: 20 * n, Size: 2000 * n})
	}
	p, ok := i.Past(Num)
	if !ok {
		t.Fatal("no past")
	}
	minute := Window{Sum: 120, TPS: 2, AvgPT: 2, Times: 60}
	if p.Minute != minute {
		t.Errorf("minute %+v, want %+v", p.Minute, minute)
	}
	hour := Window{Sum: 7200, TPS: 2, AvgPT: 2, Times: 3600}
	if p.Hour != hour {
		t.Errorf("hour %+v, want %+v", p.Hour, hour)
	}
	if p.Day.Sum <= 7000 || p.Day.Sum > 14400 || p.Day.AvgPT != 2 {
		t.Errorf("day %+v", p.Day)
	}
	if got := i.PerSecond(Size); got != 200 {
		t.Errorf("%v bytes a second, want 200", got)
	}
}

func TestWhatIsNewCountsFromNothing(t *testing.T) {
	t.Parallel()
	var i Item
	i.Note(Sample{At: 50_000, Times: 1, Num: 30, Size: 300})
	p, ok := i.Past(Num)
	if want := (Window{Sum: 30, TPS: 3, AvgPT: 30, Times: 1}); !ok || p.Minute != want {
		t.Errorf("%+v %v, want %+v", p.Minute, ok, want)
	}
}

func TestSamplesAreBounded(t *testing.T) {
	t.Parallel()
	var i Item
	for n := range int64(10_000) {
		i.Note(Sample{At: n * time.Hour.Milliseconds(), Times: n + 1, Num: n})
	}
	for k, l := range i.lists {
		if len(l) > spans[k].keep || cap(l) > 2*spans[k].keep+2 {
			t.Errorf("list %d holds %d, room for %d", k, len(l), cap(l))
		}
	}
}
