package replication

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

const epochPath = "/store/epochFileCheckpoint"

func epochsOn(tb testing.TB, disk *vfs.Mem) *Epochs {
	tb.Helper()
	must(tb, disk.MkdirAll("/store"))
	must(tb, disk.SyncDir("/"))
	e, err := OpenEpochs(disk, epochPath, nil)
	must(tb, err)
	return e
}

func fileText(tb testing.TB, disk *vfs.Mem, path string) string {
	tb.Helper()
	data, err := vfs.ReadFile(disk, path)
	if !errors.Is(err, fs.ErrNotExist) {
		must(tb, err)
	}
	return string(data)
}

// The texts are Java's, of 5.3.3 (replication spec 3.5 and 10, V6).
func TestEpochFileIsJavas(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]Epoch{
		"2\n1953333299\n1-0\n2-1000\n": {{1, 0}, {2, 1000}},
		"2\n1060914517\n1-0\n3-328\n":  {{1, 0}, {3, 328}},
		"0\n0\n":                       nil,
	} {
		got, err := parseEpochs([]byte(text))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v %v", text, got, err)
		}
		if out := string(encodeEpochs(want)); out != text {
			t.Errorf("%v is written as %q, want %q", want, out, text)
		}
	}
	for _, text := range []string{"2\n0\n1-0\n3-328\n", "2\n0\r\n1-0\r\n3-328\r\n", "2\n0\n1-0\n3-328"} {
		if got, err := parseEpochs([]byte(text)); err != nil || len(got) != 2 {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "x\n0\n", "1\n", "1\n0\n", "1\n0\n1-0\n2-5\n", "2\n1060914518\n1-0\n3-328\n", "1\n0\n1\n", "1\n0\n1--5\n",
		"2\n0\n3-0\n1-328\n", "2\n0\n1-328\n3-0\n", "1\n-5\n1-0\n", "1\n0\n99999999999-0\n", "1\n0\n1-99999999999999999999\n",
	} {
		if got, err := parseEpochs([]byte(text)); err == nil {
			t.Errorf("%q was taken: %v", text, got)
		}
	}
}

func TestEpochsAreKept(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem(vfs.MemOptions{})
	e := epochsOn(t, disk)
	if len(e.List()) != 0 || e.Last() != (Epoch{}) {
		t.Fatalf("%v", e.List())
	}
	steps := []struct {
		do   func() error
		want string
	}{
		{func() error { return e.add(Epoch{1, 0}) }, "1-0"},
		{func() error { return e.add(Epoch{3, 328}) }, "1-0 3-328"},
		{func() error { return e.add(Epoch{4, 328}) }, "1-0 4-328"}, // nothing was written in 3
		{func() error { return e.add(Epoch{7, 900}) }, "1-0 4-328 7-900"},
		{func() error { return e.Forget(328) }, "4-328 7-900"},
		{func() error { return e.Forget(899) }, "4-328 7-900"},
		{func() error { return e.cut(900) }, "4-328 7-900"},
		{func() error { return e.cut(899) }, "4-328"},
		{func() error { return e.cut(300) }, ""},
		{func() error { return e.add(Epoch{9, 10}) }, "9-10"},
	}
	for i, s := range steps {
		must(t, s.do())
		disk = disk.CrashClone(rand.New(rand.NewPCG(1, uint64(i))), vfs.PowerCut) // what was written stays
		e = epochsOn(t, disk)
		lines := strings.Split(strings.TrimSpace(fileText(t, disk, epochPath)), "\n")[2:]
		if got := strings.Join(lines, " "); got != s.want {
			t.Fatalf("step %d: %q, want %q", i, got, s.want)
		}
	}
	for _, x := range []Epoch{{9, 20}, {8, 20}, {10, 9}} {
		if err := e.add(x); err == nil {
			t.Errorf("%v was added behind %v", x, e.Last())
		}
	}
}

