package tx

import (
	"math/rand/v2"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

// TestWindowIsASet compares the window with a map, around page borders and across trims.
func TestWindowIsASet(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var w window
	w.reset(3*history + 5)
	model := map[record.Index]bool{}
	lo, end := record.Index(w.base), record.Index(3*history+5+6*pageBits)
	progress := record.Index(3*history + 5)
	for range 200_000 {
		i := progress + record.Index(rnd.Int64N(int64(end-progress)))
		switch rnd.IntN(100) {
		case 0:
			progress += record.Index(rnd.Int64N(100))
			w.trim(progress)
			lo = record.Index(w.base)
		case 1, 2, 3, 4, 5: // runs, so that whole words fill
			for k := i; k < i+200 && k < end; k++ {
				w.set(k)
				model[k] = true
			}
		default:
			w.set(i)
			model[i] = true
		}
		if j := lo + record.Index(rnd.Int64N(int64(end-lo))); w.has(j) != model[j] {
			t.Fatalf("%d: %v, want %v", j, w.has(j), model[j])
		}
		if rnd.IntN(1000) == 0 {
			want := i
			for want < end && model[want] {
				want++
			}
			if got := w.next(i, end); got != want {
				t.Fatalf("next after %d: %d, want %d", i, got, want)
			}
		}
	}
	w.set(-5)
	w.set(lo - 1)
	if w.has(lo-1) || w.has(-5) {
		t.Error("something before the window is remembered")
	}
}

func TestWindowForgets(t *testing.T) {
	t.Parallel()
	var w window
	w.reset(0)
	for i := record.Index(0); i < 3*history; i += 100 {
		w.set(i)
		w.trim(i)
	}
	if n := int64(len(w.pages)); n > history/pageBits+2 {
		t.Errorf("%d pages are kept", n)
	}
	if w.has(0) || !w.has((3*history-1)/100*100) {
		t.Error("the wrong end is forgotten")
	}
}

func TestEachOp(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]record.Index{
		"": nil, "7": {7}, "7,": {7}, "7,12,": {7, 12}, ",,3": {3}, "x,4,-1,99999999999999999999,5": {4, 5},
	} {
		var got []record.Index
		eachOp([]byte(body), func(i record.Index) { got = append(got, i) })
		if len(got) != len(want) {
			t.Fatalf("%q: %v", body, got)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q: %v", body, got)
			}
		}
	}
}
