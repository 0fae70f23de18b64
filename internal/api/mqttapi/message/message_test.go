package message_test

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func stored(tb testing.TB, name string, body []byte, props record.Props) []byte {
	tb.Helper()
	rec, err := (&record.Message{Topic: []byte(name), Body: body, Props: props, BornTime: 5}).AppendTo(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return rec
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, m := range []message.Message{
		{Topic: "t/a/ä", Payload: []byte("hello"), QoS: 2, Retain: true, Client: "c1", Expiry: 99, Born: 5, Props: packet.Properties{}.
			WithText(packet.PropContentType, []byte("x/y")).WithUser([]byte("k"), []byte("v\x01")).WithUser([]byte("k"), []byte(""))},
		{Topic: "t", QoS: 0, Born: 5},
	} {
		var r mq.SendRequest
		m.Request(&r, topic.Locate(m.Topic))
		rec := stored(t, r.Topic, r.Body, r.Props)
		got, n, ok, err := message.Read(rec, false)
		if err != nil || !ok || n != len(rec) {
			t.Fatal(n, ok, err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPropertiesOfTheGateway(t *testing.T) {
	t.Parallel()
	m := message.Message{Topic: "t/a", QoS: 1, Client: "c", Clean: true, Unique: "U"}
	var r mq.SendRequest
	m.Request(&r, topic.Locate(m.Topic))
	got := map[string]string{}
	r.Props.ForEach(func(k, v []byte) bool {
		got[string(k)] = string(v)
		return true
	})
	want := map[string]string{
		"TAGS": "MQTT_COMMON", "UNIQ_KEY": "U", "originMqttTopic": "t/a", "IS_EMPTY_MSG": "true", "qosLevel": "1", "cleanSessionFlag": "true",
		"clientId": "c", "retryTimes": "0", "extData": `{"qosLevel":"1"}`, "INNER_MULTI_DISPATCH": "%LMQ%t%a%",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Topic != "t" || string(r.Body) != "★\r\n\t☀" {
		t.Errorf("topic %q, body %q", r.Topic, r.Body)
	}
}

func TestMessagesOfProducers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		props  string
		bridge bool
		topic  string // "" = it is not for MQTT
	}{
		{"", false, ""},
		{"", true, "t"},
		{"TAGS\x01x\x02", true, "t/x"},
		{"TAGS\x01x\x02mqttTopic\x01t/y\x02", true, "t/y"},
		{"mqttTopic\x01t/y\x02", false, "t/y"},
		{"INNER_MULTI_DISPATCH\x01%LMQ%t%#%,%LMQ%t%a%\x02", false, "t/a/"},
		{"INNER_MULTI_DISPATCH\x01%LMQ%t%a%\x02originMqttTopic\x01t/a\x02", false, "t/a"},
	} {
		m, _, ok, err := message.Read(stored(t, "t", []byte("x"), record.Props(c.props)), c.bridge)
		if err != nil || ok != (c.topic != "") || m.Topic != c.topic {
			t.Errorf("%q: %q, %v, %v", c.props, m.Topic, ok, err)
		}
	}
	m, _, _, err := message.Read(stored(t, "t", []byte("x"), record.Props("KEYS\x01k\x02colour\x01red\x02UNIQ_KEY\x01U\x02WAIT\x01true\x02")), true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(packet.Properties{}.WithUser([]byte("colour"), []byte("red")), m.Props); diff != "" {
		t.Error(diff)
	}
}

func TestPackedBodies(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write([]byte("hello")); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{packed.String(): "hello", "damaged": "damaged", packed.String()[:8]: packed.String()[:8]} {
		rec, err := (&record.Message{Topic: []byte("t"), Body: []byte(body), SysFlag: record.SysFlagCompressed}).AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if m, _, _, err := message.Read(rec, true); err != nil || string(m.Payload) != want {
			t.Errorf("%q: %q, %v", body, m.Payload, err)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	m := message.Message{Expiry: 10_000}
	for now, want := range map[int64]uint32{0: 10, 1: 10, 9_000: 1, 9_999: 1} {
		if got, ok := m.Left(now); !ok || got != want {
			t.Errorf("at %d: %d s", now, got)
		}
	}
	if _, ok := m.Left(10_000); ok {
		t.Error("it is not over")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(stored(f, "t", []byte("x"), record.Props("originMqttTopic\x01t/a\x02mqttProps\x01AyYAAA\x02mqttExpiry\x01x\x02")))
	f.Fuzz(func(t *testing.T, rec []byte) {
		m, n, ok, err := message.Read(rec, true)
		if err == nil && (n <= 0 || n > len(rec) || m.QoS > 2) {
			t.Fatal(n, ok, m.QoS)
		}
	})
}
