package protocol

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The golden files are made by test/golden/json.

func goldenLines(tb testing.TB, name string) [][]string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "java", "5.5.0", name))
	if err != nil {
		tb.Fatal(err)
	}
	var lines [][]string
	for line := range strings.Lines(string(data)) {
		lines = append(lines, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return lines
}

type body interface {
	Decode(data []byte) error
	AppendTo(dst []byte, std bool) []byte
}

func newBody(name string) body {
	switch name {
	case "TopicRouteData":
		return new(TopicRouteData)
	case "ClusterInfo":
		return new(ClusterInfo)
	case "GetBrokerMemberGroupResponseBody":
		return new(GetBrokerMemberGroupResponseBody)
	case "TopicList":
		return new(TopicList)
	case "KVTable":
		return new(KVTable)
	case "DataVersion":
		return new(DataVersion)
	case "TopicConfig":
		return new(TopicConfig)
	case "CreateTopicListRequestBody":
		return new(CreateTopicListRequestBody)
	case "TopicConfigAndMappingSerializeWrapper":
		return new(TopicConfigAndMappingSerializeWrapper)
	case "RegisterBrokerBody":
		return new(RegisterBrokerBody)
	case "SubscriptionGroupConfig":
		return new(SubscriptionGroupConfig)
	case "SubscriptionGroupList":
		return new(SubscriptionGroupList)
	case "SubscriptionGroupWrapper":
		return new(SubscriptionGroupWrapper)
	case "HeartbeatData":
		return new(HeartbeatData)
	case "GetConsumerListByGroupResponseBody":
		return new(GetConsumerListByGroupResponseBody)
	case "CheckClientRequestBody":
		return new(CheckClientRequestBody)
	case "LockBatchRequestBody", "UnlockBatchRequestBody":
		return new(LockBatchRequestBody)
	case "LockBatchResponseBody":
		return new(LockBatchResponseBody)
	case "QueryAssignmentRequestBody":
		return new(QueryAssignmentRequestBody)
	case "QueryAssignmentResponseBody":
		return new(QueryAssignmentResponseBody)
	case "SetMessageRequestModeRequestBody":
		return new(SetMessageRequestModeRequestBody)
	case "MessageRequestModeSerializeWrapper":
		return new(MessageRequestModeSerializeWrapper)
	case "ConsumeMessageDirectlyResult":
		return new(ConsumeMessageDirectlyResult)
	}
	return newStatsBody(name)
}

func newStatsBody(name string) body {
	switch name {
	case "TopicStatsTable":
		return new(TopicStatsTable)
	case "ConsumeStats":
		return new(ConsumeStats)
	case "ConsumeStatsList":
		return new(ConsumeStatsList)
	case "ConsumerConnection":
		return new(ConsumerConnection)
	case "ProducerConnection":
		return new(ProducerConnection)
	case "ProducerTableInfo":
		return new(ProducerTableInfo)
	case "GroupList":
		return new(GroupList)
	case "QuerySubscriptionResponseBody":
		return new(QuerySubscriptionResponseBody)
	case "QueryConsumeTimeSpanBody":
		return new(QueryConsumeTimeSpanBody)
	case "QueryConsumeQueueResponseBody":
		return new(QueryConsumeQueueResponseBody)
	case "BrokerStatsData":
		return new(BrokerStatsData)
	case "ConsumerOffsetSerializeWrapper":
		return new(ConsumerOffsetSerializeWrapper)
	case "ResetOffsetBody":
		return new(ResetOffsetBody)
	case "ResetOffsetBodyForC":
		return new(ResetOffsetBodyForC)
	case "GetConsumerStatusBody":
		return new(GetConsumerStatusBody)
	case "BatchAckMessageRequestBody":
		return new(BatchAckMessageRequestBody)
	}
	return nil
}

func TestBodiesEqualJavas(t *testing.T) {
	t.Parallel()
	lines := goldenLines(t, "bodies.txt")
	if len(lines) < 45 {
		t.Errorf("only %d bodies", len(lines))
	}
	for _, l := range lines {
		name, form, _ := strings.Cut(l[0], ".")
		if form == "compressed" {
			continue
		}
		b := newBody(name)
		if b == nil {
			t.Errorf("nobody reads %s", name)
			continue
		}
		if err := b.Decode([]byte(l[1])); err != nil {
			t.Errorf("%s: %v", l[1], err)
			continue
		}
		if got := string(b.AppendTo(nil, form == "standard")); got != l[1] {
			t.Errorf("%s:\n%s\nwant\n%s", l[0], got, l[1])
		}
	}
}

func TestCompressedRegistrationOfJava(t *testing.T) {
	t.Parallel()
	var plain, r RegisterBrokerBody
	var packed []byte
	for _, l := range goldenLines(t, "bodies.txt") {
		var err error
		switch l[0] {
		case "RegisterBrokerBody":
			err = plain.Decode([]byte(l[1]))
		case "RegisterBrokerBody.compressed":
			packed, err = hex.DecodeString(l[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.DecodeCompressed(packed, Version5_0_0); err != nil {
		t.Fatal(err)
	}
	// What the compressed form cannot say.
	plain.Topics.MappingDataVersion = DataVersion{}
	plain.Topics.TopicConfigTable[0].Order = false
	plain.Topics.TopicConfigTable[0].TopicSysFlag = 0
	want := string(plain.AppendTo(nil, false))
	if got := string(r.AppendTo(nil, false)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	var again RegisterBrokerBody
	if err := again.DecodeCompressed(r.AppendCompressed([]byte(nil)), Version5_0_0); err != nil {
		t.Fatal(err)
	}
	if got := string(again.AppendTo(nil, false)); got != want {
		t.Errorf("through our own form: got %s\nwant %s", got, want)
	}
	var old RegisterBrokerBody
	if err := old.DecodeCompressed(packed, Version4_9_4); err != nil || len(old.Topics.TopicQueueMappingInfoMap) != 0 {
		t.Errorf("a 4.9 broker sends no mappings: %+v, %v", old.Topics, err)
	}
	for n := range packed {
		if err := again.DecodeCompressed(packed[:n], Version5_0_0); err == nil {
			t.Errorf("cut at %d: no error", n)
		}
	}
}

func TestFramesOfJava(t *testing.T) {
	t.Parallel()
	for _, l := range goldenLines(t, "frames.txt") {
		name := l[0] + " " + l[1]
		frame, err := hex.DecodeString(l[2])
		if err != nil {
			t.Fatal(err)
		}
		var h Header
		body := decodeFrame(t, frame, &h)
		if h.Opaque != 77 || h.Version != 479 || h.Language != LanguageJava {
			t.Errorf("%s: %+v", name, h)
		}
		typed := goldenHeader(t, l[1], &h, body)
		if typed == nil {
			continue
		}
		// What we write of it must say the same: the order of the fields is a matter of Java's hash maps.
		var w FieldWriter
		w.Begin(nil, JSON, &Head{Code: h.Code})
		typed.AppendTo(&w)
		var ours Header
		decodeFrame(t, w.End(0), &ours)
		for _, f := range ours.Fields {
			if v, ok := h.Fields.Get(string(f.Key)); !ok || !bytes.Equal(v, f.Val) {
				t.Errorf("%s: field %s is %q, in Java %q", name, f.Key, f.Val, v)
			}
		}
		for _, f := range h.Fields {
			if _, ok := ours.Fields.Get(string(f.Key)); !ok && !isDefault(f) {
				t.Errorf("%s: field %s=%s is lost", name, f.Key, f.Val)
			}
		}
	}
}

// isDefault reports whether an optional field says no more than its absence.
func isDefault(f Field) bool {
	return slices.Contains([]string{"", "0", "false"}, string(f.Val))
}

func goldenHeader(t *testing.T, name string, h *Header, body []byte) header {
	t.Helper()
	switch name {
	case "SendMessageRequestHeaderV2", "SendMessageRequestHeader":
		var v1 SendMessageRequestHeader
		var typed header = &v1
		maxReconsume := int32(16)
		if name == "SendMessageRequestHeaderV2" {
			var v2 SendMessageRequestHeaderV2
			if err := v2.Decode(h.Fields); err != nil {
				t.Error(err)
			}
			v1, typed, maxReconsume = SendMessageRequestHeader(v2), &v2, -1
		} else if err := v1.Decode(h.Fields); err != nil {
			t.Error(err)
		}
		want := SendMessageRequestHeader{
			ProducerGroup: "PG", Topic: "TopicTest", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 2,
			BornTimestamp: 1795358693727, Flag: -1, MaxReconsumeTimes: maxReconsume, BrokerName: "broker-a",
			Properties: "UNIQ_KEY\x017F00000100002A9F00000000000F4240\x02WAIT\x01true\x02",
		}
		if v1 != want || string(body) != "body" {
			t.Errorf("%s: %+v, body %q", name, v1, body)
		}
		return typed
	case "SendMessageResponseHeader":
		var r SendMessageResponseHeader
		if err := r.Decode(h.Fields); err != nil {
			t.Error(err)
		}
		want := SendMessageResponseHeader{
			MsgID: "7F00000100002A9F00000000000F4240", QueueID: 2, QueueOffset: 1234567, Region: "DefaultRegion", TraceOn: "true",
			TransactionID: "AC110002000A4E25154F5A2BC1D00001",
		}
		if r != want || h.Flag != FlagResponse || h.Remark != nil {
			t.Errorf("%+v, flag %d, remark %q", r, h.Flag, h.Remark)
		}
		return &r
	case "PullMessageResponseHeader":
		var r PullMessageResponseHeader
		if err := r.Decode(h.Fields); err != nil {
			t.Error(err)
		}
		if want := (PullMessageResponseHeader{NextBeginOffset: 10, MaxOffset: 11}); r != want || h.Code != RespPullNotFound {
			t.Errorf("%+v, code %d", r, h.Code)
		}
		if string(h.Remark) != "NO_MATCHED_MESSAGE \"q\" \u4e2d" {
			t.Errorf("remark %q", h.Remark)
		}
		return &r
	}
	if h.Code != ReqHeartBeat || h.Flag != FlagOneway || len(h.Fields) != 0 || string(body) != "{}" {
		t.Errorf("%+v, body %q", h, body)
	}
	return nil
}
