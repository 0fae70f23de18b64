package storetool

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// replicas are two stores in one file system, /store and /other, of which the second is a copy of what b makes.
func replicas(t *testing.T, n int, change func(other *vfs.Mem)) *vfs.Mem {
	t.Helper()
	m, _ := build(t, n, true)
	o, _ := build(t, n, true)
	if change != nil {
		change(o)
	}
	names, err := o.ReadDir(root + "/commitlog")
	must(t, err)
	for _, e := range names {
		data, err := vfs.ReadFile(o, root+"/commitlog/"+e.Name())
		must(t, err)
		put(t, m, "/other/commitlog/"+e.Name(), data)
	}
	return m
}

func verify(t *testing.T, m *vfs.Mem) *Comparison {
	t.Helper()
	c, err := Verify(t.Context(), m, Place{Root: root}, Place{Root: "/other"})
	must(t, err)
	return c
}

func TestVerifyOfReplicasThatAreAlike(t *testing.T) {
	t.Parallel()
	_, all := build(t, 100, true)
	last := all[99]
	for name, tt := range map[string]struct {
		change      func(o *vfs.Mem)
		same        int64
		first, end  int64
		otherIsLess bool
	}{
		"whole":  {nil, 100, 0, last.off + int64(last.size), false},
		"behind": {func(o *vfs.Mem) { cutLog(t, o, all[90].off) }, 90, 0, all[90].off, true},
		"without old files": {
			func(o *vfs.Mem) { must(t, o.Remove(fmt.Sprintf("%s/commitlog/%020d", root, 0))) },
			100 - before(all, fileSize), fileSize, last.off + int64(last.size), true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := replicas(t, 100, tt.change)
			c := verify(t, m)
			if !c.OK() || c.Same != tt.same || c.Other != (Extent{tt.first, tt.end}) || c.Log != (Extent{0, last.off + int64(last.size)}) {
				t.Errorf("%+v", c)
			}
			if c, err := Verify(t.Context(), m, Place{Root: "/other"}, Place{Root: root}); err != nil || !c.OK() || c.Same != tt.same {
				t.Errorf("the other way round: %+v, %v", c, err)
			}
		})
	}
}

// before counts the messages before off.
func before(all []stored, off int64) (n int64) {
	for _, s := range all {
		if s.off < off {
			n++
		}
	}
	return n
}

// cutLog makes the log end at off.
func cutLog(tb testing.TB, m *vfs.Mem, off int64) {
	tb.Helper()
	names, err := m.ReadDir(root + "/commitlog")
	must(tb, err)
	for i := range names {
		if begin := int64(i) * fileSize; begin+fileSize > off {
			overwrite(tb, m, max(begin, off), make([]byte, min(fileSize, begin+fileSize-off))...)
		}
	}
}

func TestVerifyFindsDifferences(t *testing.T) {
	t.Parallel()
	_, all := build(t, 100, true)
	t.Run("a field without a checksum", func(t *testing.T) {
		t.Parallel()
		m := replicas(t, 100, nil)
		flip(t, m, all[40].off+27) // of the queue offset
		c := verify(t, m)
		if c.OK() || c.Count != 1 || c.Same != 99 || len(c.Differences) != 1 {
			t.Fatalf("%+v", c)
		}
		file := fmt.Sprintf("commitlog/%020d", all[40].off/fileSize*fileSize)
		want := Difference{all[40].off, "/store/" + file, "/other/" + file, fmt.Sprintf("two messages of %d bytes that are not the same", all[40].size)}
		if c.Differences[0] != want {
			t.Errorf("%+v, want %+v", c.Differences[0], want)
		}
		if err := Repair(t.Context(), m, Place{Root: root}, Place{Root: "/other"}, c, func(Damage) {}); !errors.Is(err, ErrNotAlike) {
			t.Errorf("repair: %v", err)
		}
	})
	t.Run("one message instead of two", func(t *testing.T) {
		t.Parallel()
		m := replicas(t, 100, func(o *vfs.Mem) {
			long := record.Message{Topic: []byte("Topic0"), Offset: record.Offset(all[10].off), BornHost: host, StoreHost: host}
			n, err := long.EncodedLen()
			must(t, err)
			long.Body = make([]byte, int(all[12].off-all[10].off)-n)
			rec, err := long.AppendTo(nil)
			must(t, err)
			overwrite(t, o, all[10].off, rec...)
		})
		c := verify(t, m)
		if c.OK() || c.Count != 2 || c.Same != 98 || len(c.Differences) != 2 || len(c.Faults)+len(c.OtherFaults) != 0 {
			t.Fatalf("%+v", c)
		}
		for i, want := range []string{
			fmt.Sprintf("a message of %d bytes here, one of %d there", all[10].size, all[12].off-all[10].off),
			fmt.Sprintf("a message of %d bytes here, none begins there", all[11].size),
		} {
			if d := c.Differences[i]; d.Offset != all[10+i].off || d.Reason != want {
				t.Errorf("%+v, want %s", d, want)
			}
		}
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		m := replicas(t, 10, nil)
		put(t, m, fmt.Sprintf("/empty/commitlog/%020d", 0), make([]byte, fileSize))
		for _, p := range [][2]Place{{{Root: root}, {Root: "/empty"}}, {{Root: "/empty"}, {Root: root}}, {{Root: root}, {Root: "/nowhere"}}} {
			if c, err := Verify(t.Context(), m, p[0], p[1]); err == nil {
				t.Errorf("%v: %+v", p, c)
			}
		}
	})
}

