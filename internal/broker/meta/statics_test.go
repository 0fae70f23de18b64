package meta_test

import (
	"path"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// javaStatics is a topicQueueMapping.json as Java 5.5.0 writes it.
const javaStatics = `{
	"dataVersion":{
		"counter":1,
		"stateVersion":0,
		"timestamp":1795358693727
	},
	"topicQueueMappingInfoMap":{
		"T":{
			"bname":"broker-a",
			"currIdMap":{},
			"dirty":false,
			"epoch":1795358693727,
			"hostedQueues":{
				2:[
					{
						"bname":"broker-a",
						"endOffset":-1,
						"gen":0,
						"logicOffset":0,
						"queueId":1,
						"startOffset":0,
						"timeOfEnd":-1,
						"timeOfStart":-1
					}
				]
			},
			"scope":"__global__",
			"topic":"T",
			"totalQueues":4
		}
	}
}`

func TestStaticTopicsOfAJavaStore(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	file := path.Join("/s", "config", "topicQueueMapping.json")
	if err := fs.MkdirAll(path.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fs, file, []byte(javaStatics), false); err != nil {
		t.Fatal(err)
	}
	open := func() *meta.Tables {
		t.Helper()
		tables, err := meta.Open(fs, "/s", meta.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return tables
	}
	tables := open()
	m := tables.Statics.Get("T")
	if m == nil || m.Total != 4 || m.Current()[2] != 1 || tables.Statics.Version().Counter != 1 {
		t.Fatalf("read %+v", m)
	}
	next := m.Clone()
	next.Epoch++
	next.Queues[3] = logicqueue.Items{{Broker: "broker-a", End: -1}}
	if err := tables.Statics.Put(next, false); err != nil {
		t.Fatal(err)
	}
	if err := tables.Statics.Put(m, false); mq.KindOf(err) != mq.KindInternal || !strings.Contains(err.Error(), "small epoch") {
		t.Errorf("an older mapping: %v", err)
	}
	if m.Queues[3] != nil {
		t.Error("a published mapping has changed")
	}
	if err := tables.Close(); err != nil {
		t.Fatal(err)
	}
	// A damaged file is read from the text before; two damaged ones stop the start.
	if err := vfs.WriteFileAtomic(fs, file, tables.Statics.JSON(), true); err != nil {
		t.Fatal(err)
	}
	damage(t, fs, file)
	tables = open()
	if m := tables.Statics.Get("T"); m == nil || !m.Equal(next) || tables.Statics.Version().Counter != 2 {
		t.Errorf("read %+v", m)
	}
	if err := tables.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, fs, file)
	damage(t, fs, file+".bak")
	if _, err := meta.Open(fs, "/s", meta.Options{}); err == nil {
		t.Error("opened with damaged tables")
	}
}

func damage(t *testing.T, fs vfs.FS, file string) {
	t.Helper()
	if err := vfs.WriteFileAtomic(fs, file, []byte(`{"topicQueueMappingInfoMap":{"T":`), false); err != nil {
		t.Fatal(err)
	}
}

func TestStaticTopicsOfASlave(t *testing.T) {
	t.Parallel()
	tables, err := meta.Open(vfs.NewMem(vfs.MemOptions{}), "/s", meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tables.Close() }()
	s := tables.Statics
	if err = s.Become([]byte(javaStatics)); err != nil || s.Get("T") == nil || s.Version().Timestamp != 1795358693727 {
		t.Fatalf("stream: %v, %+v", err, s.Version())
	}
	m := s.Get("T").Clone()
	m.Epoch++
	if err = s.Follow([]mq.TopicConfig{{Name: "U"}, {Name: "T", Static: m}}); err != nil || s.Get("T").Epoch != m.Epoch {
		t.Fatalf("of a Java master: %v", err)
	}
	before := s.Version()
	if err = s.Follow([]mq.TopicConfig{{Name: "T", Static: m}}); err != nil || s.Version() != before {
		t.Errorf("the same once more: %v", err)
	}
	bad := m.Clone()
	bad.Queues[2][0].Start = -1
	if err = s.Follow([]mq.TopicConfig{{Name: "T", Static: bad}}); err == nil || s.Get("T").Epoch != m.Epoch {
		t.Errorf("a wrong mapping: %v", err)
	}
	if err = s.Become([]byte("{")); err == nil {
		t.Error("a text that is cut off")
	}
	if err = s.Follow(nil); err != nil || s.Get("T") != nil {
		t.Errorf("gone: %v", err)
	}
}
