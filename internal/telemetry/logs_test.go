package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/telemetry"
)

func TestComponentsHaveLevelsOfTheirOwn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	levels := telemetry.NewLevels(new(slog.LevelVar)) // info
	log := telemetry.NewLog(&out, false, levels)
	store, broker := log.With("role", "store"), log.With("role", "broker").With("topic", "T")
	logged := func(want ...string) {
		t.Helper()
		out.Reset()
		store.Debug("s-debug")
		store.Info("s-info")
		broker.Debug("b-debug")
		broker.Info("b-info")
		for _, text := range []string{"s-debug", "s-info", "b-debug", "b-info"} {
			found := strings.Contains(out.String(), text)
			wanted := false
			for _, w := range want {
				wanted = wanted || w == text
			}
			if found != wanted {
				t.Errorf("%s: logged %v, wanted %v", text, found, wanted)
			}
		}
	}
	logged("s-info", "b-info")
	debug, errors := slog.LevelDebug, slog.LevelError
	levels.Set("store", &debug)
	logged("s-debug", "s-info", "b-info")
	levels.Set("broker", &errors)
	logged("s-debug", "s-info")
	levels.Set("store", nil)
	logged("s-info")
}

func TestLogIsJSONIfWanted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	telemetry.NewLog(&out, true, telemetry.NewLevels(new(slog.LevelVar))).With("role", "store").Info("hello", "n", 1)
	var line struct {
		Level, Msg, Role string
		N                int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != "hello" || line.Role != "store" || line.N != 1 {
		t.Errorf("%s %v", out.Bytes(), err)
	}
}

func TestHistogramCountsInclusiveBounds(t *testing.T) { // not parallel: it counts allocations
	h := telemetry.NewHistogram([]int64{10, 100})
	for _, v := range []int64{0, 10, 11, 100, 101} {
		h.Observe(v)
	}
	if c := h.Counts(); c[0] != 2 || c[1] != 2 || c[2] != 1 || h.Count() != 5 {
		t.Errorf("%v", c)
	}
	if n := testing.AllocsPerRun(100, func() { h.ObserveN(5, 2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
