package logicqueue

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
)

func leads(p Plan) map[string]int {
	out := map[string]int{}
	for b := range p {
		out[b] = p.led(b)
	}
	return out
}

// A topic grows over new brokers, moves to others and back: at each step all queues have one leader and a physical queue of their own,
// nothing moves that could stay, and what was decided stays.
func TestPlanGrowsAndMoves(t *testing.T) {
	t.Parallel()
	const now = 1_000_000
	p, err := Plan{}.Grow("T", 5, []string{"a", "b"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := leads(p), map[string]int{"a": 3, "b": 2}; !maps.Equal(got, want) {
		t.Fatalf("leaders %v, want %v", got, want)
	}
	if _, err = p.Grow("T", 5, nil, now); err == nil {
		t.Error("a topic grew to as many queues as it has")
	}
	if _, err = p.Grow("T", 4, nil, now); err == nil {
		t.Error("a topic shrank")
	}
	p, err = p.Grow("T", 7, []string{"c"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := leads(p), map[string]int{"a": 3, "b": 2, "c": 2}; !maps.Equal(got, want) {
		t.Fatalf("leaders %v, want %v", got, want)
	}

	next, in, out, err := p.Move("T", []string{"b", "c"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := leads(next), map[string]int{"a": 0, "b": 4, "c": 3}; !maps.Equal(got, want) {
		t.Fatalf("leaders %v, want %v", got, want)
	}
	if !slices.Equal(in, []string{"b", "c"}) || !slices.Equal(out, []string{"a"}) {
		t.Errorf("in %v, out %v", in, out)
	}
	if p.led("a") != 3 {
		t.Error("the plan that was moved from has changed")
	}
	old, _, _ := p.Check("T")
	if epoch, total, e := next.Check("T"); e != nil || epoch <= old || total != 7 {
		t.Errorf("epoch %d after %d, %d queues, %v", epoch, old, total, e)
	}
	if err = next.Decide("a", func(queue int32) (Index, bool) { return Index(queue) * 5_000, true }); err != nil {
		t.Fatal(err)
	}
	lists, err := next.Leaders()
	if err != nil {
		t.Fatal(err)
	}
	var starts []Index
	for _, l := range lists {
		if len(l) == 2 {
			starts = append(starts, l[1].Logic)
		}
	}
	slices.Sort(starts)
	if want := []Index{10_000, 20_000, 20_000}; !slices.Equal(starts, want) {
		t.Errorf("the new leaders begin at %v, want %v", starts, want)
	}
	if err = next.Decide("a", func(int32) (Index, bool) { return 0, false }); err != nil {
		t.Errorf("decided queues are asked for again: %v", err)
	}
	back, _, _, err := next.Move("T", []string{"a"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if back.led("a") != 7 {
		t.Errorf("leaders %v", leads(back))
	}
	if err := back.Decide("b", func(int32) (Index, bool) { return 0, false }); err == nil {
		t.Error("a queue whose end nobody knows was decided")
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	fresh := func() Plan {
		p, err := Plan{}.Grow("T", 4, []string{"a", "b"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, spoil := range map[string]func(p Plan){
		"no mapping":         func(p Plan) { p["a"].Mapping = nil },
		"another name":       func(p Plan) { p["a"].Mapping.Broker = "x" },
		"another topic":      func(p Plan) { p["a"].Mapping.Topic = "x" },
		"another epoch":      func(p Plan) { p["a"].Mapping.Epoch++ },
		"another total":      func(p Plan) { p["b"].Mapping.Total++ },
		"another scope":      func(p Plan) { p["b"].Mapping.Scope = "x" },
		"dirty":              func(p Plan) { p["b"].Mapping.Dirty = true },
		"two leaders":        func(p Plan) { p["b"].Mapping.Queues[0] = Items{{Broker: "b", Queue: 1, End: -1}} },
		"nobody leads":       func(p Plan) { delete(p["a"].Mapping.Queues, 0) },
		"a shared queue":     func(p Plan) { p["a"].Mapping.Queues[0][0].Queue = p["a"].Mapping.Queues[2][0].Queue },
		"a queue too many":   func(p Plan) { p["a"].Write-- },
		"fewer to read":      func(p Plan) { p["a"].Read-- },
		"not from the start": func(p Plan) { p["a"].Mapping.Queues[0][0].Start = 1 },
	} {
		p := fresh()
		spoil(p)
		if _, _, _, err := p.Move("T", []string{"a"}, 2); err == nil {
			t.Errorf("%s: moved", name)
		}
		if _, err := p.Grow("T", 9, nil, 2); err == nil {
			t.Errorf("%s: grown", name)
		}
	}
}

func TestMappingIsPlainJSON(t *testing.T) {
	t.Parallel()
	p, err := Plan{}.Grow("T", 3, []string{"a"}, 5)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(p["a"].Mapping)
	if err != nil {
		t.Fatal(err)
	}
	var back Mapping
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(&back, p["a"].Mapping) {
		t.Errorf("%v: %s", err, data)
	}
}
