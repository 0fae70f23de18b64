package record_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

func TestEncodeDecodeAllHosts(t *testing.T) {
	t.Parallel()
	hosts := []netip.AddrPort{
		netip.MustParseAddrPort("1.2.3.4:65535"), netip.MustParseAddrPort("[2001:db8::7]:10911"),
		netip.MustParseAddrPort("[::ffff:9.8.7.6]:80"),
		{},
	}
	for _, born := range hosts {
		for _, store := range hosts {
			m := record.Message{
				QueueID: 3, Flag: -1, Index: 1 << 40, Offset: 1 << 41, SysFlag: record.SysFlagCompressed | record.SysFlagBornV6,
				BornTime: 5, BornHost: born, StoreTime: 6, StoreHost: store, Reconsume: 16, PreparedOffset: 77,
				Body: []byte("body"), Topic: []byte("t"), Props: record.Props("a\x01b\x02"),
			}
			b, err := m.AppendTo(nil)
			if err != nil {
				t.Fatal(err)
			}
			record.Patch(b, m.Index, m.Offset, 1234)
			var d record.Message
			n, err := record.Decode(b, &d, true)
			if n != len(b) || err != nil {
				t.Fatalf("%v %v: decode %d of %d, %v", born, store, n, len(b), err)
			}
			if d.Index != m.Index || d.Offset != m.Offset || d.StoreTime != 1234 || d.Reconsume != 16 ||
				d.PreparedOffset != 77 || d.Flag != -1 || d.QueueID != 3 || d.BornTime != 5 ||
				string(d.Body) != "body" || string(d.Topic) != "t" || string(d.Props) != "a\x01b\x02" {
				t.Errorf("%v %v: %+v", born, store, d)
			}
			if born.IsValid() && d.BornHost != netip.AddrPortFrom(born.Addr().Unmap(), born.Port()) ||
				d.SysFlag&record.SysFlagBornV6 != 0 != d.BornHost.Addr().Is6() {
				t.Errorf("born host %v became %v, flag %x", born, d.BornHost, d.SysFlag)
			}
			h, err := record.Header(b[:min(len(b), record.FixedSize)])
			if err != nil || h.Size != len(b) || h.StoreTime != 1234 || h.BodyLen != 4 || h.Offset != m.Offset {
				t.Errorf("header %+v, %v", h, err)
			}
			topic, props, err := h.Tail(b)
			if err != nil || string(topic) != "t" || string(props) != "a\x01b\x02" || string(h.Body(b)) != "body" {
				t.Errorf("tail %q %q, %v", topic, props, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	f := func(name string, m record.Message, want error) {
		t.Helper()
		dst := []byte("x")
		b, err := m.AppendTo(dst)
		if !errors.Is(err, want) || want != nil && len(b) != 1 {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if want != nil {
			return
		}
		var d record.Message
		if _, err := record.Decode(b[1:], &d, true); err != nil {
			t.Errorf("%s: decode %v", name, err)
		}
	}
	props := record.Props("k\x01" + strings.Repeat("v", record.MaxProps-3) + "\x02")
	f("nothing", record.Message{}, nil)
	f("largest properties", record.Message{Props: props}, nil)
	f("too large properties", record.Message{Props: append(props, 'x')}, record.ErrPropsTooLong)
	f("no room for the CRC", record.Message{Props: props[:record.MaxProps-19], ReserveCRC: true}, record.ErrPropsTooLong)
	f("just room for the CRC", record.Message{Props: props[:record.MaxProps-21], ReserveCRC: true}, nil)
	f("V1 topic", record.Message{Topic: bytes.Repeat([]byte("t"), 127)}, nil)
	f("V2 topic", record.Message{Topic: bytes.Repeat([]byte("t"), 128)}, nil)
	f("too long topic", record.Message{Topic: make([]byte, record.MaxTopic+1)}, record.ErrTopicTooLong)
}

func TestDecodeFindsEachDefect(t *testing.T) {
	t.Parallel()
	good := unhex(t, g1)
	f := func(name string, change func(b []byte) []byte, want error, wantN int) {
		t.Helper()
		b := change(bytes.Clone(good))
		n, err := record.Decode(b, &record.Message{}, true)
		if !errors.Is(err, want) || n != wantN {
			t.Errorf("%s: %d, %v; want %d, %v", name, n, err, wantN, want)
		}
	}
	f("empty", func([]byte) []byte { return nil }, record.ErrShort, 0)
	f("seven bytes", func(b []byte) []byte { return b[:7] }, record.ErrShort, 0)
	f("zeros", func(b []byte) []byte { clear(b); return b }, record.ErrMagic, 0)
	for n := 8; n < len(good); n++ {
		f("cut", func(b []byte) []byte { return b[:n] }, record.ErrShort, len(good))
	}
	f("size negative", func(b []byte) []byte { b[0] = 0xFF; return b }, record.ErrLayout, 0)
	f("size small", func(b []byte) []byte { b[3] = 90; return b }, record.ErrLayout, 0)
	f("size one less", func(b []byte) []byte { b[3]--; return b }, record.ErrLayout, len(good)-1)
	f("body flipped", func(b []byte) []byte { b[89] ^= 1; return b }, record.ErrCRC, len(good))
	f("CRC flipped", func(b []byte) []byte { b[9] ^= 1; return b }, record.ErrCRC, len(good))
	f("body length", func(b []byte) []byte { b[84] = 0x80; return b }, record.ErrLayout, len(good))
	f("body longer", func(b []byte) []byte { b[86] = 1; return b }, record.ErrLayout, len(good))
	f("topic length", func(b []byte) []byte { b[93] = 0x80; return b }, record.ErrLayout, len(good))
	f("props length", func(b []byte) []byte { b[103] = 0x80; return b }, record.ErrLayout, len(good))
	f("host family", func(b []byte) []byte { b[39] |= 0x30; return b }, record.ErrLayout, len(good))
	var ce *record.CorruptError
	if _, err := record.Header(make([]byte, 100)); !errors.As(err, &ce) {
		t.Errorf("%v is no CorruptError", err)
	}
	bad := bytes.Clone(good)
	bad[89] ^= 1
	if _, err := record.Decode(bad, &record.Message{}, false); err != nil {
		t.Errorf("without check: %v", err)
	}
}

func TestProps(t *testing.T) {
	t.Parallel()
	p := record.Props("a\x011\x02\x02x\x02\x01y\x02z\x01\x02a\x012\x02b\x01c\x01d\x02TAGS\x01last")
	get := func(k string) string {
		v, ok := p.Get(k)
		if ok != (v != nil) {
			t.Errorf("%q: %q, %v", k, v, ok)
		}
		return string(v)
	}
	for k, want := range map[string]string{
		"a": "2", "b": "c\x01d", "TAGS": "last", "x": "", "": "", "z": "", "TAG": "", "y": "", "last": "",
	} {
		if got := get(k); got != want {
			t.Errorf("Get(%q) = %q, want %q", k, got, want)
		}
	}
	var all string
	p.ForEach(func(k, v []byte) bool { all += string(k) + "=" + string(v) + ";"; return string(k) != "b" })
	if all != "a=1;a=2;b=c\x01d;" {
		t.Errorf("ForEach: %q", all)
	}
	if got := string(record.AppendProp(p.AppendWithout([]byte("_"), "a", "z", "b"), "k", "v")); got != "_\x02x\x02\x01y\x02z\x01\x02TAGS\x01last\x02k\x01v\x02" {
		t.Errorf("AppendWithout: %q", got)
	}
	if got := string(record.AppendProp(record.Props("a\x01b").AppendTerminated(nil), "k", "v")); got != "a\x01b\x02k\x01v\x02" {
		t.Errorf("AppendTerminated: %q", got)
	}
	if record.Props(nil).Indexed().TagsCode() != 0 || record.Props("TAGS\x01TagB").Indexed().TagsCode() != 2598920 {
		t.Error("TagsCode")
	}
	x := record.Props("KEYS\x01k1\x02UNIQ_KEYS\x01no\x02\x02UNIQ_KEY\x01u\x02KEYS\x01k2 k3\x02TAGS\x01\x02K").Indexed()
	if string(x.UniqKey) != "u" || string(x.Keys) != "k2 k3" || x.Tags != nil {
		t.Errorf("Indexed: %q", x)
	}
	if record.ValidProp("", "a") || record.ValidProp("a", "") || record.ValidProp("a\x01", "b") || record.ValidProp("a", "b\x02") ||
		!record.ValidProp("a", "b") {
		t.Error("ValidProp")
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	var b []byte
	b = record.AppendBatchItem(b, 1, []byte("one"), record.Props("k\x01v\x02"))
	b = record.AppendBatchItem(b, -2, nil, nil)
	b = record.AppendBatchItem(b, 3, []byte("three"), record.Props("x\x01y"))
	it := record.IterBatch(b)
	var got string
	for {
		flag, body, props, ok := it.Next()
		if !ok {
			break
		}
		got += strconv.Itoa(int(flag)) + string(body) + "|" + string(props) + ";"
	}
	if it.Err() != nil || got != "1one|k\x01v\x02;-2|;3three|x\x01y;" {
		t.Errorf("%q, %v", got, it.Err())
	}
	for n := 1; n < len(b); n++ {
		it, count := record.IterBatch(b[:n]), 0
		for {
			if _, _, _, ok := it.Next(); !ok {
				break
			}
			count++
		}
		if whole := n == 20+3+2+4 || n == 20+3+2+4+22; whole != (it.Err() == nil) || count > 2 {
			t.Errorf("cut at %d: %d messages, %v", n, count, it.Err())
		}
	}
}
