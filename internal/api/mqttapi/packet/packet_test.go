package packet_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
)

// decoded is any packet that was read.
type decoded struct {
	Type packet.Type
	V    any
}

// decode reads one whole packet of version v.
func decode(src []byte, v packet.Version) (decoded, error) {
	head, body, n, _, err := packet.Split(src, packet.MaxRemaining)
	if err != nil {
		return decoded{}, err
	}
	if n != len(src) {
		return decoded{}, errors.New("not one whole packet")
	}
	t, err := packet.Flags(head)
	if err != nil {
		return decoded{}, err
	}
	d := decoded{Type: t}
	switch t {
	case packet.Connect:
		p := new(packet.ConnectPacket)
		d.V, err = p, p.Decode(body)
	case packet.Connack:
		p := new(packet.ConnackPacket)
		d.V, err = p, p.Decode(body, v)
	case packet.Publish:
		p := new(packet.PublishPacket)
		d.V, err = p, p.Decode(head, body, v)
	case packet.Puback, packet.Pubrec, packet.Pubrel, packet.Pubcomp:
		p := new(packet.AckPacket)
		d.V, err = p, p.Decode(t, body, v)
	case packet.Subscribe:
		p := new(packet.SubscribePacket)
		d.V, err = p, p.Decode(body, v)
	case packet.Unsubscribe:
		p := new(packet.UnsubscribePacket)
		d.V, err = p, p.Decode(body, v)
	case packet.Suback, packet.Unsuback:
		p := new(packet.SubackPacket)
		d.V, err = p, p.Decode(t, body, v)
	case packet.Disconnect:
		p := new(packet.DisconnectPacket)
		d.V, err = p, p.Decode(body, v)
	case packet.Auth:
		p := new(packet.AuthPacket)
		d.V, err = p, p.Decode(body, v)
	default:
		err = packet.Empty(body)
	}
	return d, err
}

func encode(d decoded, v packet.Version) []byte {
	switch p := d.V.(type) {
	case *packet.ConnectPacket:
		return p.AppendTo(nil)
	case *packet.ConnackPacket:
		return p.AppendTo(nil, v)
	case *packet.PublishPacket:
		return p.AppendTo(nil, v)
	case *packet.AckPacket:
		return p.AppendTo(nil, d.Type, v)
	case *packet.SubscribePacket:
		return p.AppendTo(nil, v)
	case *packet.UnsubscribePacket:
		return p.AppendTo(nil, v)
	case *packet.SubackPacket:
		return p.AppendTo(nil, d.Type, v)
	case *packet.DisconnectPacket:
		return p.AppendTo(nil, v)
	case *packet.AuthPacket:
		return p.AppendTo(nil)
	}
	if d.Type == packet.Pingreq {
		return packet.AppendPingreq(nil)
	}
	return packet.AppendPingresp(nil)
}

