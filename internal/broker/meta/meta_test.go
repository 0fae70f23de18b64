package meta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testRoot = "/store"

var (
	topicsJSON  = path.Join(testRoot, "config/topics.json")
	groupsJSON  = path.Join(testRoot, "config/subscriptionGroup.json")
	offsetsJSON = path.Join(testRoot, "config/consumerOffset.json")
)

func newMem(tb testing.TB) *vfs.Mem {
	tb.Helper()
	m := vfs.NewMem(vfs.MemOptions{})
	must(tb, m.MkdirAll(testRoot))
	must(tb, m.SyncDir("/"))
	return m
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func open(tb testing.TB, fsys vfs.FS) *Tables {
	tb.Helper()
	tables, err := Open(fsys, testRoot, Options{Now: func() time.Time { return time.UnixMilli(1700000000000) }})
	must(tb, err)
	return tables
}

// put writes a file as another program would.
func put(tb testing.TB, fsys vfs.FS, name string, data []byte) {
	tb.Helper()
	must(tb, fsys.MkdirAll(path.Dir(name)))
	f, err := fsys.Create(name)
	must(tb, err)
	_, err = f.WriteAt(data, 0)
	must(tb, err)
	must(tb, f.Sync())
	must(tb, f.Close())
	must(tb, fsys.SyncDir(path.Dir(name)))
}

func get(tb testing.TB, fsys vfs.FS, name string) []byte {
	tb.Helper()
	data, err := vfs.ReadFile(fsys, name)
	must(tb, err)
	return data
}

func javaFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/java/5.5.0/" + name)
	must(tb, err)
	return data
}

// lines returns the lines of a pretty text without commas, sorted: Java's maps have no order.
func lines(text []byte) []string {
	out := strings.Split(strings.ReplaceAll(string(text), ",\n", "\n"), "\n")
	slices.Sort(out)
	return out
}

func topic(name string) mq.TopicConfig {
	return mq.TopicConfig{Name: name, ReadQueues: 8, WriteQueues: 8, Perm: 6}
}

func TestFilesOfJavaAreReadAndWrittenAsJavaDoes(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	files := map[string]string{topicsJSON: "topics.json", groupsJSON: "subscriptionGroup.json", offsetsJSON: "consumerOffset.json"}
	for file, name := range files {
		put(t, m, file, javaFile(t, name))
	}
	other := path.Join(testRoot, "config/delayOffset.json")
	put(t, m, other, []byte(`{"offsetTable":{3:10}}`))
	tb := open(t, m)

	if n := tb.Topics.Len(); n != 19 {
		t.Errorf("%d topics, want 19", n)
	}
	test, ok := tb.Topics.Get("TopicTest")
	if !ok || test.Config().ReadQueues != 4 || test.Config().Perm != 6 || test.Config().Filter != "SINGLE_TAG" {
		t.Errorf("TopicTest = %+v", test)
	}
	bcq, ok := tb.Topics.Get("New1917040738")
	if !ok || bcq.Config().Attributes["queue.type"] != "BatchCQ" {
		t.Error("attributes are lost")
	}
	if v := tb.Topics.Version(); v.Counter != 4 || v.Timestamp != 1795368707754 {
		t.Errorf("version %+v", v)
	}
	if b := tb.Groups.Forbidden("g1", "TopicTest"); b != 4 {
		t.Errorf("forbidden = %d, want 4", b)
	}
	g2, _ := tb.Groups.Get("g2")
	if got := string(g2.Config().RetryPolicy); !strings.Contains(got, `"max":7200000`) {
		t.Errorf("retry policy %s", got)
	}
	if at, ok := tb.Offsets.Query("g2", "TopicTest", 0); !ok || at != 1199 {
		t.Errorf("offset %d %v", at, ok)
	}
	if _, ok := tb.Offsets.Query("g2", "TopicTest", 1); ok {
		t.Error("an offset that nobody committed")
	}
	if v := tb.Offsets.Version(); v.Counter != 2 {
		t.Errorf("version %+v", v)
	}

	// Written back, the texts differ in the order of Java's hash maps only.
	texts := map[string][]byte{
		topicsJSON: tb.Topics.snapshot()(), groupsJSON: tb.Groups.snapshot()(), offsetsJSON: tb.Offsets.snapshot()(),
	}
	for file, name := range files {
		if want := javaFile(t, name); !slices.Equal(lines(texts[file]), lines(want)) {
			t.Errorf("%s:\n%s\nwant, in any order:\n%s", name, texts[file], want)
		}
	}
	must(t, tb.Close())
	if got := string(get(t, m, other)); got != `{"offsetTable":{3:10}}` {
		t.Errorf("a file that is not ours was changed: %s", got)
	}
}

