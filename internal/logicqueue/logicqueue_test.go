package logicqueue_test

import (
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/logicqueue"
)

// javaText is what mqadmin 5.5.0 sends with code 513 in the first step of a remapping.
const javaText = `{"bname":"broker-b","currIdMap":{},"dirty":false,"epoch":1795358693727,"hostedQueues":{0:[` +
	`{"bname":"broker-a","endOffset":-1,"gen":0,"logicOffset":0,"queueId":1,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1},` +
	`{"bname":"broker-b","endOffset":-1,"gen":1,"logicOffset":-1,"queueId":0,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}]},` +
	`"scope":"__global__","topic":"T","totalQueues":2}`

func mapping(t *testing.T) *logicqueue.Mapping {
	t.Helper()
	m, err := logicqueue.Parse([]byte(javaText))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTextIsJavas(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	if got := string(m.JSON()); got != javaText {
		t.Errorf("written as %s", got)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	if !m.Equal(m.Clone()) {
		t.Error("a clone is not equal")
	}
	if got := logicqueue.MockBroker(m.Scope); got != "__syslo__global__" {
		t.Errorf("mock broker %s", got)
	}
	if led := m.Led(); len(led) != 1 || led[0] != 0 || m.Current()[0] != 0 {
		t.Errorf("leads %v, %v", led, m.Current())
	}
	for _, bad := range []string{"", "[]", `{"hostedQueues":{"x":[]}}`, `{"hostedQueues":{0:1}}`, `{"hostedQueues":{4294967296:[]}}`} {
		if _, err := logicqueue.Parse([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	l := logicqueue.Items{
		{Gen: 0, Broker: "a", Logic: 0, End: -1},
		{Gen: 1, Broker: "b", Queue: 3, Logic: 10000, End: 7},
		{Gen: 2, Broker: "a", Logic: -1, End: -1},
	}
	for at, want := range map[logicqueue.Index]int{-5: 0, 0: 0, 9999: 0, 10000: 1, 1 << 40: 1} {
		if got := l.Find(at); got != want {
			t.Errorf("Find(%d) = %d, want %d", at, got, want)
		}
	}
	if got := l[2:].Find(0); got != -1 {
		t.Errorf("found %d among undecided ones", got)
	}
	if n, ok := l.Next(0); !ok || n != &l[1] {
		t.Error("no next of the first")
	}
	if _, ok := l.Next(1); ok {
		t.Error("an undecided next")
	}
	i := &l[1]
	if i.ToLogic(5) != 10005 || i.ToPhysical(10005) != 5 || i.Loosely(9) != 10007 || i.Floor() != 10007 || l[2].Loosely(5) != -1 {
		t.Errorf("%d %d %d %d %d", i.ToLogic(5), i.ToPhysical(10005), i.Loosely(9), i.Floor(), l[2].Loosely(5))
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	old := mapping(t)
	for _, c := range []struct {
		name, want string
		force      bool
		change     func(m *logicqueue.Mapping)
	}{
		{name: "same", change: func(*logicqueue.Mapping) {}},
		{name: "decided", change: func(m *logicqueue.Mapping) { m.Queues[0][1].Logic = 10000 }},
		{name: "small epoch", want: "small epoch", change: func(m *logicqueue.Mapping) { m.Epoch-- }},
		{name: "forced", force: true, change: func(m *logicqueue.Mapping) { m.Epoch-- }},
		{name: "scope", want: "unmatched scope", change: func(m *logicqueue.Mapping) { m.Scope = "x" }},
		{name: "null data", want: "equal epoch with null data", change: func(m *logicqueue.Mapping) { delete(m.Queues, 0) }},
		{name: "newer without", change: func(m *logicqueue.Mapping) { delete(m.Queues, 0); m.Epoch++ }},
		{name: "no items", want: "null or empty", change: func(m *logicqueue.Mapping) { m.Queues[0] = nil }},
		{name: "other leader", want: "new leader is different", change: func(m *logicqueue.Mapping) { m.Queues[0] = m.Queues[0][:1] }},
		{name: "changed item", want: "cannot change", change: func(m *logicqueue.Mapping) { m.Queues[0][0].Queue = 4; m.Epoch++ }},
		{name: "earliest gone", change: func(m *logicqueue.Mapping) { m.Queues[0] = m.Queues[0][1:] }},
		{name: "negative", want: "should not be negative", change: func(m *logicqueue.Mapping) { m.Queues[0][0].Start = -1 }},
		{name: "huge queue", want: "should not be negative", change: func(m *logicqueue.Mapping) { m.Queues[0][0].Queue = 1 << 30 }},
		{name: "undecided before the last", want: "negative logic offset", change: func(m *logicqueue.Mapping) { m.Queues[0][0].Logic = -1 }},
		{name: "gen", want: "gen dose not", change: func(m *logicqueue.Mapping) { m.Queues[0][1].Gen = 0 }},
		{name: "base", want: "base logic offset", change: func(m *logicqueue.Mapping) { m.Queues[0][1].Logic = 0 }},
		{name: "end", want: "endOffset is smaller", change: func(m *logicqueue.Mapping) { m.Queues[0][0].Start = 5; m.Queues[0][0].End = 4 }},
		{name: "beyond", want: "max logic offset", change: func(m *logicqueue.Mapping) { m.Queues[0][0].End = 11; m.Queues[0][1].Logic = 11 }},
		{name: "many", want: "totalQueues", change: func(m *logicqueue.Mapping) { m.Total = 1 << 30 }},
		{name: "no broker", want: "needs a topic", change: func(m *logicqueue.Mapping) { m.Broker = "" }},
	} {
		next := old.Clone()
		c.change(next)
		m, err := logicqueue.Accept(old, next, c.force)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "" && len(m.Queues[0]) == 0:
			t.Errorf("%s: the old list is gone", c.name)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(javaText))
	f.Add([]byte(`{"hostedQueues":{"0":[{},{"gen":"1"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := logicqueue.Parse(data)
		if err != nil {
			return
		}
		again, err := logicqueue.Parse(m.JSON())
		if err != nil || !again.Equal(m) {
			t.Fatalf("%v: %s became %s", err, m.JSON(), again.JSON())
		}
	})
}
