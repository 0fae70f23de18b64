package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// decodeFrame takes one whole frame apart.
func decodeFrame(tb testing.TB, frame []byte, h *Header) (body []byte) {
	tb.Helper()
	if len(frame) < PrefixLen {
		tb.Fatalf("frame of %d bytes", len(frame))
	}
	total := int(frame[0])<<24 | int(frame[1])<<16 | int(frame[2])<<8 | int(frame[3])
	s, n := SplitWord(uint32(frame[4])<<24 | uint32(frame[5])<<16 | uint32(frame[6])<<8 | uint32(frame[7]))
	if total != len(frame)-4 || n > len(frame)-PrefixLen {
		tb.Fatalf("total %d, header %d, frame %d bytes", total, n, len(frame))
	}
	if err := h.Decode(s, frame[PrefixLen:PrefixLen+n]); err != nil {
		tb.Fatalf("decode %q: %v", frame, err)
	}
	return frame[PrefixLen+n:]
}

func fieldsText(f Fields) string {
	var b strings.Builder
	for i := range f {
		if f[i].Val == nil {
			fmt.Fprintf(&b, "%s=null;", f[i].Key)
		} else {
			fmt.Fprintf(&b, "%s=%q;", f[i].Key, f[i].Val)
		}
	}
	return b.String()
}

func TestBinaryHeaderOfJava(t *testing.T) {
	t.Parallel()
	frame, err := hex.DecodeString("0000002a010000240d720001df00000007000000000000000" + "00000000f" +
		"00016500000000" + "00016b0000000176" + "0102")
	if err != nil {
		t.Fatal(err)
	}
	var h Header
	body := decodeFrame(t, frame, &h)
	if h.Code != 3442 || Widen(h.Code) != ReqPopMessage || h.Version != 479 || h.Opaque != 7 || h.Remark != nil {
		t.Errorf("header %+v", h)
	}
	if got := fieldsText(h.Fields); got != `e=null;k="v";` {
		t.Errorf("fields %s", got)
	}
	if !bytes.Equal(body, []byte{1, 2}) {
		t.Errorf("body %x", body)
	}
}

func TestJSONHeaderForms(t *testing.T) {
	t.Parallel()
	f := func(src, fields string, want Head) {
		t.Helper()
		var h Header
		if err := h.DecodeJSON([]byte(src)); err != nil {
			t.Errorf("%s: %v", src, err)
			return
		}
		got := Head{Code: h.Code, Language: h.Language, Version: h.Version, Opaque: h.Opaque, Flag: h.Flag, Remark: string(h.Remark)}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", src, got, want)
		}
		if got := fieldsText(h.Fields); got != fields {
			t.Errorf("%s: fields %s, want %s", src, got, fields)
		}
	}
	f(`{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":0,"serializeTypeCurrentRPC":"JSON","version":479}`,
		`topic="T";`, Head{Code: 105, Version: 479})
	f(`{code:-7,'extFields':{a:'x"y',"b":1.5e3,"c":true,"d":null,e:"",},language:"GO",opaque:"12",flag:2}`,
		`a="x\"y";b="1.5e3";c="true";d=null;e="";`, Head{Code: -7, Language: LanguageGo, Opaque: 12, Flag: 2})
	f(` { "code" : 1 , "remark" : "a\u0001\"\\\/\b\t\n\f\r\u4e2d\ud83d\ude00\ud800" , "extFields" : null, "x":{"a":[1,{"b":"]}"}]},"y":[] } `,
		``, Head{Code: 1, Remark: "a\x01\"\\/\b\t\n\f\r\u4e2d\U0001F600\uFFFD"})
	f(`{}`, ``, Head{})
	f(`{"language":3,"version":null,"code":"5"}`, ``, Head{Language: 3, Code: 5})
	f(`{"language":"KLINGON","extFields":{"a":"1"},"extFields":{"b":"2","b":"3","n":{"x":[1]}}}`,
		`b="2";b="3";n="{\"x\":[1]}";`, Head{Language: LanguageOther})
	f(`{"extFields":{"i":"K\u0001V\u0002W\u0001X\u0002","j":"\u0001"},"code":2147483647}`,
		`i="K\x01V\x02W\x01X\x02";j="\x01";`, Head{Code: 2147483647})
}

