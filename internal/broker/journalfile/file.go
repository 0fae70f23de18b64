package journalfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// HeadSize is the length of a file's head:
//
//	offset  size  what
//	     0     8  magic
//	     8     8  generation, as in the file name
//	    16     4  CRC-32C of bytes 0..15
const HeadSize = 20

// MaxFrame is the most that the payload of a frame takes.
const MaxFrame = 64 << 20

// Suffix ends the name of every journal file.
const Suffix = ".journal"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Name returns the file name of a generation.
func Name(name string, gen uint64) string { return fmt.Sprintf("%s.%06d%s", name, gen, Suffix) }

// Generation returns the generation of a file name made by Name.
func Generation(name, file string) (uint64, bool) {
	s, ok := strings.CutPrefix(file, name+".")
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, Suffix)
	if !ok || s == "" || s[0] == '+' {
		return 0, false
	}
	g, err := strconv.ParseUint(s, 10, 64)
	return g, err == nil && g > 0
}

// Head returns the head of a file; magic has 8 bytes.
func Head(magic string, gen uint64) []byte {
	h := append(make([]byte, 0, HeadSize), magic...)
	h = binary.BigEndian.AppendUint64(h, gen)
	return binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
}

// HeadIntact reports whether the checksum of a head of HeadSize bytes is right.
func HeadIntact(h []byte) bool {
	return binary.BigEndian.Uint32(h[16:]) == crc32.Checksum(h[:16], castagnoli)
}

// Seed starts the checksum of the frames of one generation: a frame of another file, left behind by a crash, never looks valid.
type Seed uint32

// SeedOf returns the seed of a generation.
func SeedOf(gen uint64) Seed {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], gen)
	return Seed(crc32.Checksum(b[:], castagnoli))
}

// Sum is the checksum of a frame; head is what stands between its mark and its checksum.
func (s Seed) Sum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Update(uint32(s), castagnoli, head), castagnoli, payload)
}