func TestClosingAnUnchangedTableWritesNothing(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	put(t, m, topicsJSON, javaFile(t, "topics.json"))
	put(t, m, groupsJSON, javaFile(t, "subscriptionGroup.json"))
	put(t, m, offsetsJSON, javaFile(t, "consumerOffset.json"))
	tb := open(t, m)
	must(t, tb.Close())
	for file, name := range map[string]string{topicsJSON: "topics.json", groupsJSON: "subscriptionGroup.json", offsetsJSON: "consumerOffset.json"} {
		if got := get(t, m, file); !bytes.Equal(got, javaFile(t, name)) {
			t.Errorf("%s was rewritten", file)
		}
	}
	if ents, err := m.ReadDir(path.Join(testRoot, "cometmq")); err != nil || len(ents) != 0 {
		t.Errorf("journals without a change: %v %v", ents, err)
	}
}

func TestUnknownMembersAreKept(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	put(t, m, topicsJSON, []byte(`{"aaa":[1,{"b":{2:3}}],"dataVersion":{"counter":3,"stateVersion":1,"timestamp":5},
		"topicConfigTable":{'T':{perm:"6","zone":"x","newInt":1.5,"readQueueNums":3,},}, /* by hand */}`))
	put(t, m, offsetsJSON, []byte(`{"offsetTable":{"odd":{1:2},"T@g":{"0":"5",3:7}},"x":null,"pullOffsetTable":{"T@g":{0:9}}}`))
	tb := open(t, m)
	_, _, err := tb.Topics.Put(mq.TopicConfig{Name: "T", ReadQueues: 4, WriteQueues: 5, Perm: 2})
	must(t, err)
	tb.Offsets.Commit("g", "T", 3, 8)
	must(t, tb.Close())
	text := string(get(t, m, topicsJSON))
	for _, want := range []string{`"aaa":[`, `2:3`, "\"newInt\":1.5,\n\t\t\t\"order\":false", `"zone":"x"`, `"writeQueueNums":5`, `"counter":4`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	text = string(get(t, m, offsetsJSON))
	for _, want := range []string{`"odd":{`, `"x":null`, "0:5,\n\t\t\t3:8", "\"pullOffsetTable\":{\n\t\t\"T@g\":{\n\t\t\t0:9"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	tb = open(t, m)
	must(t, tb.Close())
}

func TestPutFollowsJavasAttributeRules(t *testing.T) {
	t.Parallel()
	f := func(t *testing.T, have, request map[string]string, create bool, wantErr string, want map[string]string) {
		t.Helper()
		got, err := alterAttributes(create, knownTopicAttribute, have, request)
		if (err == nil) != (wantErr == "") || (err != nil && err.Error() != wantErr) {
			t.Errorf("%v on %v: error %v, want %q", request, have, err, wantErr)
		}
		if wantErr == "" && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v on %v = %v, want %v", request, have, got, want)
		}
	}
	type m = map[string]string
	fifo := m{"message.type": "FIFO"}
	// Each of these was tried on Java 5.5.0.
	f(t, fifo, m{"+message.type": "X"}, false, "value is not in set: [UNSPECIFIED, MIXED, TRANSACTION, PRIORITY, FIFO, DELAY, LITE, NORMAL]", nil)
	f(t, fifo, m{"+queue.type": "BatchCQ"}, false, "attempt to update an unchangeable attribute. key: queue.type", nil)
	f(t, nil, m{"+queue.type": "BatchCQ"}, true, "", m{"queue.type": "BatchCQ"})
	f(t, nil, m{"+nokey": "1"}, true, "unsupported key: nokey", nil)
	f(t, fifo, m{"message.type": "FIFO"}, false, "wrong format key: essage.type", nil)
	f(t, nil, m{"message.type": "FIFO"}, true, "only add attribute is supported while creating topic. key: essage.type", nil)
	f(t, fifo, m{"-message.type": ""}, false, "", m{})
	f(t, nil, m{"-message.type": ""}, false, "attempt to delete a nonexistent key: message.type", nil)
	f(t, nil, m{"-message.type": ""}, true, "only add attribute is supported while creating topic. key: message.type", nil)
	f(t, nil, m{"+reserve.time": "abc"}, false, `For input string: "abc"`, nil)
	f(t, nil, m{"+reserve.time": "-2"}, false, "value is not in range(-1, 9223372036854775807)", nil)
	f(t, nil, m{"+": "1"}, false, "kv string format wrong.", nil)
	f(t, nil, m{"x": ""}, true, "kv string format wrong.", nil)
	f(t, nil, m{"+reserve.time": "1", "-reserve.time": ""}, false, "key duplication. key: reserve.time", nil)
	f(t, fifo, m{"+message.type": "DELAY", "+reserve.time": "7"}, false, "", m{"message.type": "DELAY", "reserve.time": "7"})
	f(t, fifo, nil, false, "", fifo)
}

func TestTopicsKeepIdentityAndRuntimeAcrossUpdates(t *testing.T) {
	t.Parallel()
	tb := open(t, newMem(t))
	a, v1, err := tb.Topics.Put(topic("T"))
	must(t, err)
	type state struct{ n int }
	st := &state{1}
	if got := a.InitRuntime(st); got != any(st) {
		t.Error("runtime not stored")
	}
	if got := a.InitRuntime(&state{2}); got != any(st) {
		t.Error("runtime replaced")
	}
	c := topic("T")
	c.WriteQueues = 3
	c.Attributes = map[string]string{"+message.type": "FIFO"}
	b, v2, err := tb.Topics.Put(c)
	must(t, err)
	if a != b || a.Runtime() != any(st) || a.Config().WriteQueues != 3 || a.Config().Attributes["message.type"] != "FIFO" {
		t.Errorf("after the update: %+v", a.Config())
	}
	if v2.Counter != v1.Counter+1 {
		t.Errorf("counter %d after %d", v2.Counter, v1.Counter)
	}
	_, _, err = tb.Topics.Put(mq.TopicConfig{Name: "T", Attributes: map[string]string{"+x": "1"}})
	if e := (*mq.Error)(nil); !errors.As(err, &e) || e.Kind != mq.KindInternal || a.Config().WriteQueues != 3 {
		t.Errorf("refused change: %v", err)
	}
	if again, created, _, ensureErr := tb.Topics.Ensure(topic("T")); again != a || created || ensureErr != nil {
		t.Error("Ensure replaced a topic")
	}
	if _, _, err = tb.Topics.Update("nope", func(*mq.TopicConfig) bool { return true }); !errors.Is(err, ErrNotFound) {
		t.Errorf("update of an unknown topic: %v", err)
	}
	deleted, v3, err := tb.Topics.Delete("T")
	must(t, err)
	if !deleted || !a.Gone() || v3.Counter != v2.Counter+1 {
		t.Errorf("delete: %v %v %+v", deleted, a.Gone(), v3)
	}
	if _, ok := tb.Topics.Get("T"); ok {
		t.Error("still there")
	}
	must(t, tb.Close())
}

func TestRunFoldsAndFlushesWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMem(t)
		tb := open(t, m)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tb.Run(ctx) }()
		_, _, err := tb.Topics.Put(topic("T"))
		must(t, err)
		_, _, _, err = tb.Groups.Ensure("g")
		must(t, err)
		tb.Offsets.Commit("g", "T", 0, 42)
		time.Sleep(50 * time.Millisecond)
		if at, ok := open(t, m.CrashClone(nil, vfs.ProcessKill)).Offsets.Query("g", "T", 0); !ok || at != 42 {
			t.Errorf("one-way commit after 50 ms: %d %v", at, ok)
		}
		time.Sleep(550 * time.Millisecond)
		for _, f := range []string{topicsJSON, groupsJSON} {
			if _, err := m.Stat(f); err != nil {
				t.Errorf("after 600 ms: %v", err)
			}
		}
		time.Sleep(5 * time.Second)
		if text := string(get(t, m, offsetsJSON)); !strings.Contains(text, `"T@g":{`) || !strings.Contains(text, "0:42") {
			t.Errorf("after 5.6 s:\n%s", text)
		}
		stop()
		must(t, <-done)
		must(t, tb.Close())
	})
}

