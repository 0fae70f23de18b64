// Package version says which build this is.
//
// Two numbers have nothing to do with each other: the version of this module, which logs, metrics and `cometmq version`
// show, and the ordinal that the remoting protocol carries in each command (Java's MQVersion). Peers decide by the
// ordinal what they may send, so ours says which version of Java we behave like.
package version

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Ordinals of Java's MQVersion that peers compare with.
const (
	// Wire is what we put into commands and registrations: V5_3_3. Java's 5.5.0 sends 513; clients only ask whether
	// it is at least some 4.x or 5.x version.
	Wire int32 = 479
	// WireName is the name of Wire in Java's enumeration.
	WireName = "V5_3_3"
	// Java550 is MQVersion.CURRENT_VERSION of the 5.5.0 release (V5_5_0).
	Java550 int32 = 513
)

// Info is what is known of the build.
type Info struct {
	Version string // of the module; "(devel)" when built from a working tree without a tag
	Commit  string // "" when unknown
	Dirty   bool   // the working tree had changes
	Time    string // of the commit
	Go      string
}

// Get reads the build information of the running program.
func Get() Info {
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return Info{Version: "(unknown)"}
	}
	return from(bi)
}

func from(bi *debug.BuildInfo) Info {
	i := Info{Version: bi.Main.Version, Go: bi.GoVersion}
	if i.Version == "" {
		i.Version = "(devel)"
	}
	for _, s := range bi.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.modified":
			i.Dirty = s.Value == "true"
		case "vcs.time":
			i.Time = s.Value
		}
	}
	return i
}

// Short returns version and commit for a log line.
func (i Info) Short() string {
	s := i.Version
	if c := i.Commit; c != "" && !strings.Contains(s, c[:min(12, len(c))]) {
		s += "-" + c[:min(12, len(c))]
	}
	if i.Dirty && !strings.HasSuffix(s, "dirty") {
		s += "+dirty"
	}
	return s
}

// String returns what `cometmq version` prints.
func (i Info) String() string {
	commit := i.Commit
	if commit == "" {
		commit = "unknown"
	}
	return fmt.Sprintf("cometmq %s\ncommit  %s\ndirty   %t\ngo      %s\nwire    %d (%s)\n", i.Version, commit, i.Dirty, i.Go, Wire, WireName)
}