func TestRepairTakesWhatIsDamagedFromTheOtherLog(t *testing.T) {
	t.Parallel()
	_, all := build(t, 100, true)
	at := map[string]int64{"size": 1, "magic": 5, "offset": 35, "body": 90, "topic length": 96}
	for name, pos := range at {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := replicas(t, 100, nil)
			flip(t, m, all[20].off+pos)
			flip(t, m, all[60].off+pos)
			overwrite(t, m, all[70].off+9, make([]byte, all[71].off-all[70].off)...) // two messages
			c := verify(t, m)
			if c.OK() || c.Count != 0 || c.Same != 96 || len(c.Faults) != 3 || len(c.OtherFaults) != 0 {
				t.Fatalf("%+v", c)
			}
			for i, k := range []int{20, 60, 70} {
				if f := c.Faults[i]; !f.Whole || f.Offset != all[k].off {
					t.Errorf("%+v", f)
				}
			}
			other, err := Verify(t.Context(), m, Place{Root: "/other"}, Place{Root: root})
			must(t, err)
			if len(other.OtherFaults) != 3 || len(other.Faults) != 0 || !other.OtherFaults[2].Whole {
				t.Errorf("the other way round: %+v", other)
			}
			n := 0
			must(t, Repair(t.Context(), m, Place{Root: root}, Place{Root: "/other"}, c, func(Damage) { n++ }))
			if c = verify(t, m); n != 3 || !c.OK() || c.Same != 100 {
				t.Errorf("%d repaired, then %+v", n, c)
			}
			if r := check(t, m); !r.OK() {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRepairLeavesWhatTheOtherLogLacks(t *testing.T) {
	t.Parallel()
	_, all := build(t, 100, true)
	m := replicas(t, 100, func(o *vfs.Mem) {
		flip(t, o, all[20].off+90) // the same message
		flip(t, o, all[41].off+90) // one of three
		cutLog(t, o, all[90].off)
	})
	flip(t, m, all[20].off+90)
	overwrite(t, m, all[40].off+9, make([]byte, all[42].off-all[40].off)...)
	flip(t, m, all[95].off+90) // behind its end
	c := verify(t, m)
	if c.OK() || c.Count != 0 || len(c.Faults) != 3 || len(c.OtherFaults) != 2 {
		t.Fatalf("%+v", c)
	}
	for _, f := range append(c.Faults, c.OtherFaults...) {
		if f.Whole {
			t.Errorf("%+v", f)
		}
	}
	must(t, Repair(t.Context(), m, Place{Root: root}, Place{Root: "/other"}, c, func(d Damage) { t.Errorf("repaired %+v", d) }))
}

func TestRepairOfAStoreInUseIsRefused(t *testing.T) {
	t.Parallel()
	_, all := build(t, 10, true)
	m := replicas(t, 10, nil)
	flip(t, m, all[5].off+90)
	lock, err := m.Lock(root + "/lock")
	must(t, err)
	c := verify(t, m)
	if err := Repair(t.Context(), m, Place{Root: root}, Place{Root: "/other"}, c, func(Damage) {}); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("repair: %v", err)
	}
	must(t, lock.Close())
}
