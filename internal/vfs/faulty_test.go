package vfs_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

func TestFaultyFailsTheNthOperation(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	var slept time.Duration
	fsys := vfs.NewFaulty(vfs.NewMem(vfs.MemOptions{}), vfs.Rules(
		vfs.FailNth(vfs.OpDatasync, 2, boom),
		vfs.FailNth(vfs.OpWrite, 3, &vfs.ShortWrite{Bytes: 3, Err: syscall.ENOSPC}),
		vfs.Slow(vfs.OpSync, time.Second, func(d time.Duration) { slept += d }),
	))
	f, err := fsys.Create("f")
	ok(t, err)
	_, err = f.WriteAt([]byte("aaaa"), 0)
	ok(t, err)
	ok(t, f.Datasync())
	if err = f.Datasync(); !errors.Is(err, boom) {
		t.Errorf("second sync: %v", err)
	}
	ok(t, f.Datasync())
	_, err = f.Writev([][]byte{[]byte("bb"), []byte("bb")}, 0)
	ok(t, err)
	n, err := f.Writev([][]byte{[]byte("cc"), []byte("cc")}, 0)
	if n != 3 || !vfs.IsNoSpace(err) {
		t.Errorf("short write: %d, %v", n, err)
	}
	ok(t, f.Sync())
	if slept != time.Second {
		t.Errorf("slept %v", slept)
	}
	if got := read(t, fsys, "f"); got != "cccb" {
		t.Errorf("file holds %q", got)
	}
	ok(t, f.Close())
}

func TestWriteFileAtomicSurvivesEachFailure(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for kind := vfs.OpOpen; kind <= vfs.OpClose; kind++ {
		for n := 1; n <= 2; n++ {
			m := vfs.NewMem(vfs.MemOptions{})
			ok(t, vfs.WriteFileAtomic(m, "f", []byte("old"), true))
			err := vfs.WriteFileAtomic(vfs.NewFaulty(m, vfs.FailNth(kind, n, boom)), "f", []byte("new"), true)
			if got := read(t, m, "f"); got != "new" && (err == nil || got != "old") {
				t.Errorf("%v %d: err %v, file %q", kind, n, err, got)
			}
		}
	}
}