// wire are packets by hand from the tables of the standards.
var wire = []struct {
	name string
	v    packet.Version
	hex  string
}{
	{"connect 3.1", 3, "10 10 0006 4d5149736470 03 02 003c 0002 6162"},
	{"connect 3.1.1 with all", 4, "10 1e 0004 4d515454 04 ee 000a 0001 63 0003 742f77 0002 6869 0001 75 0003 707764"},
	{"connect 5 with properties", 5, "10 1f 0004 4d515454 05 02 003c 10 1100000078 21000a 26 0001 6b 0002 7676 0002 6162"},
	{"connect 5 password only", 5, "10 12 0004 4d515454 05 42 0000 00 0001 61 0002 7077"},
	{"connect 5 with a will of 0 bytes", 5, "10 1b 0004 4d515454 05 0e 0000 00 0001 61 07 1800000005 0100 0001 74 0000"},
	{"connack", 4, "20 02 01 00"},
	{"connack 5", 5, "20 0a 00 00 07 2100ff 2400 2900"},
	{"publish 0", 4, "30 05 0003 612f62"},
	{"publish 2 dup retain", 4, "3d 0a 0003 612f62 0007 780102"},
	{"publish 5", 5, "32 1b 0001 74 000a 13 0101 0200000000 0b80 01 0b07 23 0005 09 0001 00 6869"},
	{"puback", 4, "40 02 0001"},
	{"puback 5 short", 5, "40 02 0001"},
	{"puback 5 reason", 5, "40 03 0001 10"},
	{"pubrec 5", 5, "50 08 0001 87 04 1f 0001 6e"},
	{"pubrel", 5, "62 03 0001 92"},
	{"pubcomp", 4, "70 02 ffff"},
	{"subscribe", 4, "82 0a 0001 0002 742f 01 0000 02"},
	{"subscribe 5", 5, "82 0b 0001 02 0b05 0003 742f23 2e"},
	{"suback", 4, "90 05 0001 00 02 80"},
	{"suback 5", 5, "90 06 0001 00 00 02 97"},
	{"unsubscribe", 4, "a2 05 0001 0001 74"},
	{"unsubscribe 5", 5, "a2 06 0001 00 0001 74"},
	{"unsuback", 4, "b0 02 0001"},
	{"unsuback 5", 5, "b0 04 0001 00 11"},
	{"pingreq", 4, "c0 00"},
	{"pingresp", 4, "d0 00"},
	{"disconnect", 4, "e0 00"},
	{"disconnect 5 with the will", 5, "e0 01 04"},
	{"disconnect 5", 5, "e0 07 00 05 11 00000000"},
	{"auth", 5, "f0 0d 18 0b 15 0001 78 16 0004 00010203"},
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestPacketsOfTheStandard(t *testing.T) {
	t.Parallel()
	for _, c := range wire {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := unhex(t, c.hex)
			d, err := decode(src, c.v)
			if err != nil {
				t.Fatal(err)
			}
			if got := encode(d, c.v); !bytes.Equal(got, src) {
				t.Errorf("written again it is\n%x, want\n%x", got, src)
			}
			// No part of it is a packet, and no part of its body makes a panic.
			for i := range src {
				if _, _, n, _, err := packet.Split(src[:i], packet.MaxRemaining); n != 0 || err != nil {
					t.Errorf("%d bytes: length %d, %v", i, n, err)
				}
			}
		})
	}
}

