package amqp10

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTypesAreGeneratedFromTheTable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the generator")
	}
	out := filepath.Join(t.TempDir(), "types_gen.go")
	cmd := exec.CommandContext(t.Context(), "go", "run", "../../../../tools/genamqp/main.go", "-in", "types.tsv", "-out", out)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("generator: %v\n%s", err, b)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("types_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("types_gen.go is older than types.tsv: run go generate ./internal/api/amqpapi/amqp10")
	}
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// goldenValues are encodings by part 1 of the standard; the first of each value is the one that we write.
var goldenValues = []struct {
	name string
	v    Value
	enc  []string
}{
	{"null", Value{}, []string{"40"}},
	{"true", BoolValue(true), []string{"41", "5601"}},
	{"false", BoolValue(false), []string{"42", "5600"}},
	{"ubyte", NumValue(Ubyte, 255), []string{"50ff"}},
	{"ushort", NumValue(Ushort, 0x1234), []string{"601234"}},
	{"uint 0", NumValue(Uint, 0), []string{"43", "5200", "7000000000"}},
	{"uint 255", NumValue(Uint, 255), []string{"52ff", "70000000ff"}},
	{"uint 256", NumValue(Uint, 256), []string{"7000000100"}},
	{"ulong 0", NumValue(Ulong, 0), []string{"44", "5300", "800000000000000000"}},
	{"ulong 36", NumValue(Ulong, 36), []string{"5324", "800000000000000024"}},
	{"ulong max", NumValue(Ulong, -1), []string{"80ffffffffffffffff"}},
	{"byte", NumValue(Byte, -1), []string{"51ff"}},
	{"short", NumValue(Short, -2), []string{"61fffe"}},
	{"int small", NumValue(Int, -1), []string{"54ff", "71ffffffff"}},
	{"int", NumValue(Int, math.MinInt32), []string{"7180000000"}},
	{"long small", NumValue(Long, -128), []string{"5580", "81ffffffffffffff80"}},
	{"long", NumValue(Long, 128), []string{"810000000000000080"}},
	{"float", Value{Kind: Float, Num: uint64(math.Float32bits(1.5))}, []string{"723fc00000"}},
	{"double", Value{Kind: Double, Num: math.Float64bits(-2)}, []string{"82c000000000000000"}},
	{"char", NumValue(Char, 'é'), []string{"73000000e9"}},
	{"timestamp", NumValue(Timestamp, 1311704677409), []string{"8300000131" + "67b0fc21"}},
	{"decimal32", NumValue(Decimal32, 7), []string{"7400000007"}},
	{"decimal64", NumValue(Decimal64, 7), []string{"840000000000000007"}},
	{"decimal128", Value{Kind: Decimal128, Bytes: bytes.Repeat([]byte{1}, 16)}, []string{"94" + strings.Repeat("01", 16)}},
	{"uuid", Value{Kind: UUID, Bytes: bytes.Repeat([]byte{2}, 16)}, []string{"98" + strings.Repeat("02", 16)}},
	{"binary", BinaryValue([]byte{1, 2}), []string{"a0020102", "b0000000020102"}},
	// The examples of the standard, 1.2 and 1.3.
	{"string of 1.2", StringValue("Hello Glorious Messaging World"), []string{
		"a11e" + hex.EncodeToString([]byte("Hello Glorious Messaging World")),
		"b10000001e" + hex.EncodeToString([]byte("Hello Glorious Messaging World")),
	}},
	{"described of 1.2", DescribedValue(StringValue("URL"), StringValue("http://example.org/hello-world")), []string{
		"00a10355524c" + "a11e" + hex.EncodeToString([]byte("http://example.org/hello-world")),
	}},
	{"composite of 1.2", DescribedValue(SymbolValue("example:book:list"), Value{Kind: List, Items: []Value{
		StringValue("AMQP for & by Dummies"),
		{Kind: Array, Items: []Value{StringValue("Rob J. Godfrey"), StringValue("Rafael H. Schloming")}},
		{},
	}}), []string{
		"", // our array has the wide constructor
		"00a311" + hex.EncodeToString([]byte("example:book:list")) + "c04003" +
			"a115" + hex.EncodeToString([]byte("AMQP for & by Dummies")) +
			"e02502a10e" + hex.EncodeToString([]byte("Rob J. Godfrey")) + "13" + hex.EncodeToString([]byte("Rafael H. Schloming")) + "40",
	}},
	{"empty list", Value{Kind: List}, []string{"45", "c00100", "d00000000400000000"}},
	{"list", Value{Kind: List, Items: []Value{BoolValue(true), {}}}, []string{"c003024140", "d000000006000000024140"}},
	{"map", MapOf(SymbolValue("a"), NumValue(Uint, 1)), []string{"c10602a301615201", "d10000000900000002a301615201"}},
	{"empty map", MapOf(), []string{"c10100", "d10000000400000000"}},
	{"array of uint", Value{Kind: Array, Items: []Value{NumValue(Uint, 1), NumValue(Uint, 2)}}, []string{"e00a02700000000100000002", "e004025201 02"}},
	{"array of nothing", Value{Kind: Array, Items: []Value{BoolValue(true), BoolValue(true)}}, []string{"e00402560101", "e0020241"}},
	{"array of described", Value{Kind: Array, Items: []Value{
		DescribedValue(NumValue(Ulong, 1), NumValue(Ubyte, 5)), DescribedValue(NumValue(Ulong, 1), NumValue(Ubyte, 6)),
	}}, []string{"e00702005301500506"}},
	{"array of lists", Value{Kind: Array, Items: []Value{{Kind: List, Items: []Value{BoolValue(true)}}, {Kind: List}}}, []string{
		"e01302d00000000500000001410000000400000000", "e00702c00201410100",
	}},
}

