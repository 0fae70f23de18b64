package membership

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

func TestRegisterBodyIsJavas(t *testing.T) {
	t.Parallel()
	topics := []mq.TopicConfig{
		{Name: "T", ReadQueues: 8, WriteQueues: 4, Perm: 7, Order: true, SysFlag: 1, Attributes: map[string]string{"message.type": "FIFO"}},
		{Name: "U", ReadQueues: 1, WriteQueues: 1, Perm: 6, Filter: "MULTI_TAG"},
	}
	v := mq.DataVersion{Counter: 3, StateVersion: 2, Timestamp: 1795358693727}
	const tail = `},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{}}}`
	const head = `{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":3,"stateVersion":2,"timestamp":1795358693727},` +
		`"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":0},"topicConfigTable":{`
	for _, tt := range []struct {
		perm  mq.Perm
		perms [2]int
	}{{0, [2]int{7, 6}}, {6, [2]int{7, 6}}, {4, [2]int{4, 4}}, {2, [2]int{2, 2}}} {
		o := Options{Perm: tt.perm}.withDefaults()
		want := head + fmt.Sprintf(`"T":{"attributes":{"message.type":"FIFO"},"order":true,"perm":%d,"readQueueNums":8,"topicFilterType":"SINGLE_TAG",`+
			`"topicName":"T","topicSysFlag":1,"writeQueueNums":4},"U":{"attributes":{},"order":false,"perm":%d,"readQueueNums":1,`+
			`"topicFilterType":"MULTI_TAG","topicName":"U","topicSysFlag":0,"writeQueueNums":1}`, tt.perms[0], tt.perms[1]) + tail
		if d := cmp.Diff(want, string(registerBody(&o, topics, v))); d != "" {
			t.Errorf("perm %d: %s", tt.perm, d)
		}
	}
}

// recorder is a Client that answers everything with success.
type recorder struct{ cmds []*remoting.Command }

func (r *recorder) Invoke(_ context.Context, _ string, cmd *remoting.Command) (*remoting.Command, error) {
	r.cmds = append(r.cmds, cmd)
	return &remoting.Command{}, nil
}

func TestManyTopicsAreRegisteredInParts(t *testing.T) {
	t.Parallel()
	topics := make([]mq.TopicConfig, 2*chunkTopics+1)
	for i := range topics {
		topics[i] = mq.TopicConfig{Name: fmt.Sprint("t", i)}
	}
	v := mq.DataVersion{Counter: 5, Timestamp: 1000}
	rec := &recorder{}
	r := New(Options{NameServers: []string{"a"}, Client: rec, Topics: func() ([]mq.TopicConfig, mq.DataVersion) { return topics, v }})
	if err := r.servers()[0].register(t.Context(), topics, v); err != nil {
		t.Fatal(err)
	}
	total := 0
	seen := map[int64]bool{}
	for i, c := range rec.cmds {
		n := strings.Count(string(c.Body), `"topicName"`)
		if n > chunkTopics || len(c.Body) > protocol.MaxFrame/2 {
			t.Errorf("part %d: %d topics, %d bytes", i, n, len(c.Body))
		}
		total += n
		_, rest, _ := strings.Cut(string(c.Body), `"timestamp":`)
		var ts int64
		if _, err := fmt.Sscanf(rest, "%d", &ts); err != nil || seen[ts] {
			t.Errorf("part %d: timestamp %d, %v", i, ts, err)
		}
		seen[ts] = true
		if last := i == len(rec.cmds)-1; last != (ts == v.Timestamp) {
			t.Errorf("part %d has timestamp %d", i, ts)
		}
	}
	if total != len(topics) || len(rec.cmds) != 3 {
		t.Errorf("%d topics in %d parts", total, len(rec.cmds))
	}
}

func FuzzReadableQueues(f *testing.F) {
	f.Add([]byte(`{"brokerDatas":[],"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":2}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		queues, err := readableQueues("T", body)
		if err != nil {
			return
		}
		for i, q := range queues {
			if q.Topic != "T" || q.ID < 0 || i > 0 && queues[i-1].Broker > q.Broker {
				t.Fatalf("queue %d: %+v", i, q)
			}
		}
	})
}
