package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json" //nolint:depguard // the descriptions beside the golden files
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

const javaDir = "testdata/java/5.5.0"

// javaFile is the description beside a .bin file.
type javaFile struct {
	PropertyCRC     bool
	AskedProperties string
	MsgIDs          string `json:"msgIds"`
	BatchBody       string
	Records         []javaRecord
}

type javaRecord struct {
	Size           int
	Topic          string
	QueueID        int32 `json:"queueId"`
	Index          record.Index
	Offset         record.Offset
	SysFlag        int32
	StoreTime      int64
	TagsCode       int64
	PreparedOffset record.Offset
	Keys           string
	UniqKey        string
	Properties     map[string]string
	Magic          string
	BodyCRC        uint32
	Flag           int32
	BornTime       int64
	BornHost       string
	StoreHost      string
	Reconsume      int32
	Body           string
	OffsetID       string
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// asHex is the generator's text for bytes.
func asHex(b []byte) string {
	if len(b) > 1000 {
		return fmt.Sprintf("#%d:%d", len(b), crc32.ChecksumIEEE(b)&0x7FFFFFFF)
	}
	return hex.EncodeToString(b)
}

func TestJavaRecords(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(javaDir, "*.bin"))
	if err != nil || len(names) < 30 {
		t.Fatalf("%d golden files, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".bin"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var want javaFile
			readJSON(t, strings.TrimSuffix(name, ".bin")+".json", &want)
			rest, ids := raw, []string(nil)
			var decoded []record.Message
			for _, w := range want.Records {
				var m record.Message
				n, err := record.Decode(rest, &m, true)
				if err != nil || n != w.Size {
					t.Fatalf("decode: %d, %v; want %d", n, err, w.Size)
				}
				checkDecoded(t, &m, &w)
				checkEncoded(t, rest[:n], m, &want)
				ids = append(ids, w.OffsetID)
				decoded = append(decoded, m)
				rest = rest[n:]
			}
			if len(rest) != 0 {
				t.Errorf("%d bytes are left", len(rest))
			}
			if got := strings.Join(ids, ","); got != want.MsgIDs {
				t.Errorf("ids %s, want %s", got, want.MsgIDs)
			}
			if want.BatchBody != "" {
				checkBatch(t, unhex(t, want.BatchBody), decoded, want.PropertyCRC)
			}
		})
	}
}

