package record_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

func message(size int) record.Message {
	m := goldenMessage()
	m.Body = bytes.Repeat([]byte("x"), size)
	m.Props = append(m.Props, "WAIT\x01true\x02CLUSTER\x01DefaultCluster\x02MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02"...)
	return m
}

// TestHotPathAllocatesNothing holds the allocation budget of what happens for each message.
func TestHotPathAllocatesNothing(t *testing.T) {
	m := message(1024)
	buf := make([]byte, 0, 4096)
	rec, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	crc := m
	crc.ReserveCRC = true
	var d record.Message
	ids := record.NewUniqueIDs(netip.MustParseAddr("10.0.0.1"), 1)
	now := time.Now()
	batch := record.AppendBatchItem(nil, 0, m.Body, m.Props)
	text := "名字\U0001F600"
	bad := bytes.Clone(rec)
	bad[4] = 0
	for name, f := range map[string]func(){
		"AppendTo":       func() { buf, _ = m.AppendTo(buf[:0]) },
		"AppendTo CRC":   func() { buf, _ = crc.AppendTo(buf[:0]); record.SealCRC(buf) },
		"Decode":         func() { _, _ = record.Decode(rec, &d, true) },
		"Decode bad":     func() { _, _ = record.Decode(bad, &d, true) },
		"Header":         func() { h, _ := record.Header(rec); _, _, _ = h.Tail(rec) },
		"Patch":          func() { record.Patch(rec, 1, 2, 3) },
		"TagsCode":       func() { d.Props.Indexed().TagsCode() },
		"AppendOffsetID": func() { buf = record.AppendOffsetID(buf[:0], m.StoreHost, 7) },
		"UniqueIDs":      func() { buf = ids.Append(buf[:0], now) },
		"HashCode":       func() { record.HashCode(text) },
		"IterBatch":      func() { it := record.IterBatch(batch); it.Next() },
		"AppendWithout":  func() { buf = record.AppendProp(m.Props.AppendWithout(buf[:0], "WAIT"), "k", "v") },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

func BenchmarkAppendTo(b *testing.B) {
	for _, c := range []struct {
		name string
		crc  bool
		size int
	}{{"100B", false, 100}, {"1KiB", false, 1024}, {"1KiB_propcrc", true, 1024}} {
		b.Run(c.name, func(b *testing.B) {
			m := message(c.size)
			m.ReserveCRC = c.crc
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			b.SetBytes(int64(c.size))
			for b.Loop() {
				buf, _ = m.AppendTo(buf[:0])
				record.Patch(buf, 1, 2, 3)
				if c.crc {
					record.SealCRC(buf)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	m := message(1024)
	rec, _ := m.AppendTo(nil)
	for name, check := range map[string]bool{"plain": false, "crc": true} {
		b.Run(name, func(b *testing.B) {
			var d record.Message
			b.ReportAllocs()
			for b.Loop() {
				_, _ = record.Decode(rec, &d, check)
			}
		})
	}
}

// BenchmarkDispatch is what a dispatcher does with each record.
func BenchmarkDispatch(b *testing.B) {
	m := message(1024)
	rec, _ := m.AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		h, _ := record.Header(rec)
		_, props, _ := h.Tail(rec)
		props.Indexed().TagsCode()
	}
}

func BenchmarkUniqueIDs(b *testing.B) {
	ids := record.NewUniqueIDs(netip.MustParseAddr("10.0.0.1"), 1)
	now := time.Now()
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = ids.Append(buf[:0], now)
	}
}
