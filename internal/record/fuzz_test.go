package record_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

func FuzzDecode(f *testing.F) {
	for _, s := range []string{g1, g2} {
		f.Add(unhex(f, s))
	}
	f.Add(record.EndOfFile(nil, 100))
	names, err := filepath.Glob(filepath.Join(javaDir, "*.bin"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var m record.Message
		n, err := record.Decode(src, &m, true)
		if verr := record.Verify(src); !errors.Is(verr, err) {
			t.Fatalf("verified %v, decoded %v", verr, err)
		}
		h, herr := record.Header(src)
		if n < 0 || n > 0 && n < record.EndOfFileSize || n != h.Size {
			t.Fatalf("size %d, header %d", n, h.Size)
		}
		if err != nil {
			return
		}
		if herr != nil || n > len(src) {
			t.Fatalf("decoded %d of %d, header says %v", n, len(src), herr)
		}
		got, err := m.EncodedLen()
		if err != nil || got != n && !m.BornHost.Addr().Is4In6() && !m.StoreHost.Addr().Is4In6() {
			t.Fatalf("encoded length %d, was %d, %v", got, n, err)
		}
		b, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.BornHost.Addr().Is4In6() || m.StoreHost.Addr().Is4In6() {
			return // gets shorter: such an address is stored as IPv4
		}
		rec := bytes.Clone(src[:n])
		for at, host := range map[int]int{48: 4, 64: 4} { // an impossible port does not survive
			if at == 64 {
				host = 4
				if m.SysFlag&record.SysFlagBornV6 != 0 {
					at += 12
				}
				if m.SysFlag&record.SysFlagStoreV6 != 0 {
					host = 16
				}
			} else if m.SysFlag&record.SysFlagBornV6 != 0 {
				host = 16
			}
			rec[at+host], rec[at+host+1] = 0, 0
		}
		if len(m.Body) == 0 { // whatever CRC it had
			copy(rec[8:12], b[8:12])
		}
		if !bytes.Equal(b, rec) {
			t.Fatalf("encode(decode):\n got %x\nwant %x", b, rec)
		}
	})
}

func FuzzProps(f *testing.F) {
	f.Add([]byte("a\x01b\x02c\x01d"), "a", "b")
	f.Fuzz(func(t *testing.T, raw []byte, key, val string) {
		p := record.Props(raw)
		last := map[string]string{}
		p.ForEach(func(k, v []byte) bool { last[string(k)] = string(v); return true })
		if record.ValidProp(key, "x") {
			got, ok := p.Get(key)
			want, wantOK := last[key]
			if ok != wantOK || string(got) != want {
				t.Fatalf("Get(%q) = %q, %v; want %q, %v", key, got, ok, want, wantOK)
			}
			rest := record.Props(p.AppendWithout(nil, key))
			if _, ok := rest.Get(key); ok {
				t.Fatalf("%q is still in %q", key, rest)
			}
		}
		if record.ValidProp(key, val) {
			with := record.Props(record.AppendProp(p.AppendTerminated(nil), key, val))
			if got, _ := with.Get(key); string(got) != val {
				t.Fatalf("appended %q, found %q", val, got)
			}
		}
		m := record.Message{Props: p, ReserveCRC: true, Topic: []byte("t")}
		b, err := m.AppendTo(nil)
		if err != nil {
			return
		}
		record.SealCRC(b)
		if err := record.VerifyCRC(b); err != nil {
			t.Fatal(err)
		}
		var d record.Message
		if _, err := record.Decode(b, &d, true); err != nil {
			t.Fatal(err)
		}
		delete(last, record.PropCRC32)
		n := 0
		seen := map[string]bool{}
		d.Props.ForEach(func(k, _ []byte) bool { seen[string(k)] = true; n++; return true })
		for k := range last {
			if !seen[k] {
				t.Fatalf("property %q got lost", k)
			}
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add(record.AppendBatchItem(record.AppendBatchItem(nil, 1, []byte("b"), record.Props("k\x01v\x02")), 2, nil, nil))
	f.Fuzz(func(t *testing.T, src []byte) {
		it := record.IterBatch(src)
		var again []byte
		for {
			flag, body, props, ok := it.Next()
			if !ok {
				break
			}
			again = record.AppendBatchItem(again, flag, body, props)
		}
		if it.Err() == nil && len(again) != len(src) {
			t.Fatalf("read %d of %d bytes without an error", len(again), len(src))
		}
	})
}

func FuzzOffsetID(f *testing.F) {
	f.Add("0A00000200002A9F0000000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		host, off, err := record.ParseOffsetID(s)
		if err != nil || host.Addr().Is4In6() {
			return
		}
		if got := string(record.AppendOffsetID(nil, host, off)); !bytes.EqualFold([]byte(got), []byte(s)) {
			t.Fatalf("%s became %s", s, got)
		}
	})
}