func checkDecoded(t *testing.T, m *record.Message, w *javaRecord) {
	t.Helper()
	props := map[string]string{}
	m.Props.ForEach(func(k, v []byte) bool {
		props[string(k)] = string(v)
		if len(v) > 1000 {
			props[string(k)] = "#" + strconv.Itoa(len(v))
		}
		return true
	})
	keys, _ := m.Props.Get(record.PropKeys)
	uniq, _ := m.Props.Get(record.PropUniqKey)
	got := javaRecord{
		Size: w.Size, Topic: string(m.Topic), QueueID: m.QueueID, Index: m.Index, Offset: m.Offset, SysFlag: m.SysFlag,
		StoreTime: m.StoreTime, TagsCode: m.Props.Indexed().TagsCode(), PreparedOffset: m.PreparedOffset, Keys: string(keys),
		UniqKey: string(uniq), Magic: strconv.FormatUint(uint64(m.Magic), 16), BodyCRC: m.BodyCRC, Flag: m.Flag,
		BornTime: m.BornTime, BornHost: m.BornHost.String(), StoreHost: m.StoreHost.String(), Reconsume: m.Reconsume,
		Body: asHex(m.Body), OffsetID: string(record.AppendOffsetID(nil, m.StoreHost, m.Offset)),
	}
	want := *w
	want.Properties = nil
	want.BornHost = netip.MustParseAddrPort(w.BornHost).String()
	want.StoreHost = netip.MustParseAddrPort(w.StoreHost).String()
	if w.Topic == "SCHEDULE_TOPIC_XXXX" { // Java puts the time of delivery there
		if want.TagsCode != m.StoreTime+10_000 {
			t.Errorf("tags code of level 3: %d, stored at %d", want.TagsCode, m.StoreTime)
		}
		want.TagsCode = got.TagsCode
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if !maps.Equal(props, w.Properties) {
		t.Errorf("properties\n got %q\nwant %q", props, w.Properties)
	}
}

// checkEncoded makes the record again, the way a broker does: from what the client sent.
func checkEncoded(t *testing.T, raw []byte, m record.Message, f *javaFile) {
	t.Helper()
	idx, off, at := m.Index, m.Offset, m.StoreTime
	m.Magic, m.Index, m.Offset, m.StoreTime, m.BodyCRC = 0, 0, 0, 0, 0
	m.SysFlag &^= record.SysFlagBornV6 | record.SysFlagStoreV6
	m.ReserveCRC = f.PropertyCRC
	if !strings.HasPrefix(f.AskedProperties, "#") && f.BatchBody == "" {
		m.Props = unhex(t, f.AskedProperties)
	}
	got, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	record.Patch(got, idx, off, at)
	if m.ReserveCRC {
		record.SealCRC(got)
		if err := record.VerifyCRC(raw); err != nil {
			t.Errorf("property CRC: %v", err)
		}
	}
	if !bytes.Equal(got, raw) {
		t.Errorf("encoded\n got %x\nwant %x", got, raw)
	}
}

// checkBatch compares a batch's body with the records that Java made from it.
func checkBatch(t *testing.T, body []byte, records []record.Message, crc bool) {
	t.Helper()
	it := record.IterBatch(body)
	var again []byte
	for i := range records {
		flag, b, props, ok := it.Next()
		m := records[i]
		stored := m.Props
		if crc {
			stored = stored.AppendWithout(nil, record.PropCRC32)
		}
		if !ok || flag != m.Flag || !bytes.Equal(b, m.Body) || !bytes.Equal(props, stored) {
			t.Errorf("message %d: %v %d %q %q, stored %d %q %q", i, ok, flag, b, props, m.Flag, m.Body, stored)
		}
		again = record.AppendBatchItem(again, flag, b, props)
	}
	if _, _, _, ok := it.Next(); ok || it.Err() != nil {
		t.Errorf("batch goes on: %v, %v", ok, it.Err())
	}
	if !bytes.Equal(again, body) {
		t.Errorf("batch\n got %x\nwant %x", again, body)
	}
}

func TestJavaVectors(t *testing.T) {
	t.Parallel()
	var v struct {
		Hashes []struct {
			Bytes string
			Hash  int32
		}
		Properties []struct {
			Bytes      string
			Properties map[string]string
		}
	}
	readJSON(t, filepath.Join(javaDir, "vectors.json"), &v)
	for _, h := range v.Hashes {
		if got := record.HashCode(unhex(t, h.Bytes)); got != h.Hash {
			t.Errorf("hash of %s: %d, Java has %d", h.Bytes, got, h.Hash)
		}
	}
	for _, p := range v.Properties {
		raw := record.Props(unhex(t, p.Bytes))
		got := map[string]string{}
		raw.ForEach(func(k, v []byte) bool { got[string(k)] = string(v); return true })
		if !maps.Equal(got, p.Properties) {
			t.Errorf("%q: %q, Java has %q", raw, got, p.Properties)
		}
		for k, want := range p.Properties {
			if val, ok := raw.Get(k); !ok || string(val) != want {
				t.Errorf("%q: Get(%q) = %q, %v", raw, k, val, ok)
			}
		}
	}
}

// TestJavaStoreScan reads whole log files of a Java store, end markers included.
func TestJavaStoreScan(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"5.5.0/clean", "5.5.0/killed", "5.5.0/crc", "5.3.3/clean", "5.3.3/killed", "5.3.3/crc"} {
		dir := filepath.Join("..", "storage", "testdata", "java", filepath.FromSlash(name))
		var want struct {
			Records []javaRecord
			Ends    []struct{ Offset, Left int }
		}
		readJSON(t, dir+".json", &want)
		files, err := filepath.Glob(filepath.Join(dir, "commitlog", "*"))
		if err != nil || len(files) < 2 {
			t.Fatalf("%v, %v", files, err)
		}
		records, ends := 0, 0
		for i, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; at < len(b); {
				var m record.Message
				n, err := record.Decode(b[at:], &m, true)
				if err != nil && records == len(want.Records) {
					break // the rest is empty
				}
				switch {
				case err == nil:
					if w := want.Records[records]; w.Offset != m.Offset || w.Topic != string(m.Topic) || w.Index != m.Index || w.Size != n {
						t.Fatalf("%s at %d: %v, want %+v", f, at, &m, w)
					}
					records++
				case errors.Is(err, record.ErrBlank) && want.Ends[ends].Left == n && want.Ends[ends].Offset == i*4096+at:
					ends++
				default:
					t.Fatalf("%s at %d: %v", f, at, err)
				}
				at += n
			}
		}
		if records != len(want.Records) || ends != len(want.Ends) {
			t.Errorf("%s: %d records and %d ends, want %d and %d", name, records, ends, len(want.Records), len(want.Ends))
		}
	}
}