func TestDamagedEpochFile(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem(vfs.MemOptions{})
	e := epochsOn(t, disk)
	must(t, e.add(Epoch{1, 0}))
	must(t, e.add(Epoch{2, 50}))
	spoil := func(path string) {
		f, err := disk.Open(path)
		must(t, err)
		_, err = f.WriteAt([]byte("7"), 0)
		must(t, err)
		must(t, f.Close())
	}
	spoil(epochPath)
	if got := epochsOn(t, disk).List(); !slices.Equal(got, []Epoch{{1, 0}}) {
		t.Fatalf("not from the .bak: %v", got)
	}
	spoil(epochPath + ".bak")
	if _, err := OpenEpochs(disk, epochPath, nil); err == nil {
		t.Fatal("two damaged files are taken for none")
	}
	must(t, disk.Remove(epochPath+".bak"))
	if _, err := OpenEpochs(disk, epochPath, nil); err == nil || errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "epochs") {
		t.Fatalf("a damaged file is taken for none: %v", err)
	}
}

func TestManyEpochs(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem(vfs.MemOptions{})
	e := epochsOn(t, disk)
	must(t, e.edit(func([]Epoch) (list []Epoch) {
		for i := range maxEpochs + 5 {
			list = append(list, Epoch{int32(i), record.Offset(10 * i)})
		}
		return list
	}))
	if list := e.List(); len(list) != maxEpochs || list[0] != (Epoch{5, 50}) {
		t.Fatalf("%d epochs from %v on", len(list), list[0])
	}
	must(t, e.add(Epoch{5000, 1 << 20}))
	if list := e.List(); len(list) != maxEpochs || list[0] != (Epoch{6, 60}) {
		t.Fatalf("%d epochs from %v on", len(list), list[0])
	}
	if got, end := epochAt(e.List(), 7); got != (Epoch{6, 60}) || end != 70 {
		t.Fatalf("what is older than the list is of %v, up to %d", got, end)
	}
}

func TestCommonPoint(t *testing.T) {
	t.Parallel()
	l := func(pairs ...int) (out []Epoch) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, Epoch{int32(pairs[i]), record.Offset(pairs[i+1])})
		}
		return out
	}
	for _, c := range []struct {
		name     string
		ours     []Epoch
		ourEnd   record.Offset
		theirs   []Epoch
		theirEnd record.Offset
		epoch    int32
		point    record.Offset
		none     bool
	}{
		{"behind", l(1, 0), 100, l(1, 0), 300, 1, 100, false},
		{"ahead in the same epoch", l(1, 0), 400, l(1, 0), 300, 1, 300, false},
		{"ahead when the epoch ended", l(1, 0), 400, l(1, 0, 2, 300), 500, 1, 300, false},
		{"the newest has written alone", l(1, 0, 2, 300), 400, l(1, 0, 3, 300), 900, 1, 300, false},
		{"two epochs alone", l(1, 0, 2, 300, 4, 400), 450, l(1, 0, 2, 300, 5, 350), 900, 2, 350, false},
		{"same number, other begin", l(1, 0, 2, 300), 400, l(1, 0, 2, 310), 900, 1, 300, false},
		{"an epoch in which nothing was written", l(1, 0, 3, 300), 300, l(1, 0, 4, 300), 900, 1, 300, false},
		{"the other list is shorter", l(1, 0, 2, 300, 3, 400), 450, l(2, 300, 3, 400), 900, 3, 450, false},
		{"none", l(1, 0), 100, l(2, 0), 300, 0, 0, true},
		{"none, other begin", l(1, 0), 100, l(1, 5), 300, 0, 0, true},
	} {
		at, point, ok := common(c.ours, c.ourEnd, c.theirs, c.theirEnd)
		if ok == c.none || ok && (point != c.point || c.ours[at].Number != c.epoch) {
			t.Errorf("%s: %v %d %v", c.name, at, point, ok)
		}
	}
}

func FuzzEpochFile(f *testing.F) {
	f.Add([]byte("2\n1953333299\n1-0\n2-1000\n"))
	f.Add([]byte("1\n0\n1-0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseEpochs(data)
		if err != nil {
			return
		}
		again, err := parseEpochs(encodeEpochs(list))
		if err != nil || !slices.Equal(list, again) {
			t.Fatalf("%v %v %v", list, again, err)
		}
	})
}
