package timerlog

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/vfs"
)

// unitHex is a unit in Java's layout (storage spec 11), with our due time in the last eight bytes.
const unitHex = "00000034" + "ffffffffffffffff" + "00000001" + "0000019ab1234567" + "000003e8" + "0000000000001000" + "000000c8" + "00000054" + "0000019ab1234950"

func TestUnitLayout(t *testing.T) {
	t.Parallel()
	u := Unit{Prev: -1, Magic: MagicDefault, Enqueued: 0x19ab1234567, Time: 0x19ab1234567 + 1000, Offset: 4096, Size: 200, TopicHash: 0x54, Due: 0x19ab1234950}
	b := u.AppendTo(nil)
	if got := hex.EncodeToString(b); got != unitHex {
		t.Errorf("%s\nwant %s", got, unitHex)
	}
	var back Unit
	if !back.decode(b) || back != u {
		t.Error(cmp.Diff(back, u))
	}
}

// fill appends n units in one slot.
func fill(t *testing.T, l *Log, n int) {
	t.Helper()
	prev := int64(-1)
	if l.End() > 0 {
		t.Fatal("not empty")
	}
	for i := range n {
		units := []Unit{{Magic: MagicDefault, Enqueued: 1, Time: 1000, Offset: 1, Size: int32(i + 1)}}
		err := l.Append(units, func(_ int, pos int64) { units[0].Prev, prev = prev, pos })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogRollsRecoversAndCuts(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	const size, n = 10*UnitSize + 20, 35 // the last unit of a file does not fit beside the end mark
	l, err := OpenLog(fs, "/timerlog", size)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, n)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	end := l.End()
	// Backwards over the files.
	var u Unit
	count := int32(n)
	for pos := end - UnitSize; pos >= 0; pos = u.Prev {
		if err := l.Read(pos, &u); err != nil || u.Size != count {
			t.Fatalf("at %d: %v size %d, want %d", pos, err, u.Size, count)
		}
		count--
	}
	if count != 0 {
		t.Errorf("%d units missed", count)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	again := func(stop int32) (*Log, int32) {
		opened, err := OpenLog(fs, "/timerlog", size)
		if err != nil {
			t.Fatal(err)
		}
		last := int32(0)
		if err := opened.Recover(0, func(_ int64, u *Unit) bool {
			if u.Size == stop {
				return false
			}
			last = u.Size
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return opened, last
	}
	l, last := again(0)
	if last != n || l.End() != end {
		t.Errorf("recovered %d units to %d, want %d to %d", last, l.End(), n, end)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, last = again(15) // the caller does not want unit 15 and what follows
	if last != 14 {
		t.Errorf("recovered %d", last)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, last = again(0); last != 14 {
		t.Errorf("what was cut is back: %d", last)
	}
	if err := l.Clean(100); err != nil || l.Begin() != size {
		t.Errorf("cleaned to %d, %v", l.Begin(), err)
	}
	if err := l.Read(0, &u); err == nil {
		t.Error("a unit of a removed file was read")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(fs, "/timerlog", size/2); err == nil {
		t.Error("files of another size were opened")
	}
}

func TestWheelKeepsTheNewestTimeOfASlot(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	open := func() *Wheel {
		w, err := OpenWheel(fs, "/timerwheel", 300, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	get := func(w *Wheel, ms int64) Slot {
		s, err := w.Get(ms)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	empty := Slot{First: -1, Last: -1}
	w := open()
	if s := get(w, 5000); s != empty {
		t.Errorf("%+v", s)
	}
	one := Slot{First: 52, Last: 104, Num: 2}
	for _, ms := range []int64{5000, 599_000} {
		if err := w.Put(ms, one); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Create(); err != nil {
		t.Fatal(err)
	}
	err := w.Take().Write()
	w.Done(err == nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open()
	if s := get(w, 5999); s != one {
		t.Errorf("%+v", s)
	}
	if s := get(w, 5000+600_000); s != empty { // the same slot, the next time round
		t.Errorf("%+v", s)
	}
	if ms, err := w.Oldest(); err != nil || ms != 5000 {
		t.Errorf("oldest %d %v", ms, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckRoundTrip(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	c := Check{1, 2, 3, 4, 5, 6, 7}
	if err := c.Save(fs, "/config/timercheck"); err != nil {
		t.Fatal(err)
	}
	got, ok, err := LoadCheck(fs, "/config/timercheck")
	if err != nil || !ok || got != c {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	data, err := vfs.ReadFile(fs, "/config/timercheck")
	if err != nil || len(data) != 4096 || data[7] != 1 || data[55] != 7 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, ok, err := LoadCheck(fs, "/config/none"); ok || err != nil {
		t.Error(ok, err)
	}
}

func FuzzUnit(f *testing.F) {
	b, _ := hex.DecodeString(unitHex)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < UnitSize {
			return
		}
		var u Unit
		if u.decode(b[:UnitSize]) && !bytes.Equal(u.AppendTo(nil), b[:UnitSize]) {
			t.Errorf("%x is not what it was decoded from", u.AppendTo(nil))
		}
	})
}
