package meta

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// place is one position.
type place struct {
	group, topic string
	queue        int32
}

// absent is the value of a position that nobody committed.
const absent = mq.Index(-1)

// model is what must be found after a crash: for each position the values that it may have, the last one being the current one.
// A kill may bring back anything since the last Sync, a power cut anything since the last fold.
type model struct {
	now    map[place]mq.Index
	synced map[place]map[mq.Index]bool
	folded map[place]map[mq.Index]bool
	topics map[string]int32 // name to write queues: durable at once
	groups map[string]bool
}

func newModel() *model {
	return &model{
		now: map[place]mq.Index{}, synced: map[place]map[mq.Index]bool{}, folded: map[place]map[mq.Index]bool{},
		topics: map[string]int32{}, groups: map[string]bool{},
	}
}

func may(m map[place]map[mq.Index]bool, now map[place]mq.Index, p place, v mq.Index) {
	if m[p] == nil {
		old, ok := now[p]
		if !ok {
			old = absent
		}
		m[p] = map[mq.Index]bool{old: true}
	}
	m[p][v] = true
}

func (m *model) set(p place, v mq.Index) {
	may(m.synced, m.now, p, v)
	may(m.folded, m.now, p, v)
	if v == absent {
		delete(m.now, p)
	} else {
		m.now[p] = v
	}
}

// check compares tables after a crash with what is allowed and makes what was found the present.
func (m *model) check(t *rapid.T, tb *Tables, allowed map[place]map[mq.Index]bool) {
	places := map[place]bool{}
	for p := range m.now {
		places[p] = true
	}
	for p := range allowed {
		places[p] = true
	}
	for p := range places {
		got, ok := tb.Offsets.Query(p.group, p.topic, p.queue)
		if !ok {
			got = absent
		}
		want, certain := m.now[p]
		if !certain {
			want = absent
		}
		if set := allowed[p]; set != nil {
			if !set[got] {
				t.Fatalf("%v: %d after the crash, allowed are %v", p, got, set)
			}
		} else if got != want {
			t.Fatalf("%v: %d after the crash, want %d", p, got, want)
		}
		if got == absent {
			delete(m.now, p)
		} else {
			m.now[p] = got
		}
	}
	found := map[string]int32{}
	entries, _ := tb.Topics.List()
	for _, e := range entries {
		found[e.Name()] = e.Config().WriteQueues
	}
	if !maps.Equal(found, m.topics) {
		t.Fatalf("topics %v, want %v", found, m.topics)
	}
	for name, there := range m.groups {
		if _, ok := tb.Groups.Get(name); ok != there {
			t.Fatalf("group %s: %v, want %v", name, ok, there)
		}
	}
	clear(m.synced)
	// What a kill brought back is in the page cache only: a power cut may still undo it, so m.folded stays.
}

func TestModelOfKillsAndPowerCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem(vfs.MemOptions{})
		if err := errors.Join(fs.MkdirAll(testRoot), fs.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		reopen := func() *Tables {
			tb, err := Open(fs, testRoot, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return tb
		}
		tb := reopen()
		m := newModel()
		ok := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		names := func(kind string) *rapid.Generator[string] {
			return rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("%s%d", kind, rapid.IntRange(0, 3).Draw(t, kind)) })
		}
		group, topicName := names("g"), names("t")
		queue := rapid.Int32Range(0, 2)
		folded := func(err error) {
			ok(err)
			clear(m.folded)
			clear(m.synced)
		}
		drop := func(match func(place) bool) {
			for p := range maps.Clone(m.now) {
				if match(p) {
					m.set(p, absent)
				}
			}
			clear(m.synced) // a deletion is synced
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				p := place{group.Draw(t, "group"), topicName.Draw(t, "topic"), queue.Draw(t, "queue")}
				v := mq.Index(rapid.Int64Range(0, 1000).Draw(t, "at"))
				m.set(p, v)
				tb.Offsets.Commit(p.group, p.topic, p.queue, v)
			},
			"sync": func(*rapid.T) {
				ok(tb.Offsets.Sync())
				clear(m.synced)
			},
			"fold":       func(*rapid.T) { folded(tb.Offsets.Fold()) },
			"foldTables": func(*rapid.T) { ok(errors.Join(tb.Topics.Fold(), tb.Groups.Fold())) },
			"deleteTopicOffsets": func(t *rapid.T) {
				name := topicName.Draw(t, "topic")
				drop(func(p place) bool { return p.topic == name })
				ok(tb.Offsets.DeleteTopic(name))
			},
			"deleteGroupOffsets": func(t *rapid.T) {
				name := group.Draw(t, "group")
				drop(func(p place) bool { return p.group == name })
				ok(tb.Offsets.DeleteGroup(name))
			},
			"putTopic": func(t *rapid.T) {
				c := topic(topicName.Draw(t, "topic"))
				c.WriteQueues = rapid.Int32Range(1, 9).Draw(t, "queues")
				_, _, err := tb.Topics.Put(c)
				ok(err)
				m.topics[c.Name] = c.WriteQueues
			},
			"deleteTopic": func(t *rapid.T) {
				name := topicName.Draw(t, "topic")
				_, _, err := tb.Topics.Delete(name)
				ok(err)
				delete(m.topics, name)
			},
			"group": func(t *rapid.T) {
				name := group.Draw(t, "group")
				if rapid.Bool().Draw(t, "delete") {
					_, _, err := tb.Groups.Delete(name)
					ok(err)
					m.groups[name] = false
					return
				}
				_, _, _, err := tb.Groups.Ensure(name)
				ok(err)
				m.groups[name] = true
			},
			"close": func(*rapid.T) {
				folded(tb.Close())
				tb = reopen()
				m.check(t, tb, nil)
			},
			"kill": func(*rapid.T) {
				fs = fs.CrashClone(nil, vfs.ProcessKill)
				tb = reopen()
				m.check(t, tb, m.synced)
			},
			"killInFold": func(t *rapid.T) {
				left := rapid.IntRange(0, 40).Draw(t, "operations")
				tb.Offsets.led.fs = vfs.NewFaulty(fs, func(vfs.Op) error {
					if left--; left < 0 {
						return errDead
					}
					return nil
				})
				err := tb.Offsets.Fold()
				if err == nil {
					folded(nil)
				}
				fs = fs.CrashClone(nil, vfs.ProcessKill)
				tb = reopen()
				m.check(t, tb, m.synced)
			},
			"powerCut": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				fs = fs.CrashClone(rand.New(rand.NewPCG(seed, 7)), vfs.PowerCut)
				tb = reopen()
				m.check(t, tb, m.folded)
				clear(m.folded) // what survived is on the disk now
			},
		})
	})
}
