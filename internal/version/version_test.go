package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestFromBuildInfo(t *testing.T) {
	t.Parallel()
	bi := &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v0.1.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-11-22T00:00:00Z"},
	}}
	i := from(bi)
	if got := i.Short(); got != "v0.1.0-0123456789ab+dirty" {
		t.Errorf("short: %s", got)
	}
	for _, want := range []string{"cometmq v0.1.0\n", "commit  0123456789abcdef0123\n", "dirty   true", "go1.26", "479 (V5_3_3)"} {
		if !strings.Contains(i.String(), want) {
			t.Errorf("no %q in %s", want, i)
		}
	}
	if got := from(&debug.BuildInfo{}).Short(); got != "(devel)" {
		t.Errorf("nothing known: %s", got)
	}
	bi.Main.Version = "v0.1.1-0.20261122-0123456789ab+dirty"
	if got := from(bi).Short(); got != bi.Main.Version {
		t.Errorf("pseudo-version: %s", got)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	if i := Get(); i.Go == "" || i.Short() == "" {
		t.Errorf("%+v", i)
	}
}
