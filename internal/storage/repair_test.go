package storage

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
)

// TestADamagedMessageIsTakenFromAnotherReplica flips bits of messages near the begin and near the end of a log, where the appender has
// the block.
func TestADamagedMessageIsTakenFromAnotherReplica(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, want, at, _ := filled(t, o, 120)
	sound := open(t, kill(disk), o)
	rng := rand.New(rand.NewPCG(5, 5))
	for try := range 60 {
		victim := rng.IntN(len(want) - 1)
		rec, err := sound.ReadAt(at[victim], nil)
		must(t, err)
		name, pos := logFile(o, at[victim])
		fsys := kill(disk)
		change(t, fsys, name, pos, len(rec), flip([]int{8*5 + 1, 8*35 + 2, 8*90 + 3, 8*(len(rec)-20) + 4}[try%4]))
		var spots []Spot
		o := o
		o.OnDamage = func(x Spot) bool {
			spots = append(spots, x)
			return true
		}
		s := open(t, fsys, o)
		if n := upTo(t, s, "T", 0); n != record.Index(victim) {
			t.Fatalf("message %d, bit %d: the read ends before %d", victim, try%4, n)
		}
		x := spots[0]
		if x != (Spot{"T", 0, record.Index(victim), at[victim], len(rec)}) {
			t.Fatalf("told %+v", x)
		}
		for what, bad := range map[string][]byte{
			"empty": nil, "another size": rec[:len(rec)-1], "damaged": damaged(rec, len(rec)-20), "another index": damaged(rec, 27), "another queue": damaged(rec, 15),
			"another place": damaged(rec, 35), "another topic": []byte(strings.Replace(string(rec), "T", "U", 1)),
		} {
			if err := s.Repair(&x, bad); err == nil {
				t.Errorf("%s is taken", what)
			}
		}
		must(t, s.Repair(&x, rec))
		must(t, s.Repair(&x, rec)) // nothing to do
		equal(t, all(t, s, "T", 0), want)
		put(t, s, "T", 0, "new")
		settle(t, s)
		must(t, s.Close())
		s = open(t, kill(fsys), o) // it is on disk
		equal(t, all(t, s, "T", 0), append(slices.Clone(want), "new"))
		if got, err := s.ReadAt(at[victim], nil); err != nil || !bytes.Equal(got, rec) {
			t.Errorf("the file has %q, %v", got, err)
		}
		must(t, s.Close())
	}
	must(t, sound.Close())
}

// upTo reads as far as it goes.
func upTo(tb testing.TB, s *Store, topic string, id int32) (next record.Index) {
	tb.Helper()
	for {
		res := s.Read(s.Queue(topic, id), &Read{From: next}, nil)
		if res.Next == next {
			if res.Status != OffsetFoundNull {
				tb.Errorf("the read at %d ends with %v", next, res.Status)
			}
			return next
		}
		next = res.Next
	}
}

// damaged is rec with another byte.
func damaged(rec []byte, at int) []byte {
	rec = slices.Clone(rec)
	rec[at] ^= 4
	return rec
}

func TestADamagedMessageThatNobodyHasIsLeftOut(t *testing.T) {
	t.Parallel()
	o := options(t)
	fsys, want, at, _ := filled(t, o, 20)
	name, pos := logFile(o, at[7])
	change(t, fsys, name, pos+90, 1, flip(3))
	told := 0
	o.OnDamage = func(Spot) bool {
		told++
		return false
	}
	s := open(t, fsys, o)
	equal(t, all(t, s, "T", 0), slices.Delete(slices.Clone(want), 7, 8))
	if st := s.Stats(); told == 0 || st.Repaired != 0 || st.Damaged == 0 {
		t.Errorf("told %d times, %+v", told, st)
	}
	// What a queue says about sizes is not believed.
	var size [4]byte
	change(t, fsys, name, pos, 4, func(p []byte) { copy(size[:], p) })
	x := Spot{"T", 0, 7, at[7], int(binary.BigEndian.Uint32(size[:])) + 1}
	if err := s.Repair(&x, make([]byte, x.Size)); err == nil {
		t.Error("repaired with zeroes")
	}
	must(t, s.Close())
}
