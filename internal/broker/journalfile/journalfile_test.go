package journalfile_test

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
)

func TestNamesOfGenerations(t *testing.T) {
	t.Parallel()
	for _, gen := range []uint64{1, 999_999, 1_000_000, 1<<64 - 1} {
		if g, ok := journalfile.Generation("topics", journalfile.Name("topics", gen)); !ok || g != gen {
			t.Errorf("%d: %d %v", gen, g, ok)
		}
	}
	for _, file := range []string{
		"topics.000000.journal", "topics..journal", "topics.+1.journal", "topics.1", "topics.x.journal", "groups.000001.journal",
		"topics.18446744073709551616.journal",
	} {
		if g, ok := journalfile.Generation("topics", file); ok {
			t.Errorf("%s is taken for generation %d", file, g)
		}
	}
}

func TestHeadShowsDamage(t *testing.T) {
	t.Parallel()
	h := journalfile.Head("CMQTEST1", 7)
	if len(h) != journalfile.HeadSize || !journalfile.HeadIntact(h) {
		t.Fatalf("%x", h)
	}
	for i := range h {
		h[i] ^= 1
		if journalfile.HeadIntact(h) {
			t.Errorf("byte %d may change", i)
		}
		h[i] ^= 1
	}
	if journalfile.SeedOf(7).Sum([]byte("h"), []byte("p")) == journalfile.SeedOf(8).Sum([]byte("h"), []byte("p")) {
		t.Error("a frame of another generation looks valid")
	}
}

func TestReaderEndsAtWhatIsCut(t *testing.T) {
	t.Parallel()
	b := []byte{9}
	b = binary.AppendUvarint(b, 300)
	b = binary.AppendVarint(b, -300)
	b = append(binary.AppendVarint(b, 3), "abc"...)
	b = append(binary.AppendUvarint(b, 2), "de"...)
	read := func(b []byte) (r journalfile.Reader, right bool) {
		r = journalfile.NewReader(b)
		right = r.Byte() == 9 && r.Uint() == 300 && r.Int() == -300 && string(r.Text()) == "abc" && string(r.Bytes()) == "de"
		return r, right
	}
	if r, right := read(b); !right || r.Err() != nil || r.More() {
		t.Fatal(right, r.Err(), r.More())
	}
	for n := range b {
		if r, right := read(b[:n]); right || !errors.Is(r.Err(), io.ErrUnexpectedEOF) || r.More() || r.Int() != 0 {
			t.Errorf("%d of %d bytes: %v %v", n, len(b), right, r.Err())
		}
	}
	for _, bad := range [][]byte{binary.AppendVarint(nil, -1), binary.AppendVarint(nil, 1<<40)} {
		if r := journalfile.NewReader(bad); r.Text() != nil || r.Err() == nil {
			t.Errorf("length %x is believed", bad)
		}
	}
	if r := journalfile.NewReader(binary.AppendUvarint(nil, 1<<63)); r.Bytes() != nil || r.Err() == nil {
		t.Error("a huge length is believed")
	}
}
