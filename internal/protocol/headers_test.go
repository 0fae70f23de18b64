package protocol

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHeadersAreGeneratedFromTheTable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the generator")
	}
	out := filepath.Join(t.TempDir(), "headers_gen.go")
	cmd := exec.CommandContext(t.Context(), "go", "run", "../../tools/genheaders/main.go", "-in", "headers.tsv", "-out", out)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("generator: %v\n%s", err, b)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("headers_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("headers_gen.go is older than headers.tsv: run go generate ./internal/protocol")
	}
}

// headersOfNoUse are Java classes that no code served here carries.
var headersOfNoUse = []string{
	"CheckTransactionStateResponseHeader", "InitConsumerOffsetRequestHeader", "StatisticsMessagesRequestHeader",
	"RegisterOrderTopicRequestHeader",
}

func TestTableKnowsEveryFieldOfJava(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("headers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]map[string]string)
	var at map[string]string
	for line := range strings.Lines(string(table)) {
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case col[0] == "" && len(col) > 2:
			at[col[1]] = col[2]
		case col[0] != "" && col[0][0] != '#':
			at = make(map[string]string)
			kinds[col[0]] = at
		}
	}
	javaKinds := map[string]string{
		"String": "str", "BoundaryType": "str", "int": "int", "Integer": "int", "long": "long", "Long": "long",
		"boolean": "bool", "Boolean": "bool",
	}
	for _, l := range goldenLines(t, "headers.txt") {
		ours, ok := kinds[l[0]]
		if !ok && !slices.Contains(headersOfNoUse, l[0]) {
			t.Errorf("%s is not in the table", l[0])
		}
		for _, f := range l[1:] {
			key, java, _ := strings.Cut(f, ":")
			if ok && (javaKinds[java] == "" || ours[key] != javaKinds[java]) {
				t.Errorf("%s: %s is %s in Java, %q in the table", l[0], key, java, ours[key])
			}
		}
	}
}

// header is what all typed headers can do.
type header interface {
	Decode(f Fields) error
	AppendTo(w *FieldWriter)
}

// reencode sends in through a frame and decodes it into out.
func reencode(tb testing.TB, s Serial, in, out header) {
	tb.Helper()
	var w FieldWriter
	w.Begin(nil, s, &Head{})
	in.AppendTo(&w)
	var h Header
	decodeFrame(tb, w.End(0), &h)
	if err := out.Decode(h.Fields); err != nil {
		tb.Errorf("%T: %v", out, err)
	}
}

func TestHeadersSurviveTheWire(t *testing.T) {
	t.Parallel()
	for _, s := range []Serial{JSON, Binary} {
		v2 := SendMessageRequestHeaderV2{
			ProducerGroup: "pg", Topic: "T", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: -1, SysFlag: 4,
			BornTimestamp: 1795358693727, Flag: 9, Properties: "K\x01v\x02", ReconsumeTimes: 2, UnitMode: true,
			MaxReconsumeTimes: 0, Batch: true, BrokerName: "b",
		}
		var got2 SendMessageRequestHeaderV2
		reencode(t, s, &v2, &got2)
		if got2 != v2 {
			t.Errorf("serial %d: V2 %+v became %+v", s, v2, got2)
		}
		v1 := SendMessageRequestHeader(v2)
		var got1 SendMessageRequestHeader
		reencode(t, s, &v1, &got1)
		if got1 != v1 {
			t.Errorf("serial %d: V1 %+v became %+v", s, v1, got1)
		}

		reset := ResetOffsetRequestHeader{Group: "g", Topic: "T", QueueID: 3, Offset: 0, HasOffset: true, Timestamp: -1, Force: true}
		var gotReset ResetOffsetRequestHeader
		reencode(t, s, &reset, &gotReset)
		if gotReset != reset {
			t.Errorf("serial %d: %+v became %+v", s, reset, gotReset)
		}
	}
}

