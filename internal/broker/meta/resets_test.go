package meta

import (
	"bytes"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

func wantReset(t *testing.T, o *Offsets, group string, queue int32, at mq.Index, pending bool) {
	t.Helper()
	got, ok := o.Query(group, "T", queue)
	if !ok || got != at || o.Pending(group, "T", queue) != pending {
		t.Errorf("%s queue %d: %d %v pending %v, want %d %v", group, queue, got, ok, o.Pending(group, "T", queue), at, pending)
	}
}

// TestPendingResetsSurvive keeps them through the journal and through the JSON file, and tells them once.
func TestPendingResetsSurvive(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	tables := open(t, m)
	o := tables.Offsets
	o.Commit("g", "T", 0, 100)
	o.Commit("g", "T", 1, 100)
	o.Reset("g", "T", 0, 7)
	o.Reset("g", "T", 2, 9)
	o.Reset("h", "T", 0, 1)
	o.Commit("g", "T", 0, 101) // by a client that does not know yet
	check := func(o *Offsets) {
		t.Helper()
		wantReset(t, o, "g", 0, 7, true)
		wantReset(t, o, "g", 1, 100, false)
		wantReset(t, o, "g", 2, 9, true)
		wantReset(t, o, "h", 0, 1, true)
		if n := o.resets.Load(); n != 3 {
			t.Errorf("%d pending", n)
		}
	}
	check(o)
	must(t, o.Sync())
	killed := open(t, m.CrashClone(nil, vfs.ProcessKill))
	check(killed.Offsets) // from the journal
	must(t, killed.Close())
	must(t, tables.Close())
	if text := get(t, m, offsetsJSON); !bytes.Contains(text, []byte(`"resetOffsetTable"`)) || !bytes.Contains(text, []byte("0:7")) {
		t.Errorf("%s", text)
	}
	tables = open(t, m)
	o = tables.Offsets
	check(o) // from the JSON file
	if at, ok := o.TakeReset("g", "T", 0); !ok || at != 7 {
		t.Errorf("%d %v", at, ok)
	}
	if _, ok := o.TakeReset("g", "T", 0); ok {
		t.Error("told twice")
	}
	wantReset(t, o, "g", 0, 7, false)
	o.Commit("g", "T", 0, 8)
	must(t, o.DeleteGroup("h"))
	must(t, o.Sync())
	killed = open(t, m.CrashClone(nil, vfs.ProcessKill))
	wantReset(t, killed.Offsets, "g", 0, 8, false)
	wantReset(t, killed.Offsets, "g", 2, 9, true)
	if n := killed.Offsets.resets.Load(); n != 1 {
		t.Errorf("%d pending", n)
	}
	must(t, killed.Close())
	if _, ok := o.TakeReset("g", "T", 2); !ok {
		t.Error("the last one is not there")
	}
	must(t, tables.Close())
	if text := get(t, m, offsetsJSON); bytes.Contains(text, []byte("resetOffsetTable")) {
		t.Errorf("%s", text)
	}
}

func TestPositionsAreCloned(t *testing.T) {
	t.Parallel()
	tables := open(t, newMem(t))
	o := tables.Offsets
	o.Commit("g", "T", 0, 5)
	o.Reset("g", "T", 1, 6)
	if o.Clone("nobody", "x", "T") || !o.Clone("g", "h", "T") {
		t.Error("wrong answers")
	}
	wantReset(t, o, "h", 0, 5, false)
	wantReset(t, o, "h", 1, 6, false)
	if _, ok := o.Query("x", "T", 0); ok {
		t.Error("something was made of nothing")
	}
	must(t, tables.Close())
}