func TestRunWritesAgainWhenTheDiskHasRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMem(t)
		tb := open(t, m)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tb.Run(ctx) }()
		u, err := m.Usage(testRoot)
		must(t, err)
		m.SetCapacity(int64(u.Total - u.Avail))
		tb.Offsets.Commit("g", "T", 0, 42)
		time.Sleep(20 * time.Second)
		if _, err = m.Stat(offsetsJSON); err == nil {
			t.Error("written to a full disk")
		}
		m.SetCapacity(1 << 30)
		time.Sleep(1100 * time.Millisecond)
		if at, ok := open(t, m.CrashClone(nil, vfs.ProcessKill)).Offsets.Query("g", "T", 0); !ok || at != 42 {
			t.Errorf("a second after the disk has room: %d %v", at, ok)
		}
		time.Sleep(7 * time.Second)
		if text := string(get(t, m, offsetsJSON)); !strings.Contains(text, "0:42") {
			t.Errorf("no fold:\n%s", text)
		}
		if _, err = m.Stat(offsetsJSON + ".tmp"); err == nil {
			t.Error("a half-written file stays")
		}
		stop()
		must(t, <-done)
		must(t, tb.Close())
	})
}

func TestConcurrentCreationMakesOneTopic(t *testing.T) {
	t.Parallel()
	tb := open(t, newMem(t))
	const n = 8
	made := make(chan bool, n)
	for range n {
		go func() {
			_, created, _, err := tb.Topics.Ensure(topic("T"))
			made <- created && err == nil
		}()
	}
	count := 0
	for range n {
		if <-made {
			count++
		}
	}
	if count != 1 || tb.Topics.Version().Counter != 1 {
		t.Errorf("created %d times, version %+v", count, tb.Topics.Version())
	}
	must(t, tb.Close())
}