func TestAbsentFieldsHaveJavasDefaults(t *testing.T) {
	t.Parallel()
	var send SendMessageRequestHeaderV2
	if err := send.Decode(nil); err != nil || send.MaxReconsumeTimes != -1 || send.ReconsumeTimes != 0 {
		t.Errorf("send %+v, %v", send, err)
	}
	var query QueryConsumerOffsetRequestHeader
	if err := query.Decode(nil); err != nil || !query.SetZeroIfNotFound {
		t.Errorf("query %+v, %v", query, err)
	}
	var reset ResetOffsetRequestHeader
	if err := reset.Decode(Fields{{[]byte("offset"), nil}}); err != nil || reset.HasOffset || reset.QueueID != -1 {
		t.Errorf("reset %+v, %v", reset, err)
	}
	var w FieldWriter
	w.Begin(nil, Binary, &Head{})
	send.SetDefaults()
	send.AppendTo(&w)
	var h Header
	decodeFrame(t, w.End(0), &h)
	for _, key := range []string{"i", "j", "k", "l", "m", "n"} {
		if _, ok := h.Fields.Get(key); ok {
			t.Errorf("field %s was written though it has its default", key)
		}
	}
}

func TestBadNumberInHeader(t *testing.T) {
	t.Parallel()
	f := func(val string, want int32, ok bool) {
		t.Helper()
		var h GetMaxOffsetRequestHeader
		err := h.Decode(Fields{{[]byte("queueId"), []byte(val)}, {[]byte("topic"), []byte("T")}})
		var fe *FieldError
		if ok != (err == nil) || err != nil && (!errors.As(err, &fe) || fe.Key != "queueId") {
			t.Errorf("%q: error %v", val, err)
		}
		if h.QueueID != want || h.Topic != "T" {
			t.Errorf("%q: %+v", val, h)
		}
	}
	f("7", 7, true)
	f("+7", 7, true)
	f("-2147483648", -2147483648, true)
	f("", 0, true)
	f("2147483648", 0, false)
	f("-", 0, false)
	f("1.0", 0, false)
	f(" 1", 0, false)
	f("99999999999999999999", 0, false)
}

func TestParseIntBorders(t *testing.T) {
	t.Parallel()
	f := func(s string, want int64, ok bool) {
		t.Helper()
		if n, got := ParseInt([]byte(s)); got != ok || ok && n != want {
			t.Errorf("%q: %d, %v", s, n, got)
		}
	}
	f("9223372036854775807", 9223372036854775807, true)
	f("9223372036854775808", 0, false)
	f("-9223372036854775808", -9223372036854775808, true)
	f("-9223372036854775809", 0, false)
	f("9999999999999999999", 0, false)
	f("00000000000000000000", 0, false)
	f("-0", 0, true)
}

func TestOnlyTrueIsTrue(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{"true": true, "TRUE": true, "tRue": true, "1": false, "yes": false, "false": false, "truee": false} {
		if parseBool([]byte(s)) != want {
			t.Errorf("%q is not %v", s, want)
		}
	}
}

func TestTypedHeadersDoNotAllocate(t *testing.T) {
	var in Header
	if err := in.DecodeBinary(binaryFrame()[PrefixLen:]); err != nil {
		t.Fatal(err)
	}
	var v2 SendMessageRequestHeaderV2
	if n := testing.AllocsPerRun(100, func() { _ = v2.Decode(in.Fields) }); n != 0 {
		t.Errorf("decode: %v allocations", n)
	}
	if v2.Topic != "BenchmarkTest" || v2.QueueID != 7 || v2.BornTimestamp != 1795358693727 || v2.BrokerName != "broker-a" {
		t.Errorf("decoded %+v", v2)
	}
	pull := PullMessageResponseHeader{NextBeginOffset: 5, MaxOffset: 7}
	var w FieldWriter
	buf := make([]byte, 0, 1024)
	for _, s := range []Serial{JSON, Binary} {
		if n := testing.AllocsPerRun(100, func() {
			w.Begin(buf, s, &sendHead)
			pull.AppendTo(&w)
			buf = w.End(0)[:0]
		}); n != 0 {
			t.Errorf("encode: %v allocations", n)
		}
	}
}

func FuzzTypedHeaders(f *testing.F) {
	f.Add(sendFrame(Binary)[PrefixLen:])
	f.Fuzz(func(t *testing.T, src []byte) {
		var h Header
		if h.DecodeBinary(src) != nil {
			return
		}
		var v2, again SendMessageRequestHeaderV2
		if v2.Decode(h.Fields) == nil {
			reencode(t, JSON, &v2, &again)
			if v2 != again {
				t.Fatalf("%+v became %+v", v2, again)
			}
		}
		var pull PullMessageRequestHeader
		_ = pull.Decode(h.Fields)
		var reg RegisterBrokerRequestHeader
		_ = reg.Decode(h.Fields)
	})
}
