package amqpapi

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const now = 1_700_000_000_000

func str(s string) amqp10.Value { return amqp10.StringValue(s) }

// storedForm is the stored form of an encoded message.
func storedForm(b []byte) ([]byte, record.Props, error) {
	m, err := decode(b)
	if err != nil {
		return nil, nil, err
	}
	return toStored(m, now)
}

// encoded is the AMQP message of a stored one, as it is sent.
func encoded(s *record.Message, textByDefault bool) ([]byte, error) {
	m, err := fromStored(s, textByDefault)
	if err != nil {
		return nil, err
	}
	return m.AppendTo(nil), nil
}

// through stores m and reads it back.
func through(t *testing.T, m *amqp10.Message) (*amqp10.Message, *record.Message) {
	t.Helper()
	body, props, err := storedForm(m.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(body) == 0 {
		t.Error("an empty body is stored")
	}
	s := &record.Message{Topic: []byte("Q"), Body: body, Props: props}
	enc, err := encoded(s, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := amqp10.DecodeMessage(enc)
	if err != nil {
		t.Fatal(err)
	}
	return got, s
}

func prop(s *record.Message, name string) string {
	v, _ := s.Props.Get(name)
	return string(v)
}

func TestTypesOfPropertiesSurvive(t *testing.T) {
	t.Parallel()
	num := amqp10.NumValue
	values := map[string]amqp10.Value{
		"bool": amqp10.BoolValue(true), "false": amqp10.BoolValue(false), "byte": num(amqp10.Byte, -128), "short": num(amqp10.Short, -32768),
		"int": num(amqp10.Int, math.MinInt32), "long": num(amqp10.Long, math.MinInt64), "ubyte": num(amqp10.Ubyte, 255),
		"ushort": num(amqp10.Ushort, 65535), "uint": num(amqp10.Uint, math.MaxUint32), "ulong": num(amqp10.Ulong, -1),
		"float": {Kind: amqp10.Float, Num: uint64(math.Float32bits(0.1))}, "double": {Kind: amqp10.Double, Num: math.Float64bits(0.1)},
		"inf": {Kind: amqp10.Double, Num: math.Float64bits(math.Inf(-1))}, "nan": {Kind: amqp10.Double, Num: math.Float64bits(math.NaN()) ^ 4},
		"char": num(amqp10.Char, 'é'), "time": num(amqp10.Timestamp, now), "text": str("grün"), "empty": str(""), "null": {},
		"digits": str("7"), "TAGS": str("a name of RocketMQ"), "amqpTypes": str("a name of ours"), "a=b,c": num(amqp10.Int, 1),
		"ctl": str("a\x01b\x02c"), "binary": amqp10.BinaryValue([]byte{1, 2}), "uuid": {Kind: amqp10.UUID, Bytes: bytes.Repeat([]byte{3}, 16)},
		"symbol": amqp10.SymbolValue("s"), "min": {Kind: amqp10.Double, Num: 1}, "minus0": {Kind: amqp10.Float, Num: 1 << 31},
	}
	m := &amqp10.Message{}
	m.ApplicationProperties.Kind = amqp10.MapKind
	for k, v := range values {
		m.ApplicationProperties.Items = append(m.ApplicationProperties.Items, str(k), v)
	}
	m.SetData([]byte("x"))
	got, s := through(t, m)
	if n := len(got.ApplicationProperties.Items); n != 2*len(values) {
		t.Errorf("%d properties, not %d", n/2, len(values))
	}
	for k, v := range values {
		if g := got.ApplicationProperties.Get(k); !g.Equal(v) {
			t.Errorf("%s: %+v, not %+v", k, g, v)
		}
	}
	// Other clients read them as text.
	for k, want := range map[string]string{"bool": "true", "long": "-9223372036854775808", "double": "0.1", "float": "0.1", "ulong": "18446744073709551615", "text": "grün", "TAGS": ""} {
		if got := prop(s, k); got != want {
			t.Errorf("property %s is stored as %q", k, got)
		}
	}
}

func TestBodiesSurviveAndAreReadable(t *testing.T) {
	t.Parallel()
	list := amqp10.Value{Kind: amqp10.List, Items: []amqp10.Value{amqp10.NumValue(amqp10.Int, 1), str("two")}}
	for name, c := range map[string]struct {
		set    func(m *amqp10.Message)
		stored string // "": encoded sections
	}{
		"data":       {func(m *amqp10.Message) { m.SetData([]byte("bytes")) }, "bytes"},
		"text":       {func(m *amqp10.Message) { m.SetValue(str("grün")) }, "grün"},
		"empty data": {func(m *amqp10.Message) { m.SetData(nil) }, ""},
		"empty text": {func(m *amqp10.Message) { m.SetValue(str("")) }, ""},
		"null":       {func(m *amqp10.Message) { m.SetValue(amqp10.Value{}) }, ""},
		"map":        {func(m *amqp10.Message) { m.SetValue(amqp10.MapOf(str("a"), amqp10.NumValue(amqp10.Long, 5))) }, ""},
		"sequence": {func(m *amqp10.Message) {
			m.Kind, m.Body = amqp10.SequenceBody, amqp10.AppendValue([]byte{0, 0x53, 0x76}, list)
		}, ""},
	} {
		m := &amqp10.Message{}
		c.set(m)
		got, s := through(t, m)
		if got.Kind != m.Kind || !bytes.Equal(got.Body, m.Body) {
			t.Errorf("%s: %d %x, not %d %x", name, got.Kind, got.Body, m.Kind, m.Body)
		}
		if c.stored != "" && string(s.Body) != c.stored {
			t.Errorf("%s is stored as %q", name, s.Body)
		}
	}
	got, _ := through(t, &amqp10.Message{})
	if v, err := amqp10.NewReader(got.Body).Value(); err != nil || got.Kind != amqp10.ValueBody || !v.Items[1].IsNull() {
		t.Errorf("no body becomes %+v", got)
	}
}

func TestStandardSectionsSurvive(t *testing.T) {
	t.Parallel()
	m := &amqp10.Message{
		Header: &amqp10.Header{Durable: amqp10.Some(true), Priority: 9, TTL: amqp10.Some[uint32](5000), DeliveryCount: 3},
		MessageAnnotations: amqp10.MapOf(
			amqp10.SymbolValue(annMsgType), amqp10.NumValue(amqp10.Byte, 5), amqp10.SymbolValue("x-opt-jms-dest"), amqp10.NumValue(amqp10.Byte, 1),
			amqp10.SymbolValue(annDelivery), amqp10.NumValue(amqp10.Long, now+9000),
		),
		Properties: &amqp10.Properties{
			MessageID: amqp10.Value{Kind: amqp10.UUID, Bytes: bytes.Repeat([]byte{1}, 16)}, UserID: []byte("u"), To: str("Q"), Subject: amqp10.Some("type"),
			ReplyTo: str("back"), CorrelationID: str("c-1"), CreationTime: amqp10.Some[int64](now - 1000), GroupID: amqp10.Some("g"),
			GroupSequence: amqp10.Some[uint32](7), ContentType: "text/plain",
		},
	}
	m.SetValue(str("x"))
	got, s := through(t, m)
	if !reflect.DeepEqual(got.Properties, m.Properties) || !got.MessageAnnotations.Equal(m.MessageAnnotations) {
		t.Errorf("%+v\n%+v", got.Properties, got.MessageAnnotations)
	}
	if h := got.Header; h.Priority != 9 || !h.Durable.V || h.TTL.V != 5000 || h.DeliveryCount != 0 {
		t.Errorf("header %+v", h)
	}
	for name, want := range map[string]string{
		record.PropTags: "type", record.PropKeys: "c-1", record.PropShardingKey: "g", record.PropTimerDeliverMS: "1700000009000",
		propMsgType: "5", propExpiry: "1700000004000",
	} {
		if v := prop(s, name); v != want {
			t.Errorf("%s is %q, not %q", name, v, want)
		}
	}
	if expired(s.Props, now+3999) || !expired(s.Props, now+4000) {
		t.Error("it expires at another time")
	}
	s.Reconsume = 2
	enc, err := encoded(s, false)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := amqp10.DecodeMessage(enc); err != nil || again.Header.DeliveryCount != 2 {
		t.Errorf("delivered again: %+v, %v", again, err)
	}
}

func TestMessagesOfOtherClients(t *testing.T) {
	t.Parallel()
	var p []byte
	for _, kv := range []string{"UNIQ_KEY=ID1", "TAGS=tag", "a=1", "__SHARDINGKEY=g", "a=2", "WAIT=true"} {
		k, v, _ := strings.Cut(kv, "=")
		p = record.AppendProp(p, k, v)
	}
	read := func(p []byte, body string, text bool) *amqp10.Message {
		enc, err := encoded(&record.Message{Topic: []byte("T"), Body: []byte(body), Props: p, BornTime: 5}, text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := amqp10.DecodeMessage(enc)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := read(p, "body", false)
	h := m.Properties
	if h.MessageID.Text() != "ID1" || h.To.Text() != "T" || h.Subject.V != "tag" || h.GroupID.V != "g" || h.CreationTime.V != 5 || !m.Header.Durable.V {
		t.Errorf("%+v", h)
	}
	if a := m.ApplicationProperties; len(a.Items) != 2 || a.Get("a").Text() != "2" {
		t.Errorf("application properties %+v", a)
	}
	if b, err := m.Data(); err != nil || string(b) != "body" {
		t.Errorf("%q %v", b, err)
	}
	if text, ok := read(p, "grün", true).Text(); !ok || string(text) != "grün" {
		t.Error("no text although text is the default")
	}
	if read(p, "\xff", true).Kind != amqp10.DataBody {
		t.Error("text that is not UTF-8")
	}
	if _, ok := read(record.AppendProp(p, propMsgType, "5"), "x", false).Text(); !ok {
		t.Error("no text although the producer says so")
	}
	// What a hostile producer writes into our properties does no harm.
	bad := record.AppendProp(record.AppendProp(p, propTypes, "a=i,=,x,UNIQ_KEY=l,b="), propMore, "!!!")
	if a := read(bad, "x", false).ApplicationProperties; !a.Get("a").Equal(amqp10.NumValue(amqp10.Int, 2)) {
		t.Errorf("%+v", a)
	}
}

func TestIllegalMessagesAreRefused(t *testing.T) {
	t.Parallel()
	big := &amqp10.Message{ApplicationProperties: amqp10.MapOf(str("a"), str(strings.Repeat("x", maxProps)))}
	for name, b := range map[string][]byte{"garbage": []byte("hello"), "properties too long": big.AppendTo(nil)} {
		if _, _, err := storedForm(b); mq.KindOf(err) != mq.KindMessageIllegal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryKindHasACondition(t *testing.T) {
	t.Parallel()
	for k, c := range conditions {
		if !strings.HasPrefix(c, "amqp:") {
			t.Errorf("kind %d has the condition %q", k, c)
		}
	}
	if e := refusal(mq.Errorf(mq.KindTopicNotExist, "gone")); e.Condition != amqp10.CondNotFound || e.Description != "gone" {
		t.Errorf("%v", e)
	}
	if e := refusal(errors.New("x")); e.Condition != amqp10.CondInternal {
		t.Errorf("%v", e)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address string
		caps    []string
		want    place
	}{
		{"Q", nil, place{topic: "Q", group: "JMS_QUEUE_Q"}},
		{"Q", []string{capQueue}, place{topic: "Q", group: "JMS_QUEUE_Q"}},
		{"T", []string{capTopic}, place{topic: "T", subs: true}},
		{"/topics/T", nil, place{topic: "T", subs: true}},
		{"/queues/Q", []string{capTopic}, place{topic: "Q", group: "JMS_QUEUE_Q"}},
		{"T::g", nil, place{topic: "T", group: "g"}},
		{"/topics/T::g", nil, place{topic: "T", group: "g"}},
	} {
		if p, err := parseAddress(c.address, c.caps); err != nil || p != c.want {
			t.Errorf("%s %v: %+v, %v", c.address, c.caps, p, err)
		}
	}
	for _, a := range []string{"", "::g", "Q::", "/queues/"} {
		if p, err := parseAddress(a, nil); err == nil {
			t.Errorf("%q: %+v", a, p)
		}
	}
}

func FuzzStored(f *testing.F) {
	m := &amqp10.Message{Header: &amqp10.Header{}, ApplicationProperties: amqp10.MapOf(str("a"), amqp10.NumValue(amqp10.Int, 1))}
	m.SetValue(str("x"))
	f.Add(m.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, props, err := storedForm(b)
		if err != nil {
			return
		}
		enc, err := encoded(&record.Message{Topic: []byte("Q"), Body: body, Props: props}, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := amqp10.DecodeMessage(enc); err != nil {
			t.Fatal(err)
		}
	})
}
