package meta

import (
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
)

func TestPositionsOfLightGroupsAreJavas(t *testing.T) {
	t.Parallel()
	fsys := newMem(t)
	put(t, fsys, testRoot+"/config/consumerOffset.json", []byte(`{"offsetTable":{"T@g":{0:5}}}`))
	tb, err := Open(fsys, testRoot, Options{LightOffsets: true})
	must(t, err)
	at := func(tb *Tables, group, topic string, want mq.Index) {
		t.Helper()
		if got, ok := tb.Offsets.Query(group, topic, 0); !ok || got != want {
			t.Errorf("%s@%s: %d %v, want %d", topic, group, got, ok, want)
		}
	}
	at(tb, "g", "T", 5) // taken over
	tb.Offsets.Commit("g", "%LMQ%q", 0, 6)
	tb.Offsets.Commit("%LMQ%g", "%LMQ%q", 0, 7)
	must(t, tb.Close())
	text := strings.Join(strings.Fields(string(get(t, fsys, testRoot+"/config/lmqConsumerOffset.json"))), "")
	for _, part := range []string{`"lmqOffsetTable":{"%LMQ%q@%LMQ%g":7}`, `"offsetTable":{"%LMQ%q@g":{0:6},"T@g":{0:5}}`} {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %s", text, part)
		}
	}
	tb, err = Open(fsys, testRoot, Options{LightOffsets: true})
	must(t, err)
	at(tb, "%LMQ%g", "%LMQ%q", 7)
	at(tb, "g", "%LMQ%q", 6)
	must(t, tb.Close())
	// What Java wrote wins when there is no journal.
	must(t, fsys.RemoveAll(testRoot+"/cometmq"))
	put(t, fsys, testRoot+"/config/lmqConsumerOffset.json", []byte(`{"lmqOffsetTable":{"%LMQ%q@%LMQ%g":9},"offsetTable":{}}`))
	tb, err = Open(fsys, testRoot, Options{LightOffsets: true})
	must(t, err)
	at(tb, "%LMQ%g", "%LMQ%q", 9)
	must(t, tb.Close())
}
