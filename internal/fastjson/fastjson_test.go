package fastjson

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func parse(t *testing.T, s string) Value {
	t.Helper()
	v, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func TestReaderTakesJavasDialect(t *testing.T) {
	t.Parallel()
	f := func(src, compact string) {
		t.Helper()
		v, err := Parse([]byte(src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			return
		}
		if got := string(v.AppendTo(nil, Compact)); got != compact {
			t.Errorf("%s: got %s, want %s", src, got, compact)
		}
	}
	f(`{"a":1,"b":[true,false,null],"c":{}}`, `{"a":1,"b":[true,false,null],"c":{}}`)
	f("\uFEFF { a : 1 , 'b' : 'x\"y' , }\n", `{"a":1,"b":"x\"y"}`)
	f(`{0:"x",-5:"y","7":"z",1.5:2}`, `{0:"x",-5:"y","7":"z",1.5:2}`)
	f(`{{"brokerName":"b","queueId":0,"topic":"T"}:{"o":1},{"$ref":"$"}:2,[1]:3}`,
		`{{"brokerName":"b","queueId":0,"topic":"T"}:{"o":1},{"$ref":"$"}:2,[1]:3}`)
	f("{/* c */a:1,// line\nb:/**/2}", `{"a":1,"b":2}`)
	f(`[,1,,2,]`, `[1,2]`)
	f(`{,"a":1,,}`, `{"a":1}`)
	f(`[1L,2S,1.5F,+3,NaN,undefined,1e3,-0.5E-7]`, `[1,2,1.5,3,null,null,1e3,-0.5E-7]`)
	f(`"a\u0001\"\\\/\b\t\n\f\r\u4e2d\ud83d\ude00\ud800\x41\0\v\'"`, `"a\u0001\"\\/\b\t\n\f\r中😀`+"\uFFFD"+`A\u0000\u000b'"`)
	f(`{中:"文"}`, `{"中":"文"}`)
	f(`7`, `7`)
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		``, ` `, `{`, `[`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `[1`, `[1,`, `"`, `"a`, `'a"`, `"\`, `"\u12"`, `"\ud83`, `"\xg0"`,
		`{"a" 1}`, `{"a":1 "b":2}`, `[1 2]`, `{}x`, `abc`, `{a:b}`, `-`, `1e`, `.`, `tru`, `/`, `/*`, `{:1}`, `}`, `]`, `{]`, `[}`,
		strings.Repeat("[", 65), strings.Repeat("{", 200), strings.Repeat(`{"a":`, 100000), `0x10`, `1_000`, `Infinity`,
	} {
		_, err := Parse([]byte(s))
		se, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%.40q: error %v", s, err)
		} else if se.Offset < 0 || se.Offset > len(s) || se.Want == "" {
			t.Errorf("%.40q: %v", s, se)
		}
	}
	if _, err := Parse([]byte(strings.Repeat("[", 64) + strings.Repeat("]", 64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestEveryCutOfADocumentIsRefused(t *testing.T) {
	t.Parallel()
	doc := `{"dataVersion":{"counter":1},"offsetTable":{"T@g":{0:5,1:7}},"x":[1.5,"a\u0001"],{"q":0}:null}`
	for i := range doc {
		if v, err := Parse([]byte(doc[:i])); err == nil {
			t.Errorf("cut at %d gave %s", i, v.AppendTo(nil, Compact))
		}
	}
}

func TestAccessorsConvert(t *testing.T) {
	t.Parallel()
	v := parse(t, `{"i":"42","f":"1.5e1","n":7.9,"s":12,"b":"true","c":1,"d":true,"z":null,"big":99999999999,"bad":"x","a":["p",2],"i":43}`)
	eq := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	eq("last of two wins", v.Get("i").Int64(), int64(43))
	eq("text double", v.Get("f").Int64(), int64(15))
	eq("fraction cut", v.Get("n").Int64(), int64(7))
	eq("fraction", v.Get("n").Float(), 7.9)
	eq("number as text", v.Get("s").Str(), "12")
	eq("text as bool", v.Get("b").Bool(), true)
	eq("number as bool", v.Get("c").Bool(), true)
	eq("bool as number", v.Get("d").Int64(), int64(1))
	eq("null number", v.Get("z").Int64Or(9), int64(9))
	eq("null exists", v.Get("z").Exists(), false)
	eq("limited", v.Get("big").Int32(), int32(2147483647))
	eq("no number", v.Get("bad").Int64Or(3), int64(3))
	eq("no bool", v.Get("bad").BoolOr(true), true)
	eq("missing chain", v.Get("x").Get("y").Arr() == nil, true)
	eq("missing bool", v.Get("x").BoolOr(true), true)
	eq("texts", strings.Join(v.Get("a").Strs(), "|"), "p|2")
	eq("len", v.Len(), 12)
	eq("kind", v.Get("zz").Kind(), Missing)
}

func TestReferencesAreFollowed(t *testing.T) {
	t.Parallel()
	root := parse(t, `{"a":{"b":[{"c":1},{"$ref":"$.a.b[0]"}]},"d":{"$ref":"$.a['b'][1]"},"e":{"$ref":"$"},"f":{"$ref":"$.x.y"},"g":{"$ref":".."}}`)
	f := func(v Value, want string) {
		t.Helper()
		got := ""
		if r := v.Resolve(root); r.Exists() {
			got = string(r.AppendTo(nil, Compact))
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(root.Get("a").Get("b").Arr()[1], `{"c":1}`)
	f(root.Get("a").Get("b").Arr()[0], `{"c":1}`)
	f(root.Get("d"), ``) // a reference to a reference
	f(root.Get("e"), string(root.AppendTo(nil, Compact)))
	f(root.Get("f"), ``)
	f(root.Get("g"), ``)
}

func TestDoublesAsInJava(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0.0", 1: "1.0", 100: "100.0", 1.5: "1.5", 1e7: "1.0E7", 9999999: "9999999.0", 123456789: "1.23456789E8",
		12345678.9: "1.23456789E7", 0.001: "0.001", 1e-4: "1.0E-4", 0.00012: "1.2E-4", -2.5: "-2.5", -1e21: "-1.0E21", 1e300: "1.0E300",
	} {
		if got := string(AppendDouble(nil, f)); got != want {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
}

func TestWriterForms(t *testing.T) {
	t.Parallel()
	write := func(m Mode) string {
		w := NewWriter([]byte("x"), m)
		w.ObjStart()
		w.Key("a")
		w.ObjStart()
		w.ObjEnd()
		w.Key("b")
		w.Strs([]string{"p", "q/"})
		w.Key("c")
		w.ObjStart()
		w.KeyInt(3)
		w.Int(10)
		w.KeyInt(-1)
		w.Float(0)
		w.ObjStart()
		w.Key("q")
		w.Bool(true)
		w.ObjEnd()
		w.Colon()
		w.Null()
		w.KeyRaw(`{"r":1}`)
		w.ArrStart()
		w.ArrEnd()
		w.ObjEnd()
		w.ObjEnd()
		return string(w.Bytes())
	}
	for m, want := range map[Mode]string{
		Compact:  `x{"a":{},"b":["p","q/"],"c":{3:10,-1:0.0,{"q":true}:null,{"r":1}:[]}}`,
		Standard: `x{"a":{},"b":["p","q/"],"c":{"3":10,"-1":0.0,{"q":true}:null,{"r":1}:[]}}`,
		Pretty: "x{\n\t\"a\":{},\n\t\"b\":[\n\t\t\"p\",\n\t\t\"q/\"\n\t],\n\t\"c\":{\n\t\t3:10,\n\t\t-1:0.0,\n" +
			"\t\t{\n\t\t\t\"q\":true\n\t\t}:null,\n\t\t{\"r\":1}:[]\n\t}\n}",
	} {
		if got := write(m); got != want {
			t.Errorf("mode %d:\n%s\nwant\n%s", m, got, want)
		}
	}
}

func TestWriterDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 1024)
	var w Writer
	if n := testing.AllocsPerRun(100, func() {
		w.Reset(buf, Compact)
		w.ObjStart()
		w.Key("name")
		w.Str("value with \x01 in it")
		w.Key("n")
		w.Int(1795358693727)
		w.Key("f")
		w.Float(1.5)
		w.ObjEnd()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"dataVersion":{"counter":1},"offsetTable":{"T@g":{0:5,1:7}},"x":[1.5,"a\u0001"],{"q":0}:null}`))
	f.Add([]byte("{/*c*/a:'\\x41',b:[1L,.5,],//\n}"))
	f.Add([]byte(`{"$ref":"$.a[0]..x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		v.Resolve(v)
		for _, m := range []Mode{Compact, Pretty, Standard} {
			text := v.AppendTo(nil, m)
			again, err := Parse(text)
			if err != nil {
				t.Fatalf("%q was written as %q: %v", data, text, err)
			}
			if m == Compact && !bytes.Equal(again.AppendTo(nil, m), text) {
				t.Fatalf("%q changed to %q", text, again.AppendTo(nil, m))
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var w Writer
	w.Reset(nil, Compact)
	w.ObjStart()
	for i := range int64(1000) {
		w.KeyInt(i)
		w.ObjStart()
		w.Key("topicName")
		w.Str("TopicTest")
		w.Key("perm")
		w.Int(6)
		w.Key("order")
		w.Bool(false)
		w.ObjEnd()
	}
	w.ObjEnd()
	b.SetBytes(int64(len(w.Bytes())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(w.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
