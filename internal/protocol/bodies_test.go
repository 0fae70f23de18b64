package protocol

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"testing"
)

func TestHeartbeatOfGoClient(t *testing.T) {
	t.Parallel()
	var h HeartbeatData
	err := h.Decode([]byte(`{"clientID":"1.2.3.4@1","producerDataSet":[{"groupName":"PG"}],"consumerDataSet":[` +
		`{"groupName":"CG","consumeType":"SOMETHING_NEW","messageModel":null,"unitMode":"true","x":{}},` +
		`{"groupName":"C2","subscriptionDataSet":[{"classFilterMode":false,"topic":"T","subString":"*","tagsSet":[],"codeSet":["7",-8],` +
		`"subVersion":"12","expressionType":""}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if h.ClientID != "1.2.3.4@1" || len(h.Producers) != 1 || h.Producers[0] != "PG" || len(h.Consumers) != 2 || h.HeartbeatFingerprint != 0 {
		t.Fatalf("%+v", h)
	}
	if c := h.Consumers[0]; c.ConsumeType != "SOMETHING_NEW" || c.MessageModel != "" || !c.UnitMode || c.SubscriptionDataSet != nil {
		t.Errorf("%+v", c)
	}
	s := h.Consumers[1].SubscriptionDataSet[0]
	if s.ExpressionType != "TAG" || s.SubVersion != 12 || len(s.CodeSet) != 2 || s.CodeSet[0] != 7 || s.CodeSet[1] != -8 {
		t.Errorf("%+v", s)
	}
}

func TestMissingMembersHaveJavasDefaults(t *testing.T) {
	t.Parallel()
	var topic TopicConfig
	var group SubscriptionGroupConfig
	if err := errors.Join(topic.Decode([]byte(`{}`)), group.Decode([]byte(`{"groupName":"g","retryMaxTimes":null}`))); err != nil {
		t.Fatal(err)
	}
	const wantTopic = `{"attributes":{},"order":false,"perm":6,"readQueueNums":16,"topicFilterType":"SINGLE_TAG","topicName":"",` +
		`"topicSysFlag":0,"writeQueueNums":16}`
	if got := string(topic.AppendTo(nil, false)); got != wantTopic {
		t.Errorf("got %s", got)
	}
	const wantGroup = `{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,` +
		`"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"},` +
		`"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}`
	if got := string(group.AppendTo(nil, false)); got != wantGroup {
		t.Errorf("got %s", got)
	}
}

func TestOffsetTableKeysAsText(t *testing.T) {
	t.Parallel()
	var r ResetOffsetBody
	err := r.Decode([]byte(`{"offsetTable":{"{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"T\"}":7,{brokerName:"b",queueId:2,topic:"T"}:"8"}}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:7,{"brokerName":"b","queueId":2,"topic":"T"}:8}}`
	if got := string(r.AppendTo(nil, false)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestReferencesInConfigLists(t *testing.T) {
	t.Parallel()
	var c CreateTopicListRequestBody
	err := c.Decode([]byte(`{"topicConfigList":[{"topicName":"A","attributes":{"+k":"v"}},` +
		`{"topicName":"B","attributes":{"$ref":"$.topicConfigList[0].attributes"}},{"$ref":"$.topicConfigList[0]"}]}`))
	if err != nil || len(c.TopicConfigList) != 3 {
		t.Fatalf("%+v, %v", c, err)
	}
	for i, name := range []string{"A", "B", "A"} {
		if got := c.TopicConfigList[i]; got.TopicName != name || got.Attributes["+k"] != "v" {
			t.Errorf("topic %d: %+v", i, got)
		}
	}
	var g SubscriptionGroupList
	err = g.Decode([]byte(`{"groupConfigList":[{"groupName":"A","groupRetryPolicy":{"type":"EXPONENTIAL"}},` +
		`{"groupName":"B","groupRetryPolicy":{"$ref":"$.groupConfigList[0].groupRetryPolicy"}}]}`))
	if err != nil || string(g.GroupConfigList[1].GroupRetryPolicy) != `{"type":"EXPONENTIAL"}` {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestLongNamesInBatchAck(t *testing.T) {
	t.Parallel()
	var b BatchAckMessageRequestBody
	if err := b.Decode([]byte(`{"acks":[{"consumerGroup":"CG","topic":"T","retry":"1","startOffset":5,"bitSet":"BQI="}]}`)); err != nil {
		t.Fatal(err)
	}
	a := b.Acks[0]
	if a.ConsumerGroup != "CG" || a.Topic != "T" || a.Retry != "1" || a.StartOffset != 5 || !bytes.Equal(a.BitSet, []byte{5, 2}) {
		t.Errorf("%+v", a)
	}
}

func TestBodiesThatAreNoObjects(t *testing.T) {
	t.Parallel()
	for _, src := range []string{"", "null", "[]", `"x"`, "{", "7"} {
		for _, l := range goldenLines(t, "bodies.txt") {
			if b := newBody(l[0]); b != nil {
				if err := b.Decode([]byte(src)); !errors.Is(err, ErrBody) {
					t.Errorf("%s %q: %v", l[0], src, err)
				}
			}
		}
	}
}

func pack(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestCompressedRegistrationOfOldBroker(t *testing.T) {
	t.Parallel()
	sized := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	plain := sized(nil, `{"counter":1}`)
	plain = binary.BigEndian.AppendUint32(plain, 3)
	plain = sized(plain, "T 8 4 6 SINGLE_TAG")
	plain = sized(plain, "nonsense")
	plain = sized(plain, `U 1 1 2 MULTI_TAG {"a":"b c"}`)
	plain = sized(plain, `[]`)
	var r RegisterBrokerBody
	if err := r.DecodeCompressed(pack(t, plain), Version4_9_3); err != nil {
		t.Fatal(err)
	}
	ts := r.Topics.TopicConfigTable
	if r.Topics.DataVersion.Counter != 1 || len(ts) != 2 || ts[0].TopicName != "T" || ts[0].ReadQueueNums != 8 || ts[0].WriteQueueNums != 4 ||
		ts[1].Perm != 2 || ts[1].TopicFilterType != "MULTI_TAG" || ts[1].Attributes["a"] != "b c" {
		t.Errorf("%+v", r)
	}

	huge := binary.BigEndian.AppendUint32(nil, 0x7FFFFFFF)
	if err := r.DecodeCompressed(pack(t, huge), Version4_9_3); !errors.Is(err, ErrBody) {
		t.Errorf("huge length: %v", err)
	}
	bomb := append(binary.BigEndian.AppendUint32(nil, maxRegistration-8), make([]byte, 1<<20)...)
	if err := r.DecodeCompressed(pack(t, bomb), Version4_9_3); !errors.Is(err, ErrBody) {
		t.Errorf("cut chunk: %v", err)
	}
}

func FuzzBodies(f *testing.F) {
	for _, l := range goldenLines(f, "bodies.txt") {
		f.Add(l[0], []byte(l[1]))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		b := newBody(name)
		if b == nil || b.Decode(data) != nil {
			return
		}
		for _, std := range []bool{false, true} {
			text := b.AppendTo(nil, std)
			again := newBody(name)
			if err := again.Decode(text); err != nil {
				t.Fatalf("%s: %q was written as %q: %v", name, data, text, err)
			}
			if second := again.AppendTo(nil, std); !bytes.Equal(second, text) {
				t.Fatalf("%s: %q changed to %q", name, text, second)
			}
		}
	})
}

func FuzzCompressedRegistration(f *testing.F) {
	var r RegisterBrokerBody
	r.Topics.TopicConfigTable = []TopicConfig{{TopicName: "T", TopicFilterType: "SINGLE_TAG"}}
	f.Add(r.AppendCompressed(nil), false)
	f.Add([]byte{0, 0, 0, 2, '{', '}', 0, 0, 0, 0, 0, 0, 0, 2, '[', ']', 0, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, data []byte, plain bool) {
		if plain {
			data = pack(t, data)
		}
		var r, again RegisterBrokerBody
		if r.DecodeCompressed(data, Version5_0_0) != nil {
			return
		}
		if err := again.DecodeCompressed(r.AppendCompressed(nil), Version5_0_0); err != nil {
			t.Fatal(err)
		}
		if a, b := r.AppendTo(nil, false), again.AppendTo(nil, false); !bytes.Equal(a, b) {
			t.Fatalf("%q changed to %q", a, b)
		}
	})
}

func TestControllerBodies(t *testing.T) {
	t.Parallel()
	const set = `{"syncStateSet":[1,3],"syncStateSetEpoch":7}`
	var s SyncStateSet
	if err := s.Decode([]byte(set)); err != nil || string(s.AppendTo(nil, false)) != set {
		t.Errorf("%v %+v", err, s)
	}
	const elected = `{"brokerMemberGroup":{"brokerAddrs":{1:"h:1",2:"h:2"},"brokerName":"b","cluster":"c"},"syncStateSet":[2]}`
	var e ElectMasterResponseBody
	if err := e.Decode([]byte(elected)); err != nil || string(e.AppendTo(nil, false)) != elected {
		t.Errorf("%v %+v", err, e)
	}
	if err := e.Decode([]byte(`{"syncStateSet":[]}`)); err != nil || e.Members != nil || string(e.AppendTo(nil, false)) != `{"syncStateSet":[]}` {
		t.Errorf("%v %+v", err, e)
	}
	const replicas = `{"replicasInfoTable":{"b":{"inSyncReplicas":[{"alive":true,"brokerAddress":"h:1","brokerId":1,"brokerName":"b"}],` +
		`"masterAddress":"h:1","masterBrokerId":1,"masterEpoch":2,"notInSyncReplicas":[],"syncStateSetEpoch":3}}}`
	var r BrokerReplicasInfo
	if err := r.Decode([]byte(replicas)); err != nil || string(r.AppendTo(nil, false)) != replicas {
		t.Errorf("%v %+v", err, r)
	}
	names, err := DecodeNames([]byte(`["a","b"]`))
	if err != nil || string(AppendNames(nil, names)) != `["a","b"]` {
		t.Errorf("%v %v", err, names)
	}
	if _, err := DecodeNames([]byte(`{}`)); !errors.Is(err, ErrBody) {
		t.Errorf("an object as a list: %v", err)
	}
}