func TestBadJSONHeaders(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		``, ` `, `[]`, `{`, `{"code"}`, `{"code":}`, `{"code":1`, `{"code":1 "flag":2}`, `{"code":x}`, `{"code":99999999999}`,
		`{"remark":"a}`, `{"remark":"\u12"}`, `{"remark":"\`, `{"extFields":{}`, `{"extFields":{"a":"b"`, `{"extFields":{"a" "b"}}`,
		`{"a":1}x`, `{:1}`, `{"x":` + strings.Repeat("[", 100000), `{"x":[`, `{"x":"\`, `{,}`, `{"a":1,,}`,
		`{"extFields":{` + strings.Repeat(`"a":"",`, maxFields+1) + `}}`,
	} {
		var h Header
		if err := h.DecodeJSON([]byte(src)); !errors.Is(err, ErrHeader) {
			t.Errorf("%.60q: error %v", src, err)
		}
	}
}

func TestBadBinaryHeaders(t *testing.T) {
	t.Parallel()
	good := binaryFrame()[PrefixLen:]
	var h Header
	if err := h.DecodeBinary(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if err := h.DecodeBinary(good[:n]); err == nil {
			t.Errorf("a header cut to %d of %d bytes was taken", n, len(good))
		}
	}
	for i := 13; i < 17; i++ {
		bad := bytes.Clone(good)
		bad[i] = 0xFF
		if err := h.DecodeBinary(bad); err == nil {
			t.Errorf("length byte %d: no error", i)
		}
	}
}

func TestWidenLeavesOtherCodesAlone(t *testing.T) {
	t.Parallel()
	for code := range requestNames {
		if code == int32(int16(code)) {
			if Widen(code) != code {
				t.Errorf("code %d became %d", code, Widen(code))
			}
		} else if got := Widen(int32(int16(code))); got != code {
			t.Errorf("code %d came back as %d", code, got)
		}
	}
}

// sendFields are the thirteen fields of a Java producer's message.
func sendFields(w *FieldWriter) {
	w.Str("a", "ProducerGroupName")
	w.Str("b", "BenchmarkTest")
	w.Str("c", "TBW102")
	w.Int32("d", 4)
	w.Int32("e", 7)
	w.Int32("f", 0)
	w.Int64("g", 1795358693727)
	w.Int32("h", 0)
	w.Str("i", "UNIQ_KEY\x01AC110002000A4E25154F5A2BC1D00001\x02WAIT\x01true\x02TAGS\x01TagA\x02")
	w.Int32("j", 0)
	w.Bool("k", false)
	w.Bool("m", false)
	w.Str("n", "broker-a")
}

var sendHead = Head{Code: ReqSendMessageV2, Version: VersionServed, Opaque: 123456}

func sendFrame(s Serial) []byte {
	var w FieldWriter
	w.Begin(nil, s, &sendHead)
	sendFields(&w)
	return w.End(0)
}

func binaryFrame() []byte { return sendFrame(Binary) }

func TestFrameRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range []Serial{JSON, Binary} {
		var w FieldWriter
		head := Head{Code: 17, Language: LanguageGo, Version: 479, Opaque: -5, Flag: 1, Remark: "it's \"so\"\n\u2028"}
		w.Begin([]byte("before"), s, &head)
		w.Str("s", "a\x01\x02\"\\\x1f\u00e9\xff")
		w.Bytes("b", []byte("bytes"))
		w.Int32("i", -2147483648)
		w.Int64("l", 9223372036854775807)
		w.Bool("t", true)
		w.Pair([]byte("odd\"key"), []byte("12345678\x00tail"))
		frame := append(w.End(3), "xyz"...)
		if string(frame[:6]) != "before" {
			t.Fatalf("prefix %q", frame[:6])
		}
		var h Header
		body := decodeFrame(t, frame[6:], &h)
		got := Head{Code: h.Code, Language: h.Language, Version: h.Version, Opaque: h.Opaque, Flag: h.Flag, Remark: string(h.Remark)}
		if got != head || string(body) != "xyz" {
			t.Errorf("serial %d: %+v, body %q", s, got, body)
		}
		want := `s="a\x01\x02\"\\\x1fé\xff";b="bytes";i="-2147483648";l="9223372036854775807";t="true";odd"key="12345678\x00tail";`
		if got := fieldsText(h.Fields); got != want {
			t.Errorf("serial %d: %s", s, got)
		}

		var again FieldWriter
		again.Begin([]byte("before"), s, &head)
		h.Fields.AppendTo(&again)
		if b := append(again.End(3), "xyz"...); !bytes.Equal(b, frame) {
			t.Errorf("serial %d: passing on changed %q to %q", s, frame, b)
		}
	}
}

func TestWideCodeGoesOutAsJSON(t *testing.T) {
	t.Parallel()
	var w FieldWriter
	w.Begin(nil, Binary, &Head{Code: ReqPopMessage})
	w.Str("topic", "T")
	var h Header
	decodeFrame(t, w.End(0), &h)
	if h.Code != ReqPopMessage {
		t.Errorf("code %d", h.Code)
	}
}

func TestFieldsGet(t *testing.T) {
	t.Parallel()
	f := Fields{{[]byte("a"), []byte("1")}, {[]byte("n"), nil}, {[]byte("a"), []byte("2")}}
	if v, ok := f.Get("a"); !ok || string(v) != "2" {
		t.Errorf("a = %q, %v", v, ok)
	}
	if v, ok := f.Get("n"); !ok || v != nil {
		t.Errorf("n = %q, %v", v, ok)
	}
	if _, ok := f.Get("x"); ok || f.Is("a", "1") || !f.Is("a", "2") {
		t.Error("wrong presence")
	}
}

func TestHeaderCodecDoesNotAllocate(t *testing.T) {
	bin, text := sendFrame(Binary)[PrefixLen:], sendFrame(JSON)[PrefixLen:]
	var h Header
	var w FieldWriter
	buf := make([]byte, 0, 4096)
	f := func(name string, op func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("binary decode", func() { _ = h.DecodeBinary(bin) })
	f("JSON decode", func() { _ = h.DecodeJSON(text) })
	f("get", func() { h.Fields.Get("i") })
	for _, s := range []Serial{JSON, Binary} {
		f("encode", func() {
			w.Begin(buf, s, &sendHead)
			sendFields(&w)
			buf = w.End(100)[:0]
		})
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(sendFrame(Binary)[PrefixLen:], true)
	f.Add(sendFrame(JSON)[PrefixLen:], false)
	f.Add([]byte(`{code:1,'extFields':{a:'\u0001',b:null,c:{d:[]}},remark:"\ud800x"}`), false)
	f.Fuzz(func(t *testing.T, src []byte, binary bool) {
		s := JSON
		if binary {
			s = Binary
		}
		var h, again Header
		if h.Decode(s, src) != nil {
			return
		}
		head := Head{Code: h.Code, Language: h.Language, Version: h.Version, Opaque: h.Opaque, Flag: h.Flag, Remark: string(h.Remark)}
		var w FieldWriter
		w.Begin(nil, s, &head)
		h.Fields.AppendTo(&w)
		decodeFrame(t, w.End(0), &again)
		if again.Code != h.Code || again.Opaque != h.Opaque || again.Flag != h.Flag || !bytes.Equal(again.Remark, h.Remark) {
			t.Fatalf("%+v became %+v", h, again)
		}
		var kept Fields
		for _, x := range h.Fields {
			if x.Val != nil && len(x.Key) < 1<<15 {
				kept = append(kept, x)
			}
		}
		if fieldsText(kept) != fieldsText(again.Fields) {
			t.Fatalf("%s became %s", fieldsText(kept), fieldsText(again.Fields))
		}
	})
}

func TestHoldTextsKeepsEarlierHeadersValid(t *testing.T) {
	t.Parallel()
	var h Header
	for range 2 {
		h.HoldTexts()
		var vals [][]byte
		for i := range 64 {
			src := []byte(`{"code":1,"extFields":{"i":"k\u0001` + strings.Repeat("v", i) + `\u0002"},"opaque":1}`)
			if err := h.DecodeJSON(src); err != nil {
				t.Fatal(err)
			}
			v, _ := h.Fields.Get("i")
			vals = append(vals, v)
		}
		for i, v := range vals {
			if want := "k\x01" + strings.Repeat("v", i) + "\x02"; string(v) != want {
				t.Fatalf("text %d is %q, want %q", i, v, want)
			}
		}
	}
}