func TestWhatIsDecoded(t *testing.T) {
	t.Parallel()
	d, err := decode(unhex(t, wire[1].hex), packet.V311)
	if err != nil {
		t.Fatal(err)
	}
	want := &packet.ConnectPacket{
		Version: 4, Clean: true, KeepAlive: 10, ClientID: []byte("c"), User: []byte("u"), Password: []byte("pwd"),
		Will: &packet.Will{QoS: 1, Retain: true, Topic: []byte("t/w"), Payload: []byte("hi")},
	}
	if diff := cmp.Diff(want, d.V); diff != "" {
		t.Error(diff)
	}
	d, err = decode(unhex(t, "82 0b 0001 02 0b05 0003 742f23 2e"), packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	sub := &packet.SubscribePacket{
		ID: 1, Props: packet.Properties{{ID: packet.PropSubscriptionID, Num: 5}},
		Filters: []packet.Subscription{{Filter: []byte("t/#"), QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}},
	}
	if diff := cmp.Diff(sub, d.V); diff != "" {
		t.Error(diff)
	}
}

func TestBadPackets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		v      packet.Version
		hex    string
		reason packet.Reason
	}{
		{"type 0", 4, "00 00", packet.Malformed},
		{"flags of PUBACK", 4, "41 02 0001", packet.Malformed},
		{"flags of SUBSCRIBE", 4, "80 06 0001 0001 74 00", packet.Malformed},
		{"remaining length of 5 bytes", 4, "30 ff ff ff ff 01", packet.Malformed},
		{"not MQTT", 4, "10 0c 0004 48545450 04 02 0000 0000", packet.UnsupportedVersion},
		{"version 6", 4, "10 0c 0004 4d515454 06 02 0000 0000", packet.UnsupportedVersion},
		{"reserved flag", 4, "10 0c 0004 4d515454 04 03 0000 0000", packet.Malformed},
		{"will QoS without will", 4, "10 0c 0004 4d515454 04 0a 0000 0000", packet.Malformed},
		{"will QoS 3", 4, "10 12 0004 4d515454 04 1e 0000 0000 0001 74 0001 61", packet.Malformed},
		{"password without user in 3.1.1", 4, "10 0e 0004 4d515454 04 42 0000 0000 0000", packet.Malformed},
		{"bytes behind CONNECT", 4, "10 0d 0004 4d515454 04 02 0000 0000 00", packet.Malformed},
		{"user name that is not there", 4, "10 0c 0004 4d515454 04 82 0000 0000", packet.Malformed},
		{"receive maximum 0", 5, "10 10 0004 4d515454 05 02 0000 03 210000 0000", packet.ProtocolError},
		{"a property twice", 5, "10 13 0004 4d515454 05 02 0000 06 21000a21000a 0000", packet.ProtocolError},
		{"a property of another packet", 5, "10 10 0004 4d515454 05 02 0000 03 230001 0000", packet.ProtocolError},
		{"an unknown property", 5, "10 0f 0004 4d515454 05 02 0000 02 0401 0000", packet.Malformed},
		{"auth data without method", 5, "10 10 0004 4d515454 05 02 0000 03 160000 0000", packet.ProtocolError},
		{"property that is cut off", 5, "30 05 0000 02 0200", packet.Malformed},
		{"properties longer than the packet", 5, "30 03 0000 7f", packet.Malformed},
		{"boolean of 2", 5, "30 05 0000 02 0102", packet.ProtocolError},
		{"QoS 3", 4, "36 05 0001 74 0001", packet.Malformed},
		{"duplicate of QoS 0", 4, "38 03 0001 74", packet.Malformed},
		{"packet id 0", 4, "32 05 0001 74 0000", packet.ProtocolError},
		{"U+0000", 4, "30 03 0001 00", packet.Malformed},
		{"surrogate", 4, "30 05 0003 eda080", packet.Malformed},
		{"overlong UTF-8", 4, "30 04 0002 c080", packet.Malformed},
		{"no filter", 4, "82 02 0001", packet.ProtocolError},
		{"filter without options", 5, "82 06 0001 00 0001 74", packet.Malformed},
		{"no filter to take back", 4, "a2 02 0001", packet.ProtocolError},
		{"subscription QoS 3", 4, "82 06 0001 0001 74 03", packet.Malformed},
		{"reserved bits in 3.1.1", 4, "82 06 0001 0001 74 04", packet.Malformed},
		{"reserved bits in 5", 5, "82 07 0001 00 0001 74 40", packet.Malformed},
		{"retain handling 3", 5, "82 07 0001 00 0001 74 30", packet.ProtocolError},
		{"subscription id 0", 5, "82 09 0001 02 0b00 0001 74 00", packet.ProtocolError},
		{"bytes behind PUBACK", 4, "40 03 0001 00", packet.Malformed},
		{"body of PINGREQ", 4, "c0 01 00", packet.Malformed},
		{"body of DISCONNECT in 3.1.1", 4, "e0 01 00", packet.Malformed},
		{"AUTH in 3.1.1", 4, "f0 00", packet.ProtocolError},
		{"AUTH with a failure", 5, "f0 02 87 00", packet.ProtocolError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(unhex(t, c.hex), c.v)
			bad, ok := errors.AsType[*packet.Error](err)
			if !ok || bad.Reason != c.reason {
				t.Errorf("%v, want reason %#x", err, byte(c.reason))
			}
		})
	}
}

func TestTooLargeBeforeItHasCome(t *testing.T) {
	t.Parallel()
	_, _, _, _, err := packet.Split(unhex(t, "30 8001"), 130)
	if bad, ok := errors.AsType[*packet.Error](err); !ok || bad.Reason != packet.TooLarge {
		t.Error(err)
	}
	if _, _, n, need, err := packet.Split(unhex(t, "30 8001"), 131); n != 0 || need != 131 || err != nil {
		t.Error(n, need, err)
	}
}

func FuzzPacket(f *testing.F) {
	for _, c := range wire {
		f.Add(unhex(f, c.hex), byte(c.v))
	}
	f.Fuzz(func(t *testing.T, src []byte, version byte) {
		v := packet.Version(3 + version%3)
		head, _, n, _, err := packet.Split(src, 1<<20)
		if err != nil || n == 0 {
			return
		}
		d, err := decode(src[:n], v)
		if err != nil {
			if bad, ok := errors.AsType[*packet.Error](err); !ok || !bad.Reason.Failed() || bad.Text == "" {
				t.Fatalf("packet %x: %v", head, err)
			}
			return
		}
		again := encode(d, v)
		d2, err := decode(again, v)
		if err != nil {
			t.Fatalf("%x was read, written as %x, and then: %v", src[:n], again, err)
		}
		if third := encode(d2, v); !bytes.Equal(third, again) {
			t.Fatalf("%x becomes %x", again, third)
		}
	})
}