func TestSystemTopics(t *testing.T) {
	t.Parallel()
	o := SystemOptions{Cluster: "DefaultCluster", Broker: "broker-a", AutoCreate: true, ClusterTopic: true, BrokerTopic: true, Trace: true, Timer: true}
	m := newMem(t)
	put(t, m, topicsJSON, javaFile(t, "topics.json"))
	java := open(t, m)
	for _, c := range SystemTopics(o) {
		j, ok := java.Topics.Get(c.Name)
		if !ok {
			t.Errorf("%s: Java does not have it", c.Name)
			continue
		}
		if got := j.Config(); got.Perm != c.Perm || got.ReadQueues != c.ReadQueues || got.WriteQueues != c.WriteQueues {
			t.Errorf("%+v, Java has %+v", c, got)
		}
		if !IsSystemTopic(o, c.Name) {
			t.Errorf("%s is not a system topic", c.Name)
		}
	}
	if IsSystemTopic(o, "TopicTest") || IsSystemTopic(SystemOptions{}, "") || !IsSystemTopic(o, "rmq_sys_x") {
		t.Error("IsSystemTopic")
	}
	if !SendForbidden("SCHEDULE_TOPIC_XXXX") || SendForbidden("TBW102") {
		t.Error("SendForbidden")
	}
	must(t, java.Close())

	tb, err := Open(newMem(t), testRoot, Options{SystemTopics: SystemTopics(o)})
	must(t, err)
	if v := tb.Topics.Version(); v.Counter != 0 || tb.Topics.Len() != len(SystemTopics(o)) {
		t.Errorf("%d topics, version %+v", tb.Topics.Len(), v)
	}
	if _, ok := tb.Groups.Get("TOOLS_CONSUMER"); !ok {
		t.Error("no TOOLS_CONSUMER")
	}
	must(t, tb.Close())
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tb := open(t, m)
	_, _, _, err := tb.Groups.Ensure("g")
	must(t, err)
	_, err = tb.Groups.Forbid("g", "T", 2, true)
	must(t, err)
	_, err = tb.Groups.Forbid("g", "U", 1, true)
	must(t, err)
	_, err = tb.Groups.Forbid("g", "U", 1, false)
	must(t, err)
	if _, err = tb.Groups.Forbid("g", "T", 31, true); err == nil {
		t.Error("bit 31")
	}
	killed := open(t, m.CrashClone(nil, vfs.ProcessKill))
	if killed.Groups.Forbidden("g", "T") != 4 || len(killed.Groups.ForbiddenTable()) != 1 {
		t.Errorf("after a kill: %v", killed.Groups.ForbiddenTable())
	}
	_, _, err = tb.Groups.Delete("g")
	must(t, err)
	must(t, tb.Close())
	again := open(t, m)
	if len(again.Groups.ForbiddenTable()) != 0 {
		t.Errorf("after deletion of the group: %v", again.Groups.ForbiddenTable())
	}
	if _, ok := again.Groups.Get("g"); ok {
		t.Error("group is back")
	}
	must(t, again.Close())
	must(t, killed.Close())
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	tb := open(t, newMem(t))
	_, _, err := tb.Topics.Put(topic("T"))
	must(t, err)
	name := []byte("T")
	tb.Offsets.Commit("group", "T", 3, 1)
	n := mq.Index(0)
	for what, f := range map[string]func(){
		"get":      func() { tb.Topics.Get(string(name)) },
		"commit":   func() { n++; tb.Offsets.Commit("group", string(name), 3, n) },
		"query":    func() { tb.Offsets.Query("group", string(name), 3) },
		"forbid":   func() { tb.Groups.Forbidden("group", string(name)) },
		"sync one": func() { n++; tb.Offsets.Commit("group", string(name), 3, n); must(t, tb.Offsets.Sync()) },
	} {
		f()
		want := 0.0
		if what == "sync one" {
			want = 2 // Mem grows its pages
		}
		if got := testing.AllocsPerRun(200, f); got > want {
			t.Errorf("%s: %v allocations", what, got)
		}
	}
	must(t, tb.Close())
}
