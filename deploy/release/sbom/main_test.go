package main

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"testing"
)

func TestTheBillNamesWhatWasLinked(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := write(&out, &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "example.org/m", Version: "v1.0.0"},
		Deps: []*debug.Module{
			{Path: "a", Version: "v1", Sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
			{Path: "b", Version: "v1", Replace: &debug.Module{Path: "c", Version: "v2"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(out.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Metadata.Component.Package != "pkg:golang/example.org/m@v1.0.0" || len(b.Components) != 3 {
		t.Fatalf("%s", &out)
	}
	a, c, std := b.Components[0], b.Components[1], b.Components[2]
	if len(a.Hashes) != 1 || len(a.Hashes[0].Content) != 64 || c.Package != "pkg:golang/c@v2" || len(c.Hashes) != 0 || std.Package != "pkg:golang/std@1.26.8" {
		t.Errorf("%s", &out)
	}
}
