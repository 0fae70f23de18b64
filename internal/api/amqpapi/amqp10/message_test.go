package amqp10

import (
	"bytes"
	"reflect"
	"testing"
)

func TestMessagesSurvive(t *testing.T) {
	t.Parallel()
	m := &Message{
		Header: &Header{Durable: Some(true), Priority: 7, TTL: Some[uint32](1000), DeliveryCount: 2}, MessageAnnotations: MapOf(SymbolValue("x-opt-jms-msg-type"), NumValue(Byte, 5)),
		DeliveryAnnotations: MapOf(SymbolValue("d"), Value{}), Properties: &Properties{MessageID: StringValue("id"), Subject: Some("s")},
		ApplicationProperties: MapOf(StringValue("n"), NumValue(Int, 4)), Footer: MapOf(SymbolValue("f"), BoolValue(true)),
	}
	m.SetValue(StringValue("text"))
	got, err := DecodeMessage(m.AppendTo(nil))
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Fatalf("%+v, %v", got, err)
	}
	if text, ok := got.Text(); !ok || string(text) != "text" {
		t.Errorf("%q", text)
	}
	two := append(AppendBinary(appendDescriptor(nil, codeData), []byte("ab")), AppendBinary(appendDescriptor(nil, codeData), []byte("cd"))...)
	if got, err = DecodeMessage(two); err != nil {
		t.Fatal(err)
	}
	if b, err := got.Data(); err != nil || string(b) != "abcd" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSectionsOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	header, props := (&Header{Priority: 4}).AppendTo(nil), (&Properties{}).AppendTo(nil)
	data := AppendBinary(appendDescriptor(nil, codeData), []byte("x"))
	value := AppendValue(appendDescriptor(nil, codeAmqpValue), StringValue("x"))
	for name, b := range map[string][]byte{
		"header twice": append(bytes.Clone(header), header...), "header behind properties": append(props, header...),
		"two values": append(bytes.Clone(value), value...), "data and value": append(data, value...),
		"not a section": (&Accepted{}).AppendTo(nil), "bare value": {codeTrue}, "annotations of a list": {0, codeSmallUlong, codeMessageAnnotations, codeList0},
		"data of a string": {0, codeSmallUlong, codeData, codeStr8, 0}, "sequence of null": {0, codeSmallUlong, codeSequence, codeNull},
	} {
		if m, err := DecodeMessage(b); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func FuzzMessage(f *testing.F) {
	m := &Message{Header: &Header{Priority: 1}, Properties: &Properties{Subject: Some("x")}, ApplicationProperties: MapOf(StringValue("a"), NumValue(Long, 1))}
	m.SetData([]byte("x"))
	f.Add(m.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMessage(b)
		if err != nil {
			return
		}
		enc := m.AppendTo(nil)
		again, err := DecodeMessage(enc)
		if err != nil || !bytes.Equal(again.AppendTo(nil), enc) {
			t.Fatalf("%x: %v", enc, err)
		}
	})
}