func TestValuesAsTheStandardWritesThem(t *testing.T) {
	t.Parallel()
	for _, g := range goldenValues {
		for i, e := range g.enc {
			if e == "" {
				continue
			}
			b := unhex(t, e)
			r := NewReader(b)
			v, err := r.Value()
			if err != nil || r.Len() != 0 {
				t.Errorf("%s %s: %v, %d left", g.name, e, err, r.Len())
				continue
			}
			if !v.Equal(g.v) {
				t.Errorf("%s %s: %+v, not %+v", g.name, e, v, g.v)
			}
			s := NewReader(b)
			if err := s.Skip(); err != nil || s.Len() != 0 {
				t.Errorf("%s %s: skipping: %v, %d left", g.name, e, err, s.Len())
			}
			if out := AppendValue(nil, g.v); i == 0 && !bytes.Equal(out, b) {
				t.Errorf("%s: %x, not %x", g.name, out, b)
			}
			for n := range b {
				if _, err := NewReader(b[:n]).Value(); err == nil {
					t.Errorf("%s: %x is accepted, %d bytes short", g.name, b[:n], len(b)-n)
				}
			}
		}
		again, err := NewReader(AppendValue(nil, g.v)).Value()
		if err != nil || !again.Equal(g.v) {
			t.Errorf("%s: %+v, %v after encoding", g.name, again, err)
		}
	}
}

func TestHostileValuesAreRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("c0ff01", 60) + "40"
	for name, enc := range map[string]string{
		"no constructor": "01", "length past the end": "a1ff61", "length of 4 GiB": "b0ffffffff00", "string not UTF-8": "a102c328",
		"symbol not ASCII": "a301ff", "bool of 2": "5602", "list of a billion": "d0000000053b9aca0040", "odd map": "c1020140",
		"list shorter than said": "c004014040", "array of a billion nothings": "f0000000053b9aca0040", "list32 without count": "d00000000100",
		"array described twice": "e00602005301005301", "deep": deep, "size 0": "c00000",
	} {
		if v, err := NewReader(unhex(t, enc)).Value(); err == nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
	var nest []byte
	for range 1000 {
		nest = append(nest, codeDescribed, codeNull)
	}
	if err := NewReader(append(nest, codeNull)).Skip(); err == nil {
		t.Error("1000 levels are skipped")
	}
	if _, err := NewReader(append(nest, codeNull)).Value(); err == nil {
		t.Error("1000 levels are read")
	}
}

