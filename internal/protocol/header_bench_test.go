package protocol

import "testing"

func benchDecode(b *testing.B, s Serial) {
	b.Helper()
	src := sendFrame(s)[PrefixLen:]
	var h Header
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := h.Decode(s, src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeSendBinary(b *testing.B) { benchDecode(b, Binary) }
func BenchmarkDecodeSendJSON(b *testing.B)   { benchDecode(b, JSON) }

func benchReply(b *testing.B, s Serial) {
	b.Helper()
	var w FieldWriter
	buf := make([]byte, 0, 1024)
	head := Head{Version: VersionServed, Language: LanguageGo, Opaque: 123456, Flag: FlagResponse}
	b.ReportAllocs()
	for b.Loop() {
		w.Begin(buf, s, &head)
		w.Str("msgId", "7F0000010000 2A9F00000000000F4240"[:32])
		w.Int32("queueId", 3)
		w.Int64("queueOffset", 1234567)
		w.Str("transactionId", "AC110002000A4E25154F5A2BC1D00001")
		w.Str("MSG_REGION", "DefaultRegion")
		w.Str("TRACE_ON", "true")
		buf = w.End(0)[:0]
	}
}

func BenchmarkEncodeSendReplyBinary(b *testing.B) { benchReply(b, Binary) }
func BenchmarkEncodeSendReplyJSON(b *testing.B)   { benchReply(b, JSON) }

func BenchmarkDecodeSendTyped(b *testing.B) {
	for _, s := range []Serial{Binary, JSON} {
		b.Run([]string{"JSON", "Binary"}[s], func(b *testing.B) {
			src := sendFrame(s)[PrefixLen:]
			var h Header
			var v2 SendMessageRequestHeaderV2
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Decode(s, src); err != nil {
					b.Fatal(err)
				}
				if err := v2.Decode(h.Fields); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeSendV1Typed(b *testing.B) {
	var in, h Header
	if err := in.DecodeBinary(binaryFrame()[PrefixLen:]); err != nil {
		b.Fatal(err)
	}
	var v2 SendMessageRequestHeaderV2
	if err := v2.Decode(in.Fields); err != nil {
		b.Fatal(err)
	}
	v1 := SendMessageRequestHeader(v2)
	var w FieldWriter
	w.Begin(nil, JSON, &sendHead)
	v1.AppendTo(&w)
	decodeFrame(b, w.End(0), &h)
	var out SendMessageRequestHeader
	b.ReportAllocs()
	for b.Loop() {
		if err := out.Decode(h.Fields); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodePullReply(b *testing.B) {
	for _, s := range []Serial{Binary, JSON} {
		b.Run([]string{"JSON", "Binary"}[s], func(b *testing.B) {
			pull := PullMessageResponseHeader{NextBeginOffset: 1234567, MaxOffset: 1234599, MinOffset: 1}
			var w FieldWriter
			buf := make([]byte, 0, 1024)
			head := Head{Version: VersionServed, Language: LanguageGo, Opaque: 123456, Flag: FlagResponse, Remark: "FOUND"}
			b.ReportAllocs()
			for b.Loop() {
				w.Begin(buf, s, &head)
				pull.AppendTo(&w)
				buf = w.End(0)[:0]
			}
		})
	}
}
