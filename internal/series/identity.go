package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// identity is the name of a logical series and the values of its labels, with NUL between: the key of all tables in memory.
type identity string

const maxIdentity = 4 << 10 // topics and groups have 255 bytes at most, addresses fewer

// appendIdentity writes the identity of a series. Labels are those of the definition, in its order.
func appendIdentity(dst []byte, name string, labels ...string) []byte {
	dst = append(dst, name...)
	for _, l := range labels {
		dst = append(append(dst, 0), l...)
	}
	return dst
}

// split returns the definition and the values of its labels, nil for something that the catalogue does not have.
func (id identity) split() (*Def, []string) {
	parts := strings.Split(string(id), "\x00")
	d := find(parts[0])
	if d == nil || len(parts)-1 != len(d.Labels) {
		return nil, nil
	}
	return d, parts[1:]
}

// A name in the file, by the number of the series (uint32, big endian):
//
//	uint32   CRC-32C of the key and of all behind it, big endian
//	uint8    version, 1
//	uvarint  when it was written last, s since 1970, to the span of the finest blocks
//	bytes    identity
const nameVersion = 1

var errName = errors.New("damaged name")

func nameSum(key, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b)
}

func encodeName(key []byte, id identity, seen int64) []byte {
	b := binary.AppendUvarint([]byte{0, 0, 0, 0, nameVersion}, uint64(max(seen, 0)))
	b = append(b, id...)
	binary.BigEndian.PutUint32(b, nameSum(key, b[4:]))
	return b
}

func decodeName(key, b []byte) (id identity, seen int64, err error) {
	switch {
	case len(key) != 4 || len(b) < 6:
		return "", 0, fmt.Errorf("%w: %d bytes", errName, len(b))
	case nameSum(key, b[4:]) != binary.BigEndian.Uint32(b):
		return "", 0, fmt.Errorf("%w: checksum", errName)
	case b[4] != nameVersion:
		return "", 0, fmt.Errorf("%w: version %d", errName, b[4])
	}
	at, n := binary.Uvarint(b[5:])
	if n <= 0 || at > 1<<40 || len(b)-5-n > maxIdentity {
		return "", 0, fmt.Errorf("%w: fields", errName)
	}
	return identity(b[5+n:]), int64(at), nil
}
