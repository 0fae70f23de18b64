package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

// Vectors that Java 5.3.3 made (storage spec 20).
const (
	g1 = "000000a8daa320a73610a686000000000000000700000000000000000000000000000000000000000000018bcfe568000a000001000004d2" +
		"000001a203b2d9580a00000200002a9f0000000000000000000000000000000568656c6c6f09546f70696354657374003f4b455953016b31" +
		"206b3202554e49515f4b45590130413030303030313030303030303030303030303030303030303041303030310254414753015461674102"
	g2 = "000000bcdaa320a73610a686000000000000000700000000000000000000000000000000000000000000018bcfe568000a000001000004d2" +
		"000001a203b2ef990a00000200002a9f0000000000000000000000000000000568656c6c6f09546f7069635465737400534b455953016b31" +
		"206b3202554e49515f4b45590130413030303030313030303030303030303030303030303030303041303030310254414753015461674102" +
		"5f5f435243333223013433303634373431333102"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func goldenMessage() record.Message {
	return record.Message{
		Flag: 7, BornTime: 1700000000000, BornHost: netip.MustParseAddrPort("10.0.0.1:1234"),
		StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"), Body: []byte("hello"), Topic: []byte("TopicTest"),
		Props: record.Props("KEYS\x01k1 k2\x02UNIQ_KEY\x010A0000010000000000000000000A0001\x02TAGS\x01TagA\x02"),
	}
}

func TestGoldenV1(t *testing.T) {
	t.Parallel()
	want := unhex(t, g1)
	m := goldenMessage()
	got, err := m.AppendTo([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	got = got[6:]
	record.Patch(got, 0, 0, 0x1a203b2d958)
	if !bytes.Equal(got, want) {
		t.Fatalf("\n got %x\nwant %x", got, want)
	}
	var d record.Message
	n, err := record.Decode(append(want, "more"...), &d, true)
	if err != nil || n != 168 {
		t.Fatalf("decode: %d, %v", n, err)
	}
	if d.Magic != record.MagicV1 || d.StoreTime != 0x1a203b2d958 || string(d.Body) != "hello" ||
		string(d.Topic) != "TopicTest" || d.BornHost != m.BornHost || d.StoreHost != m.StoreHost || d.Flag != 7 {
		t.Errorf("decoded %+v", d)
	}
	if code := d.Props.Indexed().TagsCode(); code != 2598919 {
		t.Errorf("tags code %d", code)
	}
	if id := string(record.AppendOffsetID(nil, d.StoreHost, d.Offset)); id != "0A00000200002A9F0000000000000000" {
		t.Errorf("offset id %s", id)
	}
}

func TestGoldenPropertyCRC(t *testing.T) {
	t.Parallel()
	want := unhex(t, g2)
	m := goldenMessage()
	m.ReserveCRC = true
	unterminated := m.Props[:len(m.Props)-1]
	for name, props := range map[string]record.Props{
		"plain":        m.Props,
		"unterminated": unterminated,
		"client's CRC": record.Props("__CRC32#\x0111\x02" + string(m.Props)),
		"CRC at end":   record.Props(string(m.Props) + "__CRC32#\x015"),
	} {
		m.Props = props
		got, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		record.Patch(got, 0, 0, 0x1a203b2ef99)
		record.SealCRC(got)
		if !bytes.Equal(got, want) {
			t.Fatalf("%s:\n got %x\nwant %x", name, got, want)
		}
	}
	if err := record.VerifyCRC(want); err != nil {
		t.Error(err)
	}
	for i := range want {
		bad := bytes.Clone(want)
		bad[i] ^= 0x10
		if record.VerifyCRC(bad) == nil {
			t.Errorf("a flipped bit in byte %d was not noticed", i)
		}
	}
	if err := record.VerifyCRC(unhex(t, g1)); !errors.Is(err, record.ErrNoCRC) {
		t.Errorf("record without CRC: %v", err)
	}
}

func TestGoldenV2(t *testing.T) {
	t.Parallel()
	m := goldenMessage()
	m.Topic, m.Body = []byte(strings.Repeat("T", 130)), []byte("long")
	got, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	record.Patch(got, 0, 168, 0x1a203b2d958)
	want := unhex(t, "daa320ab3b97a9680000000000000007000000000000000000000000000000a8")
	if !bytes.Equal(got[4:4+len(want)], want) || !bytes.Contains(got, append([]byte("long\x00\x82"), m.Topic...)) {
		t.Errorf("got %x", got)
	}
	var d record.Message
	if n, err := record.Decode(got, &d, true); err != nil || n != len(got) || !bytes.Equal(d.Topic, m.Topic) {
		t.Errorf("decode: %d, %v", n, err)
	}
}

func TestEndOfFileMarker(t *testing.T) {
	t.Parallel()
	b := record.EndOfFile(nil, 4096-3993)
	if hex.EncodeToString(b) != "00000067cbd43194" {
		t.Errorf("marker %x", b)
	}
	n, err := record.Decode(b, &record.Message{}, true)
	if !errors.Is(err, record.ErrBlank) || n != 103 {
		t.Errorf("decode: %d, %v", n, err)
	}
}

func TestHashCode(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int32{
		"": 0, "TagA": 2598919, "TagB": 2598920, "polygenelubricants": -2147483648,
		"TopicTest#k1": 2746024, // its absolute value is what the index stores
		"\U0001F600":   31*0xD83D + 0xDE00, "é": 0xE9, "中文": 31*0x4E2D + 0x6587,
	} {
		got := record.HashCode(s)
		if s == "TopicTest#k1" && got < 0 {
			got = -got
		}
		if got != want || record.HashCode([]byte(s)) != record.HashCode(s) {
			t.Errorf("HashCode(%q) = %d, want %d", s, got, want)
		}
	}
}
