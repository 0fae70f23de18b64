package target

import (
	"os"
	"path/filepath"
	"testing"
)

// Serve runs one role of one implementation in dir, with conf as its configuration, until the test ends. The role is one of
// namesrv, broker and controller. Its log is in dir and, of Java, its home.
func Serve(tb testing.TB, kind Kind, role, dir, heap string, conf map[string]string) *Process {
	tb.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	o := Options{Kind: kind, Dir: dir, Set: "server-5.5.0"}
	return o.run(tb, role, filepath.Join(dir, role+".log"), write(tb, filepath.Join(dir, role+".conf"), conf), heap)
}
