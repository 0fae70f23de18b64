package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// Serial is the serialisation of one command header, the top byte of the second word of its frame.
type Serial uint8

// The two serialisations.
const (
	JSON   Serial = 0
	Binary Serial = 1
)

// Sizes of a frame.
//
//	int32  total      bytes that follow: 4 + header + body
//	int32  word       serialisation << 24 | header length
//	bytes  header
//	bytes  body
const (
	PrefixLen = 8        // the two leading words
	MaxFrame  = 16 << 20 // Java's limit, with the first four bytes counted
)

// Bits of a header's flag.
const (
	FlagResponse int32 = 1
	FlagOneway   int32 = 2
)

// Ordinals of Java's MQVersion that change how a peer is served, and the one that we report.
const (
	Version3_0_7  int32 = 29  // can reset offsets
	Version3_0_11 int32 = 37  // registers with a RegisterBrokerBody
	Version3_1_8  int32 = 63  // answers running-info calls
	Version3_4_9  int32 = 121 // sends maxReconsumeTimes
	Version4_9_3  int32 = 399 // last one that signs without _UNIQUE_KEY_QUERY
	Version4_9_4  int32 = 401 // reads standard JSON routes
	Version5_0_0  int32 = 413 // registers with queue mappings
	Version5_3_2  int32 = 477 // understands GO_AWAY
	VersionServed int32 = 479 // V5_3_3
)

// ErrHeader is wrapped by every error that says that bytes are not a command header.
var ErrHeader = errors.New("bad command header")

func headerErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHeader, fmt.Sprintf(format, args...))
}

// maxFields bounds the memory that one header can claim; real ones have fewer than 30 fields.
const maxFields = 4096

// Header is a decoded command header. It is made to be reused: decoding keeps the memory of Fields and of the scratch
// space for strings that had escapes. Remark and Fields alias the source bytes or that scratch space.
type Header struct {
	Code     int32
	Language uint8
	Version  int32
	Opaque   int32
	Flag     int32
	Remark   []byte // nil when absent
	Fields   Fields

	scratch []byte
	hold    bool
}

// Head is what the sender of a frame says besides the ext fields.
type Head struct {
	Code     int32
	Language uint8
	Version  int32
	Opaque   int32
	Flag     int32
	Remark   string // "" = absent
}

// SplitWord takes the second word of a frame apart.
func SplitWord(word uint32) (s Serial, headerLen int) {
	return Serial(word >> 24), int(word & 0x00FFFFFF)
}

// Decode decodes a header in the serialisation s.
func (h *Header) Decode(s Serial, src []byte) error {
	switch s {
	case JSON:
		return h.DecodeJSON(src)
	case Binary:
		return h.DecodeBinary(src)
	}
	return headerErrorf("serialisation %d", s)
}

// HoldTexts empties the scratch space and makes later decodes add to it: the texts of all headers decoded between two
// calls stay valid together. For a reader that decodes a burst of frames before it uses them.
func (h *Header) HoldTexts() {
	h.hold = true
	h.scratch = h.scratch[:0]
}

// keepScratch and keepFields are how much memory an idle Header may hold on to.
const (
	keepScratch = 4 << 10
	keepFields  = 64
)

// Shrink gives up memory that an unusual header has claimed. Call it when the connection has gone quiet; Remark and
// Fields are void afterwards.
func (h *Header) Shrink() {
	h.Remark = nil
	h.Fields = h.Fields[:0]
	if cap(h.Fields) > keepFields {
		h.Fields = nil
	}
	if cap(h.scratch) > keepScratch {
		h.scratch = nil
	}
}

// Begin starts a frame at the end of dst. A code that does not fit the binary form goes out as JSON, which every peer
// reads, because the form is chosen frame by frame.
func (w *FieldWriter) Begin(dst []byte, s Serial, h *Head) {
	w.start = len(dst)
	w.head = *h
	w.any = false
	w.bin = s == Binary && h.Code == int32(int16(h.Code))
	if !w.bin {
		b := dst
		b = append(b, "\x00\x00\x00\x00\x00\x00\x00\x00{\"code\":"...)
		b = strconv.AppendInt(b, int64(h.Code), 10)
		b = append(b, ',')
		w.buf = b
		return
	}
	b := dst
	b = append(b, 0, 0, 0, 0, byte(Binary), 0, 0, 0,
		byte(h.Code>>8), byte(h.Code), h.Language, byte(h.Version>>8), byte(h.Version))
	b = binary.BigEndian.AppendUint32(b, uint32(h.Opaque))
	b = binary.BigEndian.AppendUint32(b, uint32(h.Flag))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h.Remark)))
	b = append(b, h.Remark...)
	w.ext = len(b)
	b = append(b, 0, 0, 0, 0)
	w.buf = b
}

// End closes the header of a frame whose body has bodyLen bytes and returns the slice that Begin got, grown by the
// frame up to the body. The body follows: appended to it, or from a buffer of its own.
func (w *FieldWriter) End(bodyLen int) []byte {
	b := w.buf
	w.buf = nil
	if w.bin {
		binary.BigEndian.PutUint32(b[w.ext:], uint32(len(b)-w.ext-4))
	} else {
		b = w.endJSON(b)
	}
	n := len(b) - w.start - PrefixLen
	binary.BigEndian.PutUint32(b[w.start:], uint32(4+n+bodyLen))
	b[w.start+5], b[w.start+6], b[w.start+7] = byte(n>>16), byte(n>>8), byte(n)
	return b
}

func (w *FieldWriter) endJSON(b []byte) []byte {
	if w.any {
		b = append(b, `},"flag":`...)
	} else {
		b = append(b, `"flag":`...)
	}
	b = strconv.AppendInt(b, int64(w.head.Flag), 10)
	b = append(b, `,"language":"`...)
	b = append(b, LanguageName(w.head.Language)...)
	b = append(b, `","opaque":`...)
	b = strconv.AppendInt(b, int64(w.head.Opaque), 10)
	if w.head.Remark != "" {
		b = append(b, `,"remark":"`...)
		b = fastjson.AppendText(b, w.head.Remark)
		b = append(b, '"')
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(w.head.Version), 10)
	return append(b, '}')
}

// Language codes (Java LanguageCode).
const (
	LanguageJava  uint8 = 0
	LanguageOther uint8 = 7
	LanguageGo    uint8 = 9
)

var languages = [...]string{
	"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS",
}

// LanguageName returns Java's name of a language code, OTHER when it has none.
func LanguageName(code uint8) string {
	if int(code) < len(languages) {
		return languages[code]
	}
	return languages[LanguageOther]
}

func languageCode(name []byte) uint8 {
	for i := range languages {
		if string(name) == languages[i] {
			return uint8(i)
		}
	}
	return LanguageOther
}
