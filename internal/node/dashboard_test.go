package node

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/cometmq/cometmq/internal/api/httpapi"
)

// TestDashboardThatCannotBegin: what had begun before the failure is ended, and the failure is said.
func TestDashboardThatCannotBegin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.options(nil)
		broken := errors.New("no page")
		o.Dashboard = &Dashboard{
			Listen: "127.0.0.1:8082", Auth: httpapi.AuthNone, File: filepath.Join(dir, "console.db"),
			Pages: fstest.MapFS{}, Index: func(string) ([]byte, error) { return nil, broken },
		}
		n, err := Start(t.Context(), o)
		if !errors.Is(err, broken) {
			t.Errorf("Start said %v, want %v", err, broken)
		}
		w.free()
		if n != nil {
			t.Error("there is a node all the same")
		}
	})
}
