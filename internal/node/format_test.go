package node

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cometmq/cometmq/internal/vfs"
)

func (w *world) put(name, text string) {
	w.tb.Helper()
	must(w.tb, w.fs.MkdirAll("/store/cometmq"))
	must(w.tb, vfs.WriteFileAtomic(w.fs, name, []byte(text), false))
}

func (w *world) read(name string) string {
	data, err := vfs.ReadFile(w.fs, name)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

const formatPath = "/store/cometmq/format.json"

func TestAStoreOfANewerFormatIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"newer", `{"version": 9, "minReaderVersion": 2, "writtenBy": "v7.1.0"}`, "It was written by v7.1.0"},
		{"damaged", `{"version": 1`, "is damaged"},
		{"empty", `{}`, "is damaged"},
		{"nothing", "", "is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := w.start(w.options(nil))
				w.roundTrip(n, "topic")
				must(t, n.Shutdown(t.Context()))
				w.put(formatPath, c.text)
				before := w.read("/store/config/topics.json")
				n, err := Start(t.Context(), w.options(nil))
				if err == nil {
					must(t, n.Shutdown(t.Context()))
					t.Fatal("it has started")
				}
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v: want %q in it", err, c.want)
				}
				if _, newer := errors.AsType[*errNewer](err); newer != (c.name == "newer") {
					t.Errorf("%v is of another kind", err)
				}
				if w.read(formatPath) != c.text || w.read("/store/config/topics.json") != before || w.exists("/store/abort") {
					t.Error("the store was touched")
				}
				w.free()
			})
		})
	}
}

func TestAStoreSaysWhoMayReadIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, found, want string }{
		{"new", "", `"version": 1`},
		{"older", `{"version": 1, "minReaderVersion": 1, "writtenBy": "v0.0.1"}`, `"minReaderVersion": 1`},
		{"rolled back", `{"version": 3, "minReaderVersion": 1, "writtenBy": "v3.0.0"}`, `"writtenBy": "v3.0.0"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if c.found != "" {
					w.put(formatPath, c.found)
				}
				n := w.start(w.options(nil))
				w.roundTrip(n, "topic")
				must(t, n.Shutdown(t.Context()))
				got := w.read(formatPath)
				if !strings.Contains(got, c.want) || strings.Contains(got, "v0.0.1") {
					t.Errorf("%s: want %s in it", got, c.want)
				}
				n = w.start(w.options(nil))
				must(t, n.Shutdown(t.Context()))
				if again := w.read(formatPath); again != got {
					t.Errorf("%s, was %s", again, got)
				}
				w.free()
			})
		})
	}
}

func TestAFullDiskIsNoReasonNotToStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fs = vfs.NewFaulty(w.mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpCreate && strings.HasPrefix(op.Name, formatPath) {
				return syscall.ENOSPC
			}
			return nil
		})
		n := w.start(w.options(nil))
		w.roundTrip(n, "topic")
		must(t, n.Shutdown(t.Context()))
		if w.exists(formatPath) || !strings.Contains(w.diary.String(), "does not say which programs may read it") {
			t.Errorf("nothing was said: %s", w.diary.String())
		}
		w.free()
	})
}