func TestLongListsMoveTheirContents(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 200, 249, 250, 251, 252, 253, 254, 255, 256, 300, 70000} {
		want := &Open{ContainerID: strings.Repeat("x", n), MaxFrameSize: 512, ChannelMax: 3}
		got, err := NewReader(want.AppendTo([]byte("before"))[6:]).Composite()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %v %+v", n, err, got)
		}
	}
}

func TestCompositesSurvive(t *testing.T) {
	t.Parallel()
	props := MapOf(SymbolValue("product"), StringValue("x"))
	for _, want := range []Composite{
		&Open{ContainerID: "c", Hostname: "h", MaxFrameSize: 1 << 20, ChannelMax: 32767, IdleTimeOut: 30000, DesiredCapabilities: []string{"a"}, OfferedCapabilities: []string{"a", "b", strings.Repeat("l", 300)}, Properties: props},
		&Open{ContainerID: "", MaxFrameSize: math.MaxUint32, ChannelMax: 65535},
		&Begin{RemoteChannel: Some[uint16](0), IncomingWindow: 2047, OutgoingWindow: math.MaxUint32, HandleMax: 7},
		&Attach{
			Name: "l", Handle: 3, Role: true, SndSettleMode: 1, RcvSettleMode: 1,
			Source: &Source{
				Address: StringValue("q"), Durable: 2, ExpiryPolicy: "never", DistributionMode: "copy", Filter: props,
				DefaultOutcome: &Modified{DeliveryFailed: true}, Outcomes: []string{"amqp:accepted:list", "amqp:rejected:list"}, Capabilities: []string{"queue"},
			},
			Target: &Target{}, InitialDeliveryCount: Some[uint32](0), MaxMessageSize: 1 << 40,
		},
		&Attach{Name: "l", SndSettleMode: 2, Target: &Coordinator{Capabilities: []string{"amqp:local-transactions"}}},
		&Flow{NextIncomingID: Some[uint32](0), LinkCredit: Some[uint32](0), Drain: true, Echo: true},
		&Transfer{Handle: 1, DeliveryID: Some[uint32](0), DeliveryTag: []byte{}, MessageFormat: Some[uint32](0), Settled: Some(false), More: true, State: &TransactionalState{TxnID: []byte{1}, Outcome: &Accepted{}}},
		&Disposition{Role: true, First: 1, Last: Some[uint32](9), Settled: true, State: &Rejected{Error: NewError(CondNotFound, "no such thing")}},
		&Disposition{First: 1, State: &Declared{TxnID: []byte{1, 2}}}, &Disposition{State: &Released{}}, &Disposition{State: &Received{SectionNumber: 1, SectionOffset: 1 << 33}},
		&Detach{Handle: 1, Closed: true, Error: &Error{Condition: "c", Info: props}}, &End{}, &Close{Error: NewError("a", "b")},
		&SASLMechanisms{SASLServerMechanisms: []string{"PLAIN"}}, &SASLMechanisms{SASLServerMechanisms: []string{"PLAIN", "ANONYMOUS"}},
		&SASLInit{Mechanism: "PLAIN", InitialResponse: []byte("\x00u\x00p"), Hostname: "h"}, &SASLOutcome{Code: 1},
		&Header{Durable: Some(false), Priority: 4, TTL: Some[uint32](0), DeliveryCount: 3}, &Header{Priority: 0},
		&Properties{MessageID: NumValue(Ulong, 0), UserID: []byte("u"), Subject: Some(""), CreationTime: Some[int64](0), GroupSequence: Some[uint32](0)},
		&Discharge{TxnID: []byte{1}, Fail: true}, &Declare{}, &DeleteOnClose{},
	} {
		b := want.AppendTo(nil)
		got, err := NewReader(b).Composite()
		if err != nil {
			t.Errorf("%T: %v", want, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%T: %+v, not %+v", want, got, want)
		}
		for n := range b {
			if _, err := NewReader(b[:n]).Composite(); err == nil {
				t.Errorf("%T: accepted, %d bytes short", want, len(b)-n)
			}
		}
	}
}

func TestGoldenPerformatives(t *testing.T) {
	t.Parallel()
	for enc, want := range map[string]Composite{
		// symbolic descriptor, full-width forms, fields left out at the end, nulls between, an unknown field behind
		"00a30e" + hex.EncodeToString([]byte("amqp:flow:list")) + "d0000000140000000440" + "70000007ff" + "7000000001" + "70ffffffff": &Flow{
			IncomingWindow: 2047, NextOutgoingID: 1, OutgoingWindow: math.MaxUint32,
		},
		"00 53 24 45":                                &Accepted{},
		"00 80 0000000000000024 45":                  &Accepted{},
		"00 53 26 c0 01 00":                          &Released{},
		"00 53 24 c0 03 02 40 41":                    &Accepted{},
		"00 53 18 c0 02 01 40":                       &Close{},
		"00 53 15 c0 09 05 41 43 40 41 00 53 24 45":  &Disposition{Role: true, Settled: true, State: &Accepted{}},
		"00 53 40 c0 0c 01 a3 09 414e4f4e594d4f5553": &SASLMechanisms{SASLServerMechanisms: []string{"ANONYMOUS"}},
	} {
		got, err := NewReader(unhex(t, enc)).Composite()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", enc, got, err)
		}
	}
	for name, enc := range map[string]string{
		"open without container": "00 53 10 45", "open with container null": "00 53 10 c0 02 01 40", "container of type uint": "00 53 10 c0 02 01 43",
		"descriptor of nothing": "00 53 99 45", "not described": "45", "no list": "00 53 24 40", "descriptor string": "00 a1 01 61 45",
		"error of another type": "00 53 18 c0 05 01 00 53 24 45", "detach without handle": "00 53 16 45",
	} {
		if got, err := NewReader(unhex(t, enc)).Composite(); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzValue(f *testing.F) {
	for _, g := range goldenValues {
		for _, e := range g.enc {
			f.Add(unhex(f, e))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := NewReader(b).Value()
		if err != nil {
			return
		}
		again, err := NewReader(AppendValue(nil, v)).Value()
		if err != nil || !again.Equal(v) {
			t.Fatalf("%+v, %v; before %+v", again, err, v)
		}
	})
}

func FuzzComposite(f *testing.F) {
	f.Add((&Attach{Name: "l", Source: &Source{Outcomes: []string{"a", "b"}}, Target: &Target{Address: StringValue("q")}}).AppendTo(nil))
	f.Add((&Transfer{DeliveryTag: []byte{1}, State: &TransactionalState{TxnID: []byte{1}, Outcome: &Accepted{}}}).AppendTo(nil))
	f.Add((&Open{ContainerID: "c"}).AppendTo(nil))
	f.Add((&Properties{MessageID: StringValue("x")}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := NewReader(b).Composite()
		if err != nil {
			return
		}
		enc := c.AppendTo(nil)
		again, err := NewReader(enc).Composite()
		if err != nil {
			t.Fatalf("%T %+v: %v", c, c, err)
		}
		if enc2 := again.AppendTo(nil); !bytes.Equal(enc, enc2) {
			t.Fatalf("%x, then %x", enc, enc2)
		}
	})
}
