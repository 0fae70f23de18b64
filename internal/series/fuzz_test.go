package series

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"testing"
)

// FuzzBlock feeds blocks with a right checksum, so that what is behind it is reached.
func FuzzBlock(f *testing.F) {
	for i := range tiers {
		g := tiers[i].grid()
		for c := range g.columns() {
			for s := range g.slots {
				if s%7 != 3 {
					g.col(c)[s] = float64(s*c) / 3
				}
			}
		}
		b, err := g.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[4:], i)
		f.Add(b[4:len(b)/2], i)
	}
	f.Add([]byte{blockVersion, 1, 2, 0, 0}, 0)
	f.Fuzz(func(t *testing.T, b []byte, tier int) {
		g := tiers[uint(tier)%uint(len(tiers))].grid()
		b = append(binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)), b...)
		if g.decode(b) != nil {
			return
		}
		again, err := g.encode()
		if err != nil {
			t.Fatal(err)
		}
		other := newGrid(g.columns(), g.slots)
		if err := other.decode(again); err != nil {
			t.Fatal(err)
		}
		for i, v := range g.v {
			if w := other.v[i]; v != w && !(math.IsNaN(v) && math.IsNaN(w)) {
				t.Fatalf("value %d: %v became %v", i, v, w)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	key := numberKey(7)
	f.Add(encodeName(key, identity(appendIdentity(nil, "group.lag", "c", "g", "t")), 1_700_000_000)[4:])
	f.Add([]byte{nameVersion, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(binary.BigEndian.AppendUint32(nil, nameSum(key, b)), b...)
		id, seen, err := decodeName(key, b)
		if err != nil {
			return
		}
		id.split()
		again, when, err := decodeName(key, encodeName(key, id, seen))
		if err != nil || again != id || when != seen {
			t.Fatalf("%q %d became %q %d, %v", id, seen, again, when, err)
		}
	})
}

func TestFlippedBitsAreFound(t *testing.T) {
	t.Parallel()
	g := tiers[minutes].grid()
	for i := range g.v {
		g.v[i] = float64(i)
	}
	good, err := g.encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		good[i] ^= 0x10
		if g.decode(good) == nil {
			t.Errorf("byte %d was changed and nobody noticed", i)
		}
		good[i] ^= 0x10
	}
	if err := g.decode(good); err != nil {
		t.Error(err)
	}
}

func TestCatalogueIsSound(t *testing.T) {
	t.Parallel()
	if len(catalogue) < 30 {
		t.Errorf("only %d series", len(catalogue))
	}
	for i, d := range catalogue {
		if i > 0 && catalogue[i-1].Name >= d.Name {
			t.Errorf("%s is twice or out of order", d.Name)
		}
		if find(d.Name) == nil || d.Help == "" || d.Labels[0] != "cluster" {
			t.Errorf("%s: %+v", d.Name, d)
		}
		for _, l := range d.Labels {
			if promLabels[l] == "" {
				t.Errorf("%s: Prometheus has no name of label %s", d.Name, l)
			}
		}
	}
}
